import datetime as dt
import decimal
import io
import re
import xml.etree.ElementTree as ET
import zipfile

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape

from exporter.failures import ValueUnwritable
from exporter.formats import excel, registry
from exporter.formats.base import WriterRequest
from exporter.formats.options import parse_options
from exporter.formats.workbook import column_letters
from exporter.sources.base import Kind
from exporter.sources.types import variant_type

D = decimal.Decimal
HOSTILE = [
    " lead and trail ",
    "a\nb\tc",
    "a\r\nb\r",
    "\0\x01\x1f\x7f\x85",
    "<&>\"'",
    "]]>",
    "😀𝄞",
    "שלום",
    "\ufeff\u202e",
    "\ufffe\uffff",
    "_x0041_",
    "_x0041_x0042_",
    "_x005F_",
    "_x0041",
    "_x0041\x01",
    "__x0041__",
    "_xfade",
    "=1+1",
    "@x",
    "007",
    "1e5",
    "true",
    "&amp;",
    "\\N",
]
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(HOSTILE)
hexish = st.text(st.sampled_from(list("_xX05Ff41\x01\n<&")), max_size=16)


def book_of(done):
    with zipfile.ZipFile(io.BytesIO(done.data)) as archive:
        assert archive.testzip() is None
        for name in archive.namelist():
            ET.fromstring(archive.read(name))
    return openpyxl.load_workbook(io.BytesIO(done.data))


def rows_of(done, sheet=0):
    """Read with openpyxl; texts as OOXML means them, which openpyxl itself leaves undone."""
    cells = book_of(done).worksheets[sheet].iter_rows(values_only=True)
    return [[unescape(cell) if isinstance(cell, str) else cell for cell in row] for row in cells]


@pytest.mark.parametrize("start", range(0, len(HOSTILE), 5))
def test_hostile_text_is_text_in_every_cell(write, column, start):
    values = HOSTILE[start : start + 5]
    columns = [column("na<&>me _x0041_\n"), column("b", Kind.OTHER)]
    done = write("excel", columns, [[pa.array(values), pa.array([None, *values[1:]])]])
    rows = rows_of(done)
    assert rows[0] == ["na<&>me _x0041_\n", "b"]
    assert [row[0] for row in rows[1:]] == values
    assert [row[1] for row in rows[1:]] == [None, *values[1:]]
    assert all(cell.data_type in "sn" for row in book_of(done).active.iter_rows() for cell in row)
    assert done.notices == {}


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(st.none() | texts | hexish, st.none() | st.integers(-(10**15) + 1, 10**15 - 1)), max_size=9
    ),
    cut=st.integers(0, 9),
)
def test_any_text_and_number_come_back_as_they_went_in(write, column, rows, cut):
    batch = pa.RecordBatch.from_arrays(
        [pa.array([r[0] for r in rows], pa.string()), pa.array([r[1] for r in rows], pa.int64())],
        names=["a", "b"],
    )
    parts = [part for part in (batch.slice(0, cut), batch.slice(cut)) if part.num_rows]
    done = write("excel", [column("a"), column("b", Kind.INTEGER)], parts)
    read = rows_of(done)[1:]
    read += [[None, None]] * (len(rows) - len(read))
    assert [(row[0] or None, row[1]) for row in read] == [(text or None, number) for text, number in rows]
    assert done.rows == len(rows)


