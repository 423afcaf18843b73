"""Every value that SQLite can hold, in every column, comes out as it went in."""

import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.failures import ValueUnwritable
from exporter.sources.base import Form, Kind
from exporter.sources.sqlite.reader import BATCH_BYTES, BATCH_ROWS, SLICE_BYTES, SLICE_ROWS
from exporter.sources.sqlite.values import fitted, variant
from tests.sources.reading import fill, make_file, read_table, spelled, stored, values, whole

DECLARED = (
    "INTEGER",
    "REAL",
    "TEXT",
    "BLOB",
    "",
    "NUMERIC",
    "DECIMAL(10,2)",
    "DATE",
    "BOOLEAN",
    "VARCHAR(3)",
    "JSON",
)
HOSTILE = (
    None, 0, 1, -1, 2**53, 2**53 + 1, -(2**53) - 1, 2**60 + 1, 2**63 - 1, -(2**63),
    0.0, -0.0, 0.1, 1.0, 5e-324, 1.7976931348623157e308, -2.5e-7, 1e16, math.inf, -math.inf, 2.0**53 + 2, 1e300,
    "", "a", "007", " 1 ", "1e5", "NaN", "Infinity", "NULL", "\\N", "\\.", "\\", '"', "'", "a,b;c\td", "line\nline\r\n",
    "\x00", "a\x00b", "\ufeff", "\ufeffbom", "é", "日本", "😀", "\u2028", "\x85", "=1+1", "2024-01-31", "24:00", "x" * 5000,
    b"", b"\x00", b"\xff\xfe", b"text", bytes(range(256)),
)  # fmt: skip
ANY_VALUE = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
)


@pytest.mark.parametrize("declared", DECLARED)
def test_every_value_in_every_declared_type_survives_a_text_read(tmp_path, opened, declared):
    kept = fill(tmp_path / "a.db", f"c {declared}", [(value,) for value in HOSTILE])
    _, table = read_table(opened(tmp_path / "a.db"), "t")
    assert spelled(values(table)) == spelled(kept)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_late_in_columns_of_others_survives(tmp_path, opened, value):
    rows = [(number, number + 0.5, str(number), bytes([number % 256])) for number in range(2 * SLICE_ROWS)]
    kept = fill(tmp_path / "a.db", "i INTEGER, r REAL, t TEXT, b BLOB", [*rows, (value,) * 4, *rows])
    _, table = read_table(opened(tmp_path / "a.db"), "t")
    assert spelled(values(table)) == spelled(kept)


def test_unmixed_columns_come_as_their_announced_types(tmp_path, opened):
    fill(
        tmp_path / "a.db",
        "i INTEGER, r REAL, t TEXT, b BLOB",
        [(1, 0.5, "x", b"y"), (None, None, None, None)],
    )
    source = opened(tmp_path / "a.db")
    (batch,) = source.read(whole(source.relation("t")), Form.TEXT).batches()
    assert batch.schema.types == [pa.int64(), pa.string(), pa.string(), pa.binary()]
    assert batch.column(1).to_pylist() == ["0.5", None]


def test_only_the_batch_with_a_misfit_is_a_variant(tmp_path, opened):
    rows = [(number,) for number in range(BATCH_ROWS)]
    kept = fill(tmp_path / "a.db", "i INTEGER", [*rows, ("late",), *rows])
    reader, batches = read_table(opened(tmp_path / "a.db"), "t")
    types = [batch.schema.field(0).type for batch in batches]
    assert sum(pa.types.is_struct(kind) for kind in types) == 1
    assert values(batches) == kept
    assert reader.columns[0].kind is Kind.INTEGER


def test_a_column_announced_as_variant_always_comes_as_one(tmp_path, opened):
    kept = fill(tmp_path / "a.db", "c", [(1,), ("a",), *[("b",)] * 3 * BATCH_ROWS])
    reader, table = read_table(opened(tmp_path / "a.db"), "t")
    assert reader.columns[0].kind is Kind.VARIANT
    assert pa.types.is_struct(table.schema.field(0).type)
    assert values(table) == kept


def test_integers_among_reals_keep_every_digit(tmp_path, opened):
    kept = fill(tmp_path / "a.db", "n", [(0.5,), (2**53,), (2**53 + 1,), (2**60 + 1,)])
    _, table = read_table(opened(tmp_path / "a.db"), "t")
    assert spelled(values(table)) == spelled(kept)


def test_a_long_integer_among_reals_is_told_from_a_real(tmp_path, opened):
    kept = fill(tmp_path / "a.db", "n DECIMAL(30, 2)", [(0.5,), (2**53,), (-(10**15),)])
    _, table = read_table(opened(tmp_path / "a.db"), "t")
    assert pa.types.is_struct(table.schema.field(0).type)
    assert spelled(values(table)) == spelled(kept)


def test_wide_integers_late_in_a_decimal_column_keep_every_digit(tmp_path, opened):
    rows = [(number + 0.5,) for number in range(5000)]
    kept = fill(tmp_path / "a.db", "n DECIMAL(30, 2)", [*rows, (2**53 + 1,), (-(2**60) - 1,), *rows])
    reader, batches = read_table(opened(tmp_path / "a.db"), "t")
    assert reader.columns[0].kind is Kind.FLOAT
    assert spelled(values(batches)) == spelled(kept)


