import csv
import datetime as dt
import decimal
import io

import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.failures import ValueUnwritable
from exporter.sources.base import Kind
from exporter.sources.types import variant_type

D = decimal.Decimal
HOSTILE = [
    "",
    " ",
    " lead and trail ",
    '"',
    '""',
    'say "hi"',
    ",",
    ";",
    "\n",
    "\r",
    "\r\n",
    'a\n"b"\r\nc,d',
    "\0",
    "\ufeffmark",
    "😀𝄞",
    "שלום עולם",
    "\u202egnirts",
    "\\N",
    "\\.",
    "NULL",
    "_x0041_",
    "=1+1",
    "+1",
    "-1",
    "@x",
    "\tx",
    "007",
    "\x01\x1f\x7f\x85",
    "\u2028\u2029",
    "\ufffe\uffff",
    "'",
]
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(HOSTILE)


def read_arrow(data, options, *, headers=True):
    """Read with Arrow's own CSV reader: it tells a bare NULL from a quoted empty text."""
    encoding = {"utf-8-sig": "utf-8"}.get(options["encoding"], options["encoding"])
    return pyarrow.csv.read_csv(
        io.BytesIO(data),
        read_options=pyarrow.csv.ReadOptions(encoding=encoding, autogenerate_column_names=not headers),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=options["delimiter"], newlines_in_values=True, ignore_empty_lines=False
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            null_values=[options["null_value"]],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            column_types={f"c{i}": pa.string() for i in range(20)}
            | {f"f{i}": pa.string() for i in range(20)},
        ),
    )


def read_csv(data, options):
    text = io.StringIO(data.decode(options["encoding"]), newline="")
    return list(csv.reader(text, delimiter=options["delimiter"], strict=True))