@pytest.mark.parametrize("as_text", [False, True])
def test_every_kind_has_its_typed_cell(write, column, as_text):
    from exporter.formats.spelling import spell

    typed = [
        (
            column("i", Kind.INTEGER),
            pa.array([10**15 - 1, -(10**15) + 1, 0, None]),
            [10**15 - 1, -(10**15) + 1, 0, None],
        ),
        (
            column("f", Kind.FLOAT),
            pa.array([0.1, 1.7976931348623157e308, -1e-300, None]),
            [0.1, 1.7976931348623157e308, -1e-300, None],
        ),
        (
            column("g", Kind.FLOAT, bits=32),
            pa.array([0.1, 1e10, None, 0.0], pa.float32()),
            [0.1, 1e10, None, 0],
        ),
        (
            column("d", Kind.DECIMAL, precision=12, scale=2),
            pa.array([D("1234567890.12"), D("-0.01"), D("1.50"), None], pa.decimal128(12, 2)),
            [1234567890.12, -0.01, 1.5, None],
        ),
        (column("b", Kind.BOOLEAN), pa.array([True, False, None, True]), [True, False, None, True]),
        (
            column("dd", Kind.DATE),
            pa.array([dt.date(1900, 3, 1), dt.date(9999, 12, 31), None, dt.date(1970, 1, 1)]),
            [dt.datetime(1900, 3, 1), dt.datetime(9999, 12, 31), None, dt.datetime(1970, 1, 1)],
        ),
        (
            column("ts", Kind.TIMESTAMP),
            pa.array(
                [
                    dt.datetime(1900, 3, 1),
                    dt.datetime(9999, 12, 31, 23, 59, 59, 999000),
                    None,
                    dt.datetime(2024, 1, 31, 10, 20, 30, 1000),
                ],
                pa.timestamp("us"),
            ),
            [
                dt.datetime(1900, 3, 1),
                dt.datetime(9999, 12, 31, 23, 59, 59, 999000),
                None,
                dt.datetime(2024, 1, 31, 10, 20, 30, 1000),
            ],
        ),
        (
            column("tz", Kind.TIMESTAMPTZ),
            pa.array(
                [
                    dt.datetime(2024, 1, 31, 10),
                    None,
                    dt.datetime(1969, 12, 31, 23, 59, 59, 999000),
                    dt.datetime(2000, 2, 29),
                ],
                pa.timestamp("us", "UTC"),
            ),
            [
                dt.datetime(2024, 1, 31, 10),
                None,
                dt.datetime(1969, 12, 31, 23, 59, 59, 999000),
                dt.datetime(2000, 2, 29),
            ],
        ),
        (
            column("t", Kind.TIME),
            pa.array([dt.time(1, 2, 3), dt.time(23, 59, 59, 999000), None, dt.time(12)]),
            [dt.time(1, 2, 3), dt.time(23, 59, 59, 999000), None, dt.time(12)],
        ),
        (
            column("x", Kind.BINARY),
            pa.array([b"\x00\xff", b"", None, b"a"], pa.binary()),
            ["\\x00ff", "\\x", None, "\\x61"],
        ),
    ]
    columns, arrays, expected = zip(*typed, strict=True)
    arrays = [spell(array) for array in arrays] if as_text else arrays
    done = write("excel", columns, [arrays, [array.slice(1, 2) for array in arrays]])
    rows = [list(row) for row in zip(*expected, strict=True)]
    assert rows_of(done)[1:] == rows + rows[1:3]
    assert done.notices == {}
    assert done.rows == 6


def test_number_formats_show_decimals_dates_and_the_zone(write, column):
    columns = [
        column("d", Kind.DECIMAL, precision=9, scale=3),
        column("day", Kind.DATE),
        column("ts", Kind.TIMESTAMP),
        column("tz", Kind.TIMESTAMPTZ),
        column("t", Kind.TIME),
    ]
    cells = ["1.500", "2024-01-31", "2024-01-31 10:00:00.5", "2024-01-31 10:00:00+00", "10:00:00"]
    sheet = book_of(write("excel", columns, [[pa.array([cell]) for cell in cells]])).active
    assert [cell.number_format.replace("\\", "") for cell in sheet[2]] == [
        "0.000",
        "yyyy-mm-dd",
        "yyyy-mm-dd hh:mm:ss.000",
        'yyyy-mm-dd hh:mm:ss "UTC"',
        "hh:mm:ss",
    ]
    assert [cell.is_date for cell in sheet[2]] == [False, True, True, True, True]