@pytest.mark.parametrize("broken", ["61ff", "eda080", "c080", "f8888080", "c3"])
def test_text_that_is_not_utf8_fails_with_its_row_and_column(tmp_path, opened, broken):
    fill(tmp_path / "a.db", "a TEXT, b TEXT", [("fine", "é")] * 700)
    make_file(tmp_path / "a.db", f"UPDATE t SET b = CAST(x'{broken}' AS TEXT) WHERE rowid = 601")
    with pytest.raises(ValueUnwritable) as failed:
        read_table(opened(tmp_path / "a.db"), "t")
    assert failed.value.facts == {"row": 601, "column": "b", "reason": "the text is not valid UTF-8"}


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_texts_survive_in_every_encoding_of_a_file(tmp_path, opened, encoding):
    path = make_file(tmp_path / "a.db", f"PRAGMA encoding = '{encoding}'", "CREATE TABLE t(c TEXT)")
    make_file(path, "INSERT INTO t VALUES ('é日本😀' || char(65279)), (char(0)), ('')")
    _, table = read_table(opened(path), "t")
    assert values(table) == [("é日本😀\ufeff",), ("\x00",), ("",)]


def test_an_empty_table_gives_no_batch_and_its_columns(tmp_path, opened):
    fill(tmp_path / "a.db", "a INTEGER, b", [])
    source = opened(tmp_path / "a.db")
    reader, batches = read_table(source, "t")
    assert batches == []
    assert [column.name for column in reader.columns] == ["a", "b"]


def test_a_column_of_nulls_comes_as_its_announced_type(tmp_path, opened):
    fill(tmp_path / "a.db", "a INTEGER, b REAL, c TEXT, d BLOB", [(None,) * 4] * 3)
    _, table = read_table(opened(tmp_path / "a.db"), "t", Form.TYPED)
    assert table.schema.types == [pa.int64(), pa.float64(), pa.string(), pa.binary()]
    assert values(table) == [(None,) * 4] * 3


@pytest.mark.parametrize("width", [1000, 1999, 2000])
def test_as_many_columns_as_sqlite_allows_are_read(tmp_path, opened, width):
    kept = fill(tmp_path / "a.db", ", ".join(f"c{n}" for n in range(width)), [tuple(range(width))] * 3)
    _, table = read_table(opened(tmp_path / "a.db"), "t")
    assert values(table) == kept


def test_wide_cells_after_many_small_rows_come_in_small_batches(tmp_path, opened):
    small = [("x",)] * (2 * BATCH_ROWS)
    fill(tmp_path / "a.db", "c TEXT", [*small, *[("y" * (3 << 20),)] * 8])
    source = opened(tmp_path / "a.db")
    reader = source.read(whole(source.relation("t")), Form.TEXT)
    sizes = [batch.nbytes for batch in reader.batches()]
    assert max(sizes) < 2 * BATCH_BYTES
    assert SLICE_BYTES < BATCH_BYTES


def test_wide_texts_in_a_column_of_integers_come_in_small_batches(tmp_path, opened):
    small = [(1,)] * (2 * BATCH_ROWS)
    fill(tmp_path / "a.db", "c INTEGER", [*small, *[("y" * (3 << 20),)] * 8])
    source = opened(tmp_path / "a.db")
    reader = source.read(whole(source.relation("t")), Form.TEXT)
    assert max(batch.nbytes for batch in reader.batches()) < 2 * BATCH_BYTES


def test_batches_stay_within_their_row_limit(tmp_path, opened):
    fill(tmp_path / "a.db", "c INTEGER", [(1,)] * (BATCH_ROWS + 1000))
    _, table = read_table(opened(tmp_path / "a.db"), "t")
    assert max(len(batch) for batch in table.to_batches()) <= BATCH_ROWS


@given(st.lists(ANY_VALUE, min_size=1))
def test_any_values_survive_as_variants(given_values):
    kept = [stored(value) for value in variant(given_values).to_pylist()]
    assert spelled([kept]) == spelled([given_values])


@given(st.lists(ANY_VALUE, min_size=1), st.sampled_from([pa.int64(), pa.float64(), pa.string(), pa.binary()]))
def test_values_fit_a_type_exactly_or_not_at_all(given_values, wanted):
    array = fitted(given_values, wanted)
    if array is None:
        return
    for before, after in zip(given_values, array.to_pylist(), strict=True):
        assert before == after
        assert type(before) is type(after) or (type(before), wanted) == (int, pa.float64())
        assert math.copysign(1, before) == math.copysign(1, after) if isinstance(after, float) else True


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=1))
def test_integers_always_fit_integers(given_values):
    assert fitted(given_values, pa.int64()).to_pylist() == given_values


@given(st.lists(st.one_of(st.none(), st.text()), min_size=1))
def test_texts_always_fit_text(given_values):
    assert fitted(given_values, pa.string()).to_pylist() == given_values