@pytest.mark.parametrize("quoting", ["text", "minimal", "all"])
@pytest.mark.parametrize("line_terminator", ["lf", "crlf"])
@pytest.mark.parametrize("delimiter", [",", ";", "tab", "|", "=", "@"])
def test_hostile_text_survives_every_quoting(write, column, quoting, line_terminator, delimiter):
    values = [*HOSTILE, None, "end"]
    done = write(
        "csv",
        [column("c0"), column("c1", Kind.INTEGER)],
        [[pa.array(values), pa.array(range(len(values)))]],
        quoting=quoting,
        line_terminator=line_terminator,
        delimiter=delimiter,
    )
    assert done.rows == len(values)
    table = read_arrow(done.data, done.options)
    assert table["c0"].to_pylist() == values
    assert table["c1"].to_pylist() == [str(i) for i in range(len(values))]
    rows = read_csv(done.data, done.options)
    assert rows[0] == ["c0", "c1"]
    assert [row[0] for row in rows[1:]] == [value or "" for value in values]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(st.none() | texts, st.none() | texts), max_size=12),
    quoting=st.sampled_from(["text", "minimal", "all"]),
    delimiter=st.sampled_from([",", ";", "\t", "~"]),
    null_value=st.sampled_from(["", "NULL", r"\N", "-"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    terminator=st.sampled_from(["\n", "\r\n"]),
    cut=st.integers(0, 12),
)
def test_any_text_comes_back_as_it_went_in(
    write, column, rows, quoting, delimiter, null_value, encoding, terminator, cut
):
    batch = pa.RecordBatch.from_arrays(
        [pa.array([row[i] for row in rows], pa.string()) for i in (0, 1)], names=["c0", "c1"]
    )
    parts = [part for part in (batch.slice(0, cut), batch.slice(cut)) if part.num_rows]
    done = write(
        "csv",
        [column("c0"), column("c1", Kind.OTHER)],
        parts,
        quoting=quoting,
        delimiter=delimiter,
        null_value=null_value,
        encoding=encoding,
        line_terminator=terminator,
    )
    assert done.rows == len(rows)
    table = read_arrow(done.data, done.options)
    assert list(zip(table["c0"].to_pylist(), table["c1"].to_pylist(), strict=True)) == rows


def typed_columns(column):
    return [
        (
            column("i", Kind.INTEGER),
            pa.array([-(2**63), 2**63 - 1, None]),
            [str(-(2**63)), str(2**63 - 1), ""],
        ),
        (column("s", Kind.INTEGER, bits=16), pa.array([-32768, 0, None], pa.int16()), ["-32768", "0", ""]),
        (column("f", Kind.FLOAT), pa.array([0.1, float("nan"), None]), ["0.1", "NaN", ""]),
        (
            column("g", Kind.FLOAT),
            pa.array([float("inf"), float("-inf"), -0.0]),
            ["Infinity", "-Infinity", "-0"],
        ),
        (column("r", Kind.FLOAT, bits=32), pa.array([0.1, None, 1e10], pa.float32()), ["0.1", "", "1e+10"]),
        (
            column("d", Kind.DECIMAL),
            pa.array([D("0E-10"), D("-1E-10"), None], pa.decimal128(38, 10)),
            ["0.0000000000", "-0.0000000001", ""],
        ),
        (
            column("e", Kind.DECIMAL),
            pa.array([D("9" * 60 + "." + "8" * 10), D("-5E-10"), None], pa.decimal256(76, 10)),
            ["9" * 60 + "." + "8" * 10, "-0.0000000005", ""],
        ),
        (column("b", Kind.BOOLEAN), pa.array([True, False, None]), ["t", "f", ""]),
        (
            column("dd", Kind.DATE),
            pa.array([dt.date(2024, 1, 31), dt.date(1, 1, 1), None]),
            ["2024-01-31", "0001-01-01", ""],
        ),
        (
            column("far", Kind.DATE),
            pa.array([2932897, -719163, -1000000], pa.int32()).cast(pa.date32()),
            ["10000-01-01", "0001-12-31 BC", "0769-02-04 BC"],
        ),
        (
            column("t", Kind.TIME),
            pa.array([dt.time(1, 2, 3), dt.time(23, 59, 59, 999999), None]),
            ["01:02:03", "23:59:59.999999", ""],
        ),
        (
            column("ts", Kind.TIMESTAMP),
            pa.array(
                [dt.datetime(2024, 1, 31, 10, 0, 0, 500000), None, dt.datetime(9999, 12, 31)],
                pa.timestamp("us"),
            ),
            ["2024-01-31 10:00:00.5", "", "9999-12-31 00:00:00"],
        ),
        (
            column("tz", Kind.TIMESTAMPTZ),
            pa.array([1706695200000000, None, -99999999999999999]).cast(pa.timestamp("us", "UTC")),
            ["2024-01-31 10:00:00+00", "", "1200-02-15 14:13:20.000001+00 BC"],
        ),
        (column("x", Kind.BINARY), pa.array([b"\x00\xff", b"", None], pa.binary()), ["\\x00ff", "\\x", ""]),
        (column("l", Kind.TEXT), pa.array(["a", None, "b"], pa.large_string()), ["a", "", "b"]),
        (column("n", Kind.INTEGER), pa.nulls(3), ["", "", ""]),
    ]


@pytest.mark.parametrize("quoting", ["text", "minimal", "all"])
def test_every_arrow_type_is_spelled_as_postgresql_spells_it(write, column, quoting):
    columns, arrays, expected = zip(*typed_columns(column), strict=True)
    done = write("csv", columns, [arrays, [array.slice(1) for array in arrays]], quoting=quoting)
    rows = read_csv(done.data, done.options)
    table = [list(row) for row in zip(*expected, strict=True)]
    assert rows[1:] == table + table[1:]
    assert done.rows == 5


def test_numbers_truths_and_dates_stand_bare_and_text_is_quoted(write, column):
    columns = [
        column("a", Kind.INTEGER),
        column("b", Kind.TEXT),
        column("c", Kind.UUID),
        column("d", Kind.JSON),
        column("e", Kind.BINARY),
        column("f", Kind.ARRAY),
        column("g", Kind.OTHER),
        column("h", Kind.DATE),
        column("i", Kind.BOOLEAN),
        column("j", Kind.DECIMAL),
    ]
    cells = ["1", "007", "u", "{}", "\\x00", "{1}", "1 day", "2024-01-31", "t", "1.50"]
    done = write("csv", columns, [[pa.array([cell]) for cell in cells]])
    assert done.data.decode().splitlines() == [
        '"a","b","c","d","e","f","g","h","i","j"',
        '1,"007","u","{}","\\x00","{1}","1 day",2024-01-31,t,1.50',
    ]


def test_null_differs_from_an_empty_text_under_every_quoting(write, column):
    for quoting in ("text", "minimal", "all"):
        done = write(
            "csv", [column("a"), column("b")], [[pa.array([None, ""]), pa.array(["", None])]], quoting=quoting
        )
        assert done.data.decode().splitlines()[1:] == [',""', '"",']


@pytest.mark.parametrize("quoting", ["text", "minimal", "all"])
def test_a_text_equal_to_the_null_value_is_quoted(write, column, quoting):
    done = write(
        "csv",
        [column("a"), column("b")],
        [[pa.array(["NA", None]), pa.array([None, "NA"])]],
        quoting=quoting,
        null_value="NA",
    )
    assert done.data.decode().splitlines()[1:] == ['"NA",NA', 'NA,"NA"']


def test_minimal_quoting_quotes_only_what_would_be_misread(write, column):
    values = ["a", " b ", "", "\\.", "a,b", 'a"b', "a\rb", "\\x", "\ufeff", "ü"]
    done = write("csv", [column("a")], [[pa.array(values)]], quoting="minimal", headers=False)
    assert done.data.decode() == 'a\n b \n""\n"\\."\n"a,b"\n"a""b"\n"a\rb"\n\\x\n"\ufeff"\nü\n'


def test_a_column_of_dates_that_holds_other_text_is_still_read_back(write, column):
    values = ["2024-01-31", "not, a date", "", None, 'q"', "x\ny"]
    done = write("csv", [column("c0", Kind.DATE), column("c1")], [[pa.array(values), pa.array(["k"] * 6)]])
    assert read_arrow(done.data, done.options)["c0"].to_pylist() == values
    assert done.rows == 6


def variants(values):
    return pa.array([v and {"kind": v[0], "text": v[1]} for v in values], variant_type())


def test_a_variant_column_quotes_its_texts_and_leaves_its_numbers_bare(write, column):
    mixed = variants([(1, "5"), None, (2, "1.5"), (3, "5"), (4, "\\x00"), (3, ""), (3, 'a"b')])
    done = write("csv", [column("v", Kind.VARIANT)], [[mixed], [mixed.slice(5)], [mixed.slice(0, 1)]])
    expected = ['"v"', "5", "", "1.5", '"5"', '"\\x00"', '""', '"a""b"', '""', '"a""b"', "5"]
    assert done.data.decode().splitlines() == expected
    assert done.rows == 10


def test_a_column_may_change_its_arrow_type_from_batch_to_batch(write, column):
    batches = [
        [pa.array([1, None])],
        [pa.array([1.5])],
        [pa.array(["07"])],
        [variants([(1, "2"), (3, "2")])],
        [pa.array([b"\x01"], pa.binary())],
        [pa.nulls(1)],
    ]
    done = write("csv", [column("v", Kind.VARIANT)], batches)
    assert done.data.decode() == '"v"\n1\n\n1.5\n"07"\n2\n"2"\n"\\x01"\n\n'
    assert done.rows == 8


@pytest.mark.parametrize("quoting", ["text", "minimal", "all"])
def test_formulas_are_counted_and_left_alone_by_default(write, column, quoting):
    values = ["=1", "+1", "-1", "@a", "\ta", "\ra", "a=", "", None, "'=1"]
    numbers = pa.array([-5] * 10)
    done = write(
        "csv", [column("=c0"), column("n", Kind.INTEGER)], [[pa.array(values), numbers]], quoting=quoting
    )
    assert done.notices == {"formula_like_text": 6}
    assert [row[0] for row in read_csv(done.data, done.options)] == ["=c0", *[v or "" for v in values]]


def test_formulas_are_disarmed_on_request_and_numbers_never(write, column):
    values = ["=1", "+1", "-1", "@a", "\ta", "\ra", "a=", "", None]
    numbers = [pa.array([-5] * 9), pa.array(["-5"] * 9), pa.array(["-infinity"] * 9)]
    columns = [column("=c0"), column("n", Kind.INTEGER), column("m", Kind.DECIMAL), column("d", Kind.DATE)]
    done = write("csv", columns, [[pa.array(values), *numbers]], escape_formulas=True)
    rows = read_csv(done.data, done.options)
    assert [row[0] for row in rows] == ["'=c0", "'=1", "'+1", "'-1", "'@a", "'\ta", "'\ra", "a=", "", ""]
    assert {tuple(row[1:]) for row in rows[1:]} == {("-5", "-5", "-infinity")}
    assert done.notices == {"formulas_escaped": 6}


def test_a_formula_in_a_column_of_dates_is_disarmed_too(write, column):
    done = write("csv", [column("d", Kind.DATE)], [[pa.array(["=1", "2024-01-31"])]], escape_formulas=True)
    assert done.data.decode().splitlines()[1:] == ["'=1", "2024-01-31"]


@pytest.mark.parametrize(
    ("encoding", "start"),
    [
        ("utf-8", b'"n'),
        ("utf-8-sig", b'\xef\xbb\xbf"n'),
        ("utf-16", b'\xff\xfe"\0n\0'),
        ("iso-8859-1", b'"n'),
        ("windows-1252", b'"n'),
    ],
)
def test_every_encoding_is_read_back(write, column, encoding, start):
    values = ["äöü", "ÿ", "plain", "a\nb", None]
    done = write("csv", [column("name")], [[pa.array(values)]] * 2, encoding=encoding)
    assert done.data.startswith(start)
    assert [row[0] if row else "" for row in read_csv(done.data, done.options)] == [
        "name",
        *[v or "" for v in values] * 2,
    ]
    assert done.rows == 10


@pytest.mark.parametrize("encoding", ["iso-8859-1", "windows-1252"])
def test_a_character_outside_the_encoding_fails_with_its_row_and_column(write, column, encoding):
    columns = [column("a"), column("näme"), column("n", Kind.INTEGER)]
    batch = [pa.array(["ä", "b"]), pa.array(["x", "y"]), pa.array([1, 2])]
    bad = [pa.array(["ää", "b", "ü"]), pa.array(["x", "yü→", "→"]), pa.array([1, 2, 3])]
    with pytest.raises(ValueUnwritable) as caught:
        write("csv", columns, [batch, bad], encoding=encoding)
    assert caught.value.facts["row"] == 4
    assert caught.value.facts["column"] == "näme"
    assert "'→' (U+2192)" in caught.value.message
    assert encoding in caught.value.message


def test_the_row_of_an_unwritable_character_is_right_in_a_sliced_batch(write, column):
    batch = pa.RecordBatch.from_arrays([pa.array(["→", "a", "→"])], names=["a"]).slice(1)
    with pytest.raises(ValueUnwritable, match=r"^Row 2, column 'a'"):
        write("csv", [column("a")], [batch], encoding="iso-8859-1")


def test_a_column_name_outside_the_encoding_fails_by_name(write, column):
    with pytest.raises(ValueUnwritable, match="name of column '→'"):
        write("csv", [column("a"), column("→")], [], encoding="iso-8859-1")


def test_replaced_characters_are_counted(write, column):
    done = write(
        "csv",
        [column("a")],
        [[pa.array(["→?😀", "ok", None])]],
        encoding="iso-8859-1",
        encoding_errors="replace",
    )
    assert done.data.decode("iso-8859-1") == '"a"\n"???"\n"ok"\n\n'
    assert done.notices == {"characters_replaced": 2}


def test_no_rows_give_a_header_alone(write, column):
    assert write("csv", [column("a"), column("b")], []).data == b'"a","b"\n'
    assert write("csv", [column("a"), column("b")], []).rows == 0
    assert write("csv", [column("a")], [], headers=False).data == b""


def test_headers_may_be_left_out_and_may_be_hostile(write, column):
    done = write(
        "csv", [column('a"b'), column("c,d\ne")], [[pa.array(["x"]), pa.array(["y"])]], quoting="minimal"
    )
    assert read_csv(done.data, done.options) == [['a"b', "c,d\ne"], ["x", "y"]]
    assert done.rows == 1
    bare = write("csv", [column("a")], [[pa.array(["x\ny"])]], headers=False)
    assert bare.data == b'"x\ny"\n'
    assert bare.rows == 1


def test_very_wide_cells_and_many_columns_are_whole(write, column):
    wide = 'a"\n' * 3_500_000
    done = write("csv", [column("c0"), column("c1")], [[pa.array([wide, "b"]), pa.array([None, wide])]])
    assert done.rows == 2
    old = csv.field_size_limit(1 << 30)
    try:
        assert read_csv(done.data, done.options)[1:] == [[wide, ""], ["b", wide]]
    finally:
        csv.field_size_limit(old)
    columns = [column(f"c{i}") for i in range(1000)]
    many = write("csv", columns, [[pa.array([f"v{i}", None]) for i in range(1000)]])
    assert read_csv(many.data, many.options)[1] == [f"v{i}" for i in range(1000)]
    assert many.rows == 2


def test_the_pandas_preset_is_read_back_by_a_plain_read_csv(write, column):
    import pandas as pd

    columns = [column("i", Kind.INTEGER), column("f", Kind.FLOAT), column("b", Kind.BOOLEAN), column("t")]
    arrays = [pa.array([1, 2]), pa.array([0.5, None]), pa.array(["t", "f"]), pa.array(["x,y\nz", 'q"'])]
    frame = pd.read_csv(io.BytesIO(write("csv", columns, [arrays], preset="pandas").data))
    assert frame["i"].tolist() == [1, 2]
    assert frame["f"].isna().tolist() == [False, True]
    assert frame["b"].tolist() == [True, False]
    assert frame["b"].dtype == bool
    assert frame["t"].tolist() == ["x,y\nz", 'q"']
    lone = pd.read_csv(
        io.BytesIO(write("csv", [column("a")], [[pa.array(["x", None, "y"])]], preset="pandas").data)
    )
    assert lone["a"].isna().tolist() == [False, True, False]


def test_the_spreadsheet_preset_has_a_mark_crlf_and_no_live_formula(write, column):
    done = write(
        "csv", [column("a"), column("b")], [[pa.array(["=1"]), pa.array(["x"])]], preset="spreadsheet-eu"
    )
    assert done.data == b'\xef\xbb\xbf"a";"b"\r\n"\'=1";"x"\r\n'


def test_abandoning_writes_nothing_more(column):
    from exporter.formats import registry
    from exporter.formats.base import WriterRequest
    from exporter.formats.options import parse_options

    for compression in ("none", "gzip", "zstd", "zip"):
        stream = io.BytesIO()
        entry = registry.get("csv")
        options = parse_options(entry, {"compression": compression}, defaults={})
        writer = entry.open_writer(WriterRequest(stream=stream, columns=(column("a"),), options=options))
        writer.write(pa.RecordBatch.from_arrays([pa.array(["x"] * 1000)], names=["a"]))
        before = stream.getvalue()
        writer.abandon()
        writer.abandon()
        del writer
        assert stream.getvalue() == before