@pytest.mark.parametrize("scale", [-2, 0, 16, None])
def test_a_scale_without_a_format_of_its_own_is_shown_as_a_plain_number(write, column, scale):
    columns = [column("n", Kind.DECIMAL, precision=9, scale=scale)]
    cell = book_of(write("excel", columns, [[pa.array(["1200"])]])).active["A2"]
    assert (cell.number_format, cell.value) == ("General", 1200)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Kind.INTEGER, ["1000000000000000", "-9223372036854775808", "007", "", "x", "1e3", "1" * 40]),
        (
            Kind.DECIMAL,
            [
                "1234567890123456",
                "0.1234567890123456",
                "NaN",
                "Infinity",
                "1234567890.123456",
                "0." + "0" * 400 + "1",
                "9" * 500,
            ],
        ),
        (Kind.FLOAT, ["NaN", "Infinity", "-Infinity", "5e-324", "1e400", "-2.2250738585072011e-308", "abc"]),
        (
            Kind.DATE,
            [
                "1900-02-28",
                "0001-01-01",
                "10000-01-01",
                "0044-03-15 BC",
                "infinity",
                "2024-02-30",
                "",
                "2024-1-1",
            ],
        ),
        (
            Kind.TIMESTAMP,
            [
                "1900-02-28 23:59:59",
                "2024-01-31 10:00:00.000001",
                "infinity",
                "2024-01-31",
                "2024-02-30 10:00:00",
                "0044-03-15 10:00:00 BC",
                "2024-01-31T10:00:00",
                "2024-01-31 24:00:00",
            ],
        ),
        (
            Kind.TIMESTAMPTZ,
            [
                "2024-01-31 10:00:00",
                "2024-01-31 10:00:00+02",
                "-infinity",
                "2024-01-31 10:00:00.123456+00",
                "12024-01-31 10:00:00+00",
            ],
        ),
        (Kind.TIME, ["24:00:00", "10:00:00.000001", "10:00", "10:00:00+02", "x"]),
    ],
)
def test_what_excel_cannot_hold_exactly_is_text_and_counted(write, column, kind, values):
    good = {
        "INTEGER": "5",
        "DECIMAL": "5",
        "FLOAT": "5",
        "DATE": "2024-01-31",
        "TIMESTAMP": "2024-01-31 10:00:00",
        "TIMESTAMPTZ": "2024-01-31 10:00:00+00",
        "TIME": "10:00:00",
    }[kind.name]
    done = write(
        "excel",
        [column("a", kind), column("k")],
        [[pa.array([*values, None, good]), pa.array(["k"] * (len(values) + 2))]],
    )
    rows = [row[0] for row in rows_of(done)[1:]]
    assert [row or "" for row in rows[:-2]] == values
    assert rows[-2] is None
    assert not isinstance(rows[-1], str)
    assert sum(done.notices.values()) == len(values)
    assert set(done.notices) <= {"number_as_text", "date_as_text"}


@pytest.mark.parametrize(
    "value",
    [
        "123456789012345",
        "0.000001234567890123450000",
        "-99999.9999999999000",
        "100000000000000.00",
        "0.00",
        "-0.5000000000000000000000",
    ],
)
def test_decimals_of_fifteen_digits_are_numbers(write, column, value):
    done = write("excel", [column("a", Kind.DECIMAL)], [[pa.array([value])]])
    assert rows_of(done)[1] == [float(value)]
    assert done.notices == {}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**20), max_value=10**20),
        min_size=1,
        max_size=8,
    )
)
def test_every_decimal_comes_back_with_all_its_digits(write, column, values):
    spelled = [f"{value:f}" for value in values]
    for row, value in zip(
        rows_of(write("excel", [column("a", Kind.DECIMAL)], [[pa.array(spelled)]]))[1:], values, strict=True
    ):
        assert D(row[0] if isinstance(row[0], str) else f"{row[0]:.15g}") == value


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31))
        | st.datetimes(dt.datetime(1900, 3, 1)).map(
            lambda d: d.replace(microsecond=d.microsecond // 1000 * 1000)
        ),
        min_size=1,
        max_size=8,
    )
)
def test_every_timestamp_comes_back_with_all_its_digits(write, column, values):
    done = write("excel", [column("a", Kind.TIMESTAMP)], [[pa.array(values, pa.timestamp("us"))]])
    for row, value in zip(rows_of(done)[1:], values, strict=True):
        assert (dt.datetime.fromisoformat(row[0]) if isinstance(row[0], str) else row[0]) == value


