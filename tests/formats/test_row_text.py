"""Rows spelled by a database: the same file, rows, NULLs and warnings as from batches."""

import io

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.formats import registry
from exporter.formats.base import TextUnclear, WriterRequest
from exporter.formats.json import layout_of
from exporter.formats.options import parse_options
from exporter.formats.rowtext import csv_facts, first_rows
from exporter.sources.base import Kind
from exporter.sources.types import variant_type

HOSTILE = [
    "",
    '"',
    '""',
    ",",
    ",,",
    '",',
    ",\n",
    "\n",
    "\r\n",
    "a\nb\n",
    "=1",
    "+1",
    "-1",
    "@x",
    "\tx",
    "\rx",
    '"=1"',
    "null",
    ':null,"x":null',
    '\\":null',
    "\\",
    "\\\\",
    '\\"',
    "[null]",
    "},{",
    "é",
    "😀,😀",
    "\ufeff",
    "NaN",
    "Infinity.",
    "x" * 300,
]
texts = st.none() | st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
integers = st.none() | st.integers(-(2**63), 2**63 - 1)
truths = st.none() | st.booleans()
LAYOUTS = [
    {"layout": "lines"},
    {"layout": "array"},
    {"layout": "columns"},
    {"layout": "array", "indent": 2},
    {"layout": "columns", "indent": 1},
]
STYLES = [
    {},
    {"delimiter": ";", "line_terminator": "crlf", "encoding": "utf-8-sig"},
    {"delimiter": "tab", "compression": "gzip"},
    {"delimiter": "=", "line_terminator": "crlf"},
    {"delimiter": "@"},
]
quickly = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def writer_of(format_name, columns, *, headers=True, **raw):
    entry = registry.get(format_name)
    options = parse_options(entry, raw, defaults={})
    stream = io.BytesIO()
    request = WriterRequest(stream=stream, columns=tuple(columns), options=options, include_headers=headers)
    return entry.open_writer(request), stream, entry.row_text(tuple(columns), options)


def spelled(format_name, columns, batch, **raw):
    """Spell rows as the writer of batches does, with nothing after the last."""
    plain = raw | {"compression": "none", **({"encoding": "utf-8"} if format_name == "csv" else {})}
    writer, stream, row = writer_of(format_name, columns, headers=False, **plain)
    writer.write(batch)
    if format_name == "csv":
        return stream.getvalue().removesuffix(row.between.encode())
    opening = layout_of(tuple(columns), parse_options(registry.get("json"), plain, defaults={})).opening
    return stream.getvalue().removeprefix(opening.encode())


def both_ways(format_name, columns, batches, **raw):
    """Write batches, and then the same rows as text; give both ends."""
    ends = []
    for as_text in (False, True):
        writer, stream, _ = writer_of(format_name, columns, **raw)
        nulls = [0] * len(columns)
        for batch in batches:
            if as_text:
                more = writer.write_text(spelled(format_name, columns, batch, **raw), batch.num_rows)
            else:
                writer.write(batch)
                more = [array.null_count for array in batch.columns]
            nulls = [a + b for a, b in zip(nulls, more, strict=True)]
        writer.finish()
        ends.append((stream.getvalue(), writer.rows_in_file, nulls, writer.notices()))
    return ends


def batch_of(*arrays):
    return pa.RecordBatch.from_arrays(list(arrays), names=[f"c{i}" for i in range(len(arrays))])


def mixed_batches(rows, cut):
    kinds = [pa.string(), pa.int64(), pa.bool_(), pa.string()]
    whole = batch_of(*(pa.array([row[i] for row in rows], kind) for i, kind in enumerate(kinds)))
    return [part for part in (whole.slice(0, cut), whole.slice(cut)) if part.num_rows]


def columns_of(column):
    return [
        column("a,b"),
        column('q"\\', Kind.INTEGER),
        column("b\n", Kind.BOOLEAN),
        column("null", Kind.OTHER),
    ]


rows_of_all = st.lists(st.tuples(texts, integers, truths, texts), max_size=8)


@quickly
@given(rows=rows_of_all, style=st.sampled_from(STYLES), cut=st.integers(0, 8))
def test_csv_rows_spelled_elsewhere_give_the_same_file_and_facts(column, rows, style, cut):
    by_batches, by_text = both_ways("csv", columns_of(column), mixed_batches(rows, cut), **style)
    assert by_text == by_batches


@quickly
@given(rows=rows_of_all, layout=st.sampled_from(LAYOUTS), cut=st.integers(0, 8))
def test_json_rows_spelled_elsewhere_give_the_same_file_and_facts(column, rows, layout, cut):
    rows = [tuple("nan" if cell == "NaN" else cell for cell in row) for row in rows]
    by_batches, by_text = both_ways("json", columns_of(column), mixed_batches(rows, cut), **layout)
    assert by_text == by_batches


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("values", [[None], ["", None, "x", None], [None, None], ["=1", None], ["a\n\nb"]])
def test_a_single_columns_nulls_are_empty_lines(column, style, values):
    by_batches, by_text = both_ways("csv", [column("a")], [batch_of(pa.array(values, pa.string()))], **style)
    assert by_text == by_batches


