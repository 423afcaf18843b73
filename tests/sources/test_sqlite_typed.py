"""A TYPED read has one schema and loses nothing: it raises SchemaBroken, or is careful and announces wider types."""

import math
from itertools import combinations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.failures import QueryFailed
from exporter.sources.base import Form, Kind, SchemaBroken
from exporter.sources.sqlite import reader as reader_module
from exporter.sources.sqlite.survey import SURVEYED_COLUMNS, Survey, Tally, kind_for
from tests.sources.reading import fill, read, read_table, spelled, statement, values, whole

SAMPLES = {"integer": 7, "wide": 2**53 + 1, "real": 0.1, "text": "é", "blob": b"\x00\xff"}


def text_of(value):
    return f"\\x{value.hex()}" if isinstance(value, bytes) else str(value)


@pytest.mark.parametrize("late", [0.5, "a", b"b"])
def test_a_misfit_breaks_the_schema(tmp_path, opened, late):
    fill(tmp_path / "a.db", "c INTEGER", [*[(1,)] * 5000, (late,)])
    with pytest.raises(SchemaBroken):
        read_table(opened(tmp_path / "a.db"), "t", Form.TYPED)


def test_the_same_source_reads_again_with_care_after_a_broken_schema(tmp_path, opened):
    kept = fill(tmp_path / "a.db", "c INTEGER, d TEXT", [*[(1, "x")] * 5000, ("late", "y")])
    source = opened(tmp_path / "a.db")
    with pytest.raises(SchemaBroken):
        read_table(source, "t", Form.TYPED)
    reader, table = read_table(source, "t", Form.TYPED, careful=True)
    assert table.schema.types == [pa.string(), pa.string()]
    assert values(table) == [(str(c), d) for c, d in kept]
    (notice,) = reader.notices()
    assert (notice.code, notice.count) == ("mixed_as_text", 5000)
    assert "'c'" in notice.message


@pytest.mark.parametrize("declared", ["INTEGER", "REAL", "TEXT", "BLOB", "", "NUMERIC"])
@pytest.mark.parametrize("kinds", [c for n in (1, 2, 3) for c in combinations(SAMPLES, n)])
def test_a_careful_read_holds_every_mix(tmp_path, opened, declared, kinds):
    kept = fill(tmp_path / "a.db", f"c {declared}", [(SAMPLES[kind],) for kind in kinds] + [(None,)])
    reader, table = read_table(opened(tmp_path / "a.db"), "t", Form.TYPED, careful=True)
    assert table.schema.field(0).type != pa.null()
    for (before,), (after,) in zip(kept, values(table), strict=True):
        if isinstance(after, str) and not isinstance(before, str):
            assert after == (None if before is None else text_of(before))
        else:
            assert before == after
    changed = sum(before != after for before, after in zip(kept, values(table), strict=True))
    assert sum(notice.count for notice in reader.notices()) == changed


def test_care_changes_no_type_where_none_needs_it(tmp_path, opened):
    kept = fill(tmp_path / "a.db", "i INTEGER, r REAL, t TEXT, b BLOB", [(1, 0.5, "x", b"y"), (None,) * 4])
    reader, table = read_table(opened(tmp_path / "a.db"), "t", Form.TYPED, careful=True)
    assert table.schema.types == [pa.int64(), pa.float64(), pa.string(), pa.binary()]
    assert values(table) == kept
    assert reader.notices() == ()


def test_reals_keep_their_sign_and_infinities(tmp_path, opened):
    kept = fill(tmp_path / "a.db", "r REAL", [(-0.0,), (0.0,), (math.inf,), (-math.inf,), (5e-324,)])
    _, table = read_table(opened(tmp_path / "a.db"), "t", Form.TYPED)
    assert spelled(values(table)) == spelled(kept)


def test_exact_integers_among_reals_are_reals(tmp_path, opened):
    fill(tmp_path / "a.db", "n NUMERIC", [(0.5,), (2**53,), (-(2**53),)])
    _, table = read_table(opened(tmp_path / "a.db"), "t", Form.TYPED)
    assert values(table) == [(0.5,), (2.0**53,), (-(2.0**53),)]


def test_more_columns_than_one_survey_takes_are_all_surveyed(tmp_path, opened):
    width = 2 * SURVEYED_COLUMNS + 7
    row = tuple("text" if n % 2 else n for n in range(width))
    fill(tmp_path / "a.db", ", ".join(f"c{n} INTEGER" for n in range(width)), [row, tuple(range(width))])
    reader, table = read_table(opened(tmp_path / "a.db"), "t", Form.TYPED, careful=True)
    assert [column.kind for column in reader.columns] == [
        Kind.TEXT if n % 2 else Kind.INTEGER for n in range(width)
    ]
    assert len(table) == 2


def test_a_careful_read_binds_the_statements_parameters(tmp_path, opened):
    fill(tmp_path / "a.db", "c", [(1,), ("a",), (2,)])
    asked = statement("SELECT c FROM t WHERE c <> :no", ("c", Kind.VARIANT), no="a")
    reader, table = read(opened(tmp_path / "a.db"), asked, Form.TYPED, careful=True)
    assert reader.columns[0].kind is Kind.INTEGER
    assert values(table) == [(1,), (2,)]


def test_values_that_change_between_the_survey_and_the_read_fail_the_export(tmp_path, opened, monkeypatch):
    fill(tmp_path / "a.db", "c INTEGER", [("a",)])
    source = opened(tmp_path / "a.db")
    asked = whole(source.relation("t"))
    unchanged = Survey(columns=asked.columns, mixed=frozenset(), notices=())
    monkeypatch.setattr(reader_module, "survey", lambda *_: unchanged)
    with pytest.raises(QueryFailed, match="change from one read to the next"):
        read(source, asked, Form.TYPED, careful=True)


@given(st.lists(st.integers(0, 3), min_size=4, max_size=4), st.sampled_from(list(Kind)))
def test_the_chosen_kind_holds_every_tally(counts, announced):
    integers, reals, texts, blobs = counts
    kind = kind_for(announced, Tally(integers, reals, texts, blobs, integers // 2))
    if kind is Kind.INTEGER:
        assert reals == texts == blobs == 0
    elif kind is Kind.FLOAT:
        assert texts == blobs == integers // 2 == 0
    elif kind is Kind.BINARY:
        assert integers == reals == texts == 0
    else:
        assert kind is Kind.TEXT