def test_a_variant_keeps_each_values_own_kind(write, column):
    cells = [
        (1, "5"),
        None,
        (2, "1.5"),
        (3, "5"),
        (4, "\\x00"),
        (2, "Infinity"),
        (1, "9223372036854775807"),
        (3, "<_x0041_>"),
    ]
    mixed = pa.array([c and {"kind": c[0], "text": c[1]} for c in cells], variant_type())
    columns = [column("k"), column("v", Kind.VARIANT)]
    batches = [
        [pa.array(["k"] * 8), mixed],
        [pa.array(["k"] * 3), mixed.slice(3, 3)],
        [pa.array(["k"]), pa.array([7])],
        [pa.array(["k"]), pa.array(["7"])],
        [pa.array(["k"]), pa.nulls(1)],
    ]
    done = write("excel", columns, batches)
    values = [5, None, 1.5, "5", "\\x00", "Infinity", "9223372036854775807", "<_x0041_>"]
    assert [row[1] for row in rows_of(done)[1:]] == [*values, *values[3:6], 7, "7", None]
    assert done.notices == {"number_as_text": 3}


def test_the_header_is_bold_frozen_and_filtered_and_widths_are_sensible(write, column):
    columns = [
        column("id", Kind.INTEGER),
        column("a rather long heading", Kind.BOOLEAN),
        column("t"),
        column("d", Kind.DATE),
    ]
    arrays = [
        pa.array([1, 2]),
        pa.array([True, None]),
        pa.array(["x" * 500, None]),
        pa.array(["2024-01-31", None]),
    ]
    sheet = book_of(write("excel", columns, [arrays], sheet_name="It's Ümläut & <co>")).worksheets[0]
    assert sheet.title == "It's Ümläut & <co>"
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:D3"
    assert all(cell.font.bold for cell in sheet[1])
    assert not any(cell.font.bold for cell in sheet[2])
    widths = [sheet.column_dimensions[letter].width for letter in "ABCD"]
    assert widths == [9, 25, 60, 12]


def test_without_headers_nothing_is_frozen_or_filtered(write, column):
    done = write("excel", [column("a")], [[pa.array(["x"])]], headers=False)
    sheet = book_of(done).active
    assert [list(row) for row in sheet.iter_rows(values_only=True)] == [["x"]]
    assert sheet.freeze_panes is None
    assert sheet.auto_filter.ref is None
    assert done.rows == 1


@pytest.mark.parametrize("headers", [True, False])
def test_no_rows_give_a_valid_workbook(write, column, headers):
    done = write("excel", [column("a"), column("b")], [], headers=headers)
    assert rows_of(done) == ([["a", "b"]] if headers else [])
    assert done.rows == 0


def export(columns, batches, *, max_rows, headers=True, sheet_name="Data"):
    entry = registry.get("excel")
    options = parse_options(entry, {"sheet_name": sheet_name}, defaults={})
    stream = io.BytesIO()
    request = WriterRequest(stream=stream, columns=columns, options=options, include_headers=headers)
    writer = excel.ExcelWriter(request, max_rows=max_rows)
    for batch in batches:
        writer.write(batch)
    writer.finish()
    return writer, openpyxl.load_workbook(io.BytesIO(stream.getvalue()))


@pytest.mark.parametrize(("headers", "sizes"), [(True, [9, 9, 3]), (False, [10, 10, 1])])
def test_rows_past_a_sheets_end_go_on_in_further_sheets_headed_again(column, headers, sizes):
    batches = [
        pa.RecordBatch.from_arrays([pa.array(range(start, start + 7))], names=["a"]) for start in (0, 7, 14)
    ]
    writer, book = export(
        (column("a", Kind.INTEGER),),
        batches,
        max_rows=10,
        headers=headers,
        sheet_name="A name of 31 characters: not it"[:23] + "12345678",
    )
    assert book.sheetnames[1:] == [
        "A name of 31 characters1234 (2)"[:27] + " (2)",
        "A name of 31 characters1234"[:27] + " (3)",
    ]
    assert all(len(name) <= 31 for name in book.sheetnames)
    found = []
    for sheet, size in zip(book.worksheets, sizes, strict=True):
        values = [row[0] for row in sheet.iter_rows(values_only=True)]
        assert (values.pop(0) == "a") if headers else True
        assert len(values) == size
        found += values
    assert found == list(range(21))
    assert writer.rows_in_file == 21
    assert [(notice.code, notice.count) for notice in writer.notices()] == [("further_sheets", 2)]