@pytest.mark.parametrize("layout", LAYOUTS)
def test_json_of_a_single_column_tells_null_from_its_word(column, layout):
    batch = batch_of(pa.array([None, "null", "x,null", None]))
    by_batches, by_text = both_ways("json", [column("a")], [batch], **layout)
    assert by_text == by_batches
    assert by_text[2] == [2]


def test_values_of_every_kind_in_one_column_are_counted_alike(column):
    values = [(1, "5"), None, (2, "1.5"), (3, "=5"), (4, "\\x00"), (3, ""), (1, "-3")]
    mixed = pa.array([v and {"kind": v[0], "text": v[1]} for v in values], variant_type())
    for name in ("csv", "json"):
        by_batches, by_text = both_ways(name, [column("v", Kind.VARIANT)], [batch_of(mixed)])
        assert by_text == by_batches


@pytest.mark.parametrize("place", [0, 1, (1 << 18) - 2, (1 << 18) - 1, 1 << 18, (1 << 18) + 1])
def test_a_null_and_a_formula_are_seen_across_the_segments_that_are_looked_at(place):
    filler = b'"' + b"x" * place + b'"\n' if place > 1 else b""
    assert csv_facts(filler + b"1,,2\n4,5,6".replace(b",", b"\n"), 6 + (place > 1), 1, ";", b"\n").nulls == [
        1
    ]
    assert csv_facts(filler + b'"=1"', 1 + (place > 1), 1, ";", b"\n").formulas == 1


@pytest.mark.parametrize("name", ["csv", "json"])
def test_text_that_is_no_utf8_is_left_to_the_batches(column, name):
    writer, stream, _ = writer_of(name, [column("a")], headers=False)
    data = b'"\xff"' if name == "csv" else b'{"a":"\xff"}'
    with pytest.raises(TextUnclear):
        writer.write_text(data, 1)
    assert stream.getvalue() == b""


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_a_text_that_may_be_no_number_is_left_to_the_batches(column, word):
    writer, _, _ = writer_of("json", [column("NaN")])
    writer.write_text(b'{"NaN":"a NaN"}', 1)
    with pytest.raises(TextUnclear):
        writer.write_text(f'{{"NaN":"{word}"}}'.encode(), 1)


@pytest.mark.parametrize("data", [b"1,,3\n4,5", b"1,\n2,3,4", b",", b"1,2\n\n,"])
def test_rows_of_another_width_are_refused(data):
    with pytest.raises(TextUnclear, match="cells"):
        csv_facts(data, 2, 3, ",", b"\n")


@pytest.mark.parametrize(("name", "raws"), [("csv", STYLES), ("json", LAYOUTS)])
def test_a_chunk_is_cut_behind_any_of_its_rows(column, name, raws):
    columns = [column("a,\n"), column("b", Kind.INTEGER)]
    batch = batch_of(pa.array(["x\n,\n", 'y"\n', None, "z"]), pa.array([1, None, 3, 4]))
    for raw in raws:
        _, _, row = writer_of(name, columns, **raw)
        whole = spelled(name, columns, batch, **raw)
        for rows in (1, 2, 3):
            assert first_rows(whole, rows, row) == spelled(name, columns, batch.slice(0, rows), **raw)


@pytest.mark.parametrize(
    "raw",
    [
        {"quoting": "minimal"},
        {"quoting": "all"},
        {"null_value": "NULL"},
        {"booleans": "true/false"},
        {"escape_formulas": True},
        {"encoding": "utf-16"},
        {"encoding": "windows-1252"},
    ],
)
def test_only_the_default_style_of_csv_is_left_to_a_database(column, raw):
    assert writer_of("csv", [column("a")], **raw)[2] is None


def test_documents_and_binary_formats_are_not_left_to_a_database(column):
    assert writer_of("json", [column("a", Kind.JSON)])[2] is None
    assert writer_of("json", [column("a", Kind.ARRAY)])[2] is None
    assert registry.get("parquet").row_text((column("a"),), {}) is None
    assert registry.get("excel").row_text((column("a"),), {}) is None


@pytest.mark.parametrize("name", ["csv", "json"])
def test_nulls_are_counted_by_column_over_a_chunk_of_many_segments(column, name):
    columns = [column("a"), column("b", Kind.INTEGER), column("c")]
    count = 60_000
    batch = batch_of(
        pa.array([None if i % 7 == 0 else 'x"\\,\n=' for i in range(count)]),
        pa.array([None if i % 11 == 0 else i for i in range(count)]),
        pa.array([None if i % 13 == 0 else "=é" for i in range(count)]),
    )
    by_batches, by_text = both_ways(name, columns, [batch, batch.slice(5)])
    assert by_text == by_batches
    assert len(by_text[0]) > 4 * (1 << 18)