def test_a_sheet_that_is_just_full_needs_no_further_one(column):
    batch = pa.RecordBatch.from_arrays([pa.array(range(9))], names=["a"])
    writer, book = export((column("a", Kind.INTEGER),), [batch], max_rows=10)
    assert len(book.worksheets) == 1
    assert writer.notices() == ()
    assert writer.rows_in_file == 9


def test_the_ceiling_is_that_of_excel():
    assert excel.MAX_ROWS == 1_048_576
    assert column_letters(excel.MAX_COLUMNS - 1) == "XFD"
    assert [column_letters(n) for n in (0, 25, 26, 51, 52, 701, 702)] == [
        "A",
        "Z",
        "AA",
        "AZ",
        "BA",
        "ZZ",
        "AAA",
    ]


def test_too_many_columns_are_refused(write, column):
    with pytest.raises(ValueUnwritable, match="16385 columns"):
        write("excel", [column(f"c{i}") for i in range(16_385)], [])


@pytest.mark.parametrize("text", ["x" * 32_767, "ü" * 32_767, "😀" * 16_383])
def test_a_text_that_just_fits_is_written(write, column, text):
    assert rows_of(write("excel", [column("a")], [[pa.array([text])]]))[1] == [text]


@pytest.mark.parametrize("text", ["x" * 32_768, "😀" * 16_384])
def test_too_long_a_text_fails_with_its_row_and_column(write, column, text):
    columns = [column("a", Kind.INTEGER), column("näme")]
    batches = [[pa.array([1, 2]), pa.array(["x", None])], [pa.array([1, 2, 3]), pa.array([None, "y", text])]]
    with pytest.raises(ValueUnwritable, match=r"^Row 5, column 'näme': .*32768 characters"):
        write("excel", columns, batches)


def test_every_cell_has_its_reference_and_null_has_no_cell(write, column):
    columns = [column("a"), column("b", Kind.INTEGER), column("c")]
    done = write("excel", columns, [[pa.array(["x", None]), pa.array([None, 5]), pa.array(["", "z"])]])
    with zipfile.ZipFile(io.BytesIO(done.data)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    assert re.findall(r'<row r="(\d+)">(.*?)</row>', sheet)[1:] == [
        (
            "2",
            '<c r="A2" t="inlineStr"><is><t xml:space="preserve">x</t></is></c><c r="C2" t="inlineStr"><is><t xml:space="preserve"></t></is></c>',
        ),
        ("3", '<c r="B3"><v>5</v></c><c r="C3" t="inlineStr"><is><t xml:space="preserve">z</t></is></c>'),
    ]


def test_many_columns_are_whole(write, column):
    columns = [column(f"c{i}") for i in range(1000)]
    rows = rows_of(write("excel", columns, [[pa.array([f"v{i}", None]) for i in range(1000)]]))
    assert rows[0] == [f"c{i}" for i in range(1000)]
    assert rows[1] == [f"v{i}" for i in range(1000)]


@pytest.mark.parametrize("engine", ["openpyxl", "calamine"])
def test_pandas_reads_it(write, column, engine):
    import pandas as pd

    done = write(
        "excel", [column("a", Kind.INTEGER), column("b")], [[pa.array([1, 2]), pa.array(["x", "007"])]]
    )
    frame = pd.read_excel(io.BytesIO(done.data), engine=engine)
    assert frame["a"].tolist() == [1, 2]
    assert frame["b"].tolist() == ["x", "007"]


def test_an_abandoned_workbook_is_no_archive(column):
    entry = registry.get("excel")
    stream = io.BytesIO()
    writer = entry.open_writer(
        WriterRequest(stream=stream, columns=(column("a"),), options=parse_options(entry, {}, defaults={}))
    )
    writer.write(pa.RecordBatch.from_arrays([pa.array(["x"])], names=["a"]))
    writer.abandon()
    del writer
    assert not zipfile.is_zipfile(stream)


def test_equal_data_gives_equal_bytes(write, column):
    batch = [pa.array(["x", None])]
    assert write("excel", [column("a")], [batch]).data == write("excel", [column("a")], [batch]).data
