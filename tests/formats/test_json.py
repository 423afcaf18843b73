import datetime as dt
import decimal
import io
import json

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.formats.arrays import outline
from exporter.sources.base import Kind
from exporter.sources.types import variant_type

D = decimal.Decimal
LAYOUTS = [
    {"layout": "array"},
    {"layout": "lines"},
    {"layout": "columns"},
    {"layout": "array", "indent": 2},
    {"layout": "columns", "indent": 3},
]
HOSTILE = [
    '"',
    "\\",
    "\n\r\t\b\f",
    "\0\x01\x1f\x7f",
    "😀𝄞",
    "\u2028",
    "\ufeff",
    "",
    " ",
    "null",
    "</script>",
    "\ufffe\uffff",
    "\\u0041",
    '\\"',
]
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(HOSTILE)


def read(done, columns):
    """Read every layout as a list of objects; numbers with a point stay exact."""
    text = done.data.decode()
    if done.options["layout"] == "lines":
        return [json.loads(line, parse_float=D) for line in text.split("\n")[:-1]]
    document = json.loads(text, parse_float=D)
    if done.options["layout"] == "array":
        return document
    assert document["columns"] == [column.name for column in columns]
    return [dict(zip(document["columns"], row, strict=True)) for row in document["rows"]]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_hostile_text_survives_every_layout(write, column, layout):
    columns = [column('na"me\n\\'), column("übrig"), column("n", Kind.INTEGER)]
    values = [*HOSTILE, None]
    arrays = [pa.array(values), pa.array(values[::-1]), pa.array(range(len(values)))]
    done = write("json", columns, [arrays, [array.slice(3, 2) for array in arrays]], **layout)
    rows = [
        dict(zip((c.name for c in columns), row, strict=True))
        for row in zip(values, values[::-1], range(99), strict=False)
    ]
    assert read(done, columns) == rows + rows[3:5]
    assert done.rows == len(rows) + 2
    assert done.notices == {}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(st.none() | texts, st.none() | st.integers(-(2**63), 2**63 - 1)), max_size=9),
    name=texts,
    layout=st.sampled_from(LAYOUTS),
    cut=st.integers(0, 9),
)
def test_any_text_and_integer_come_back_as_they_went_in(write, column, rows, name, layout, cut):
    columns = [column(name), column(name + "2", Kind.INTEGER)]
    batch = pa.RecordBatch.from_arrays(
        [pa.array([row[0] for row in rows], pa.string()), pa.array([row[1] for row in rows], pa.int64())],
        names=["a", "b"],
    )
    done = write(
        "json", columns, [part for part in (batch.slice(0, cut), batch.slice(cut)) if part.num_rows], **layout
    )
    assert [tuple(row.values()) for row in read(done, columns)] == rows
    assert done.rows == len(rows)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_rows_give_a_valid_document(write, column, layout):
    columns = [column("a"), column("b")]
    done = write("json", columns, [], **layout)
    assert read(done, columns) == []
    assert done.rows == 0


def test_without_an_indent_every_row_ends_its_line(write, column):
    rows = [[pa.array(["x\ny", None])], [pa.array(["z"])]]
    assert write("json", [column("a")], rows).data == b'[\n{"a":"x\\ny"},\n{"a":null},\n{"a":"z"}\n]\n'
    assert (
        write("json", [column("a")], rows, preset="bigquery").data
        == b'{"a":"x\\ny"}\n{"a":null}\n{"a":"z"}\n'
    )


def test_an_indented_document_looks_like_that_of_the_json_module(write, column):
    arrays = [pa.array([1, 2]), pa.array(["a", None])]
    columns = [column("i", Kind.INTEGER), column("t")]
    for layout in ("array", "columns"):
        text = write("json", columns, [arrays, arrays], layout=layout, indent=3).data.decode()
        assert text == json.dumps(json.loads(text), indent=3) + "\n"


@pytest.mark.parametrize("as_text", [False, True])
def test_every_kind_has_its_json_value(write, column, as_text):
    typed = [
        (column("i", Kind.INTEGER), pa.array([-(2**63), 2**63 - 1, None]), [-(2**63), 2**63 - 1, None]),
        (column("s", Kind.INTEGER), pa.array([-5, 0, None], pa.int16()), [-5, 0, None]),
        (column("f", Kind.FLOAT), pa.array([0.1, -1e300, None]), [D("0.1"), D("-1e300"), None]),
        (
            column("n", Kind.FLOAT),
            pa.array([float("nan"), float("inf"), float("-inf")]),
            ["NaN", "Infinity", "-Infinity"],
        ),
        (column("m", Kind.FLOAT), pa.array([1.5, float("inf"), None]), [D("1.5"), "Infinity", None]),
        (
            column("d", Kind.DECIMAL),
            pa.array([D("12345678901234567890.0123456789"), D("0E-10"), None], pa.decimal128(38, 10)),
            [D("12345678901234567890.0123456789"), D("0.0000000000"), None],
        ),
        (column("b", Kind.BOOLEAN), pa.array([True, False, None]), [True, False, None]),
        (
            column("dd", Kind.DATE),
            pa.array([dt.date(2024, 1, 31), None, dt.date(1, 1, 1)]),
            ["2024-01-31", None, "0001-01-01"],
        ),
        (
            column("t", Kind.TIME),
            pa.array([dt.time(1, 2, 3, 500000), None, dt.time(0)]),
            ["01:02:03.5", None, "00:00:00"],
        ),
        (
            column("ts", Kind.TIMESTAMP),
            pa.array(
                [dt.datetime(2024, 1, 31, 10, 0, 0, 500000), None, dt.datetime(1, 1, 1)], pa.timestamp("us")
            ),
            ["2024-01-31T10:00:00.5", None, "0001-01-01T00:00:00"],
        ),
        (
            column("tz", Kind.TIMESTAMPTZ),
            pa.array([1706695200000000, None, -99999999999999999]).cast(pa.timestamp("us", "UTC")),
            ["2024-01-31T10:00:00+00:00", None, "1200-02-15 14:13:20.000001+00 BC"],
        ),
        (column("x", Kind.BINARY), pa.array([b"\x00\xff", b"", None], pa.binary()), ["\\x00ff", "\\x", None]),
    ]
    from exporter.formats.spelling import spell

    columns, arrays, expected = zip(*typed, strict=True)
    arrays = [spell(array) for array in arrays] if as_text else arrays
    done = write("json", columns, [arrays, [array.slice(1) for array in arrays]])
    rows = [list(row) for row in zip(*expected, strict=True)]
    assert [list(row.values()) for row in read(done, columns)] == rows + rows[1:]
    assert done.notices == {"non_finite_as_text": 7}


@pytest.mark.parametrize(
    "value", ["0", "-0", "10", "-1.5", "1e5", "1E-7", "0.1e+20", "123456789" * 20, "-0.0000001"]
)
def test_a_number_given_as_text_keeps_its_digits(write, column, value):
    for kind in (Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT):
        data = write("json", [column("a", kind)], [[pa.array([value, None])]], layout="lines").data
        assert data.decode() == f'{{"a":{value}}}\n{{"a":null}}\n'


@pytest.mark.parametrize(
    "value",
    [
        "",
        "007",
        "-",
        "1-2",
        "2024-01-31",
        ".5",
        "5.",
        "1.2.3",
        "-.5",
        "+1",
        "1e",
        "0x10",
        "1 ",
        "--1",
        "-01",
        "1..2",
        "٣",
        "NaN",
        '"',
        "1,2",
        "1" + "." * 257,
    ],
)
def test_what_is_no_json_number_is_written_as_text_and_counted(write, column, value):
    for kind in (Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT):
        done = write("json", [column("a", kind)], [[pa.array(["12", value, None, "3.5"])]])
        assert [row["a"] for row in read(done, [])] == [12, value, None, D("3.5")]
        assert done.notices == {"non_finite_as_text": 1}


def test_moments_that_iso_does_not_know_stay_as_postgresql_writes_them(write, column):
    naive = [
        "2024-01-31 10:00:00.123456",
        "infinity",
        "-infinity",
        "0044-03-15 10:00:00 BC",
        "12024-01-01 00:00:00",
        "hello world",
        None,
    ]
    aware = [
        "2024-01-31 10:00:00+00",
        "infinity",
        "2024-01-31 10:00:00.5+00",
        "0044-03-15 10:00:00+00 BC",
        "10:00 x+00",
        "",
        None,
    ]
    columns = [column("a", Kind.TIMESTAMP), column("b", Kind.TIMESTAMPTZ)]
    rows = read(write("json", columns, [[pa.array(naive), pa.array(aware)]]), columns)
    assert [row["a"] for row in rows] == ["2024-01-31T10:00:00.123456", *naive[1:]]
    assert [row["b"] for row in rows] == [
        "2024-01-31T10:00:00+00:00",
        "infinity",
        "2024-01-31T10:00:00.5+00:00",
        *aware[3:],
    ]


def test_booleans_given_as_text_are_truths_and_anything_else_is_text(write, column):
    done = write(
        "json",
        [column("a", Kind.BOOLEAN)],
        [[pa.array(["t", "f", None])], [pa.array(["t", "yes", None, "f"])]],
    )
    assert [row["a"] for row in read(done, [])] == [True, False, None, True, "yes", None, False]


def test_documents_are_embedded_and_each_stays_on_its_line(write, column):
    values = [
        '{"b": 1,\r\n "a": [1, 2.50]}',
        "null",
        '"te\\nxt"',
        "12345678901234567890",
        None,
        ' "\\ud800" ',
        '"NaN Inf"',
        "[]",
    ]
    done = write("json", [column("j", Kind.JSON)], [[pa.array(values)]], layout="lines")
    assert done.data.count(b"\n") == done.rows == len(values)
    assert b'{"j":{"b": 1,   "a": [1, 2.50]}}' in done.data
    assert [row["j"] for row in read(done, [])] == [v and json.loads(v, parse_float=D) for v in values]
    assert done.notices == {}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "{",
        "1,2",
        '1,"x":2',
        "1}",
        "]",
        "1] [2",
        "NaN",
        '{"a":NaN}',
        "-Infinity",
        "01",
        "nul",
        "'a'",
        '"a',
        "1 2",
        '"\x01"',
        '1]}\n{"row":1,"object":1,"list":[1',
        "[" * 100_000,
    ],
)
def test_a_broken_document_is_written_as_text_and_counted(write, column, value):
    done = write("json", [column("j", Kind.JSON)], [[pa.array(["[1]", value, None, "{}"])]])
    assert [row["j"] for row in read(done, [])] == [[1], value, None, {}]
    assert done.notices == {"invalid_json_as_text": 1}


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Kind.INTEGER, "{}", []),
        (Kind.INTEGER, "{007,1}", ["007", 1]),
        (Kind.INTEGER, "{1,-2,NULL}", [1, -2, None]),
        (Kind.INTEGER, "{{1,2},{3,4}}", [[1, 2], [3, 4]]),
        (Kind.INTEGER, "[0:1]={1,2}", [1, 2]),
        (Kind.INTEGER, "[-1:0][2:3]={{1,2},{NULL,4}}", [[1, 2], [None, 4]]),
        (Kind.DECIMAL, "{1.50,NaN}", [D("1.50"), "NaN"]),
        (Kind.FLOAT, "{1e-05,Infinity}", [D("1e-05"), "Infinity"]),
        (Kind.BOOLEAN, "{t,f,NULL}", [True, False, None]),
        (Kind.TEXT, "{a,b c,NULL}", ["a", "b c", None]),
        (
            Kind.TEXT,
            '{"","NULL",null,"a,b","{}","q\\"","\\\\"," "}',
            ["", "NULL", "null", "a,b", "{}", 'q"', "\\", " "],
        ),
        (Kind.TEXT, "{{a,b},{c,NULL}}", [["a", "b"], ["c", None]]),
        (Kind.TEXT, "{a\x01,ü}", ["a\x01", "ü"]),
        (Kind.TEXT, "{a;b}", ["a;b"]),
        (Kind.TEXT, '{"[1:2]={x}"}', ["[1:2]={x}"]),
        (Kind.UUID, "{6e8bc430-9c3a-11d9-9669-0800200c9a66}", ["6e8bc430-9c3a-11d9-9669-0800200c9a66"]),
        (Kind.TIMESTAMP, '{"2024-01-31 10:00:00",infinity}', ["2024-01-31T10:00:00", "infinity"]),
        (Kind.TIMESTAMPTZ, '{"2024-01-31 10:00:00+00"}', ["2024-01-31T10:00:00+00:00"]),
        (Kind.DATE, "{2024-01-31,NULL}", ["2024-01-31", None]),
        (Kind.JSON, '{"{\\"a\\": [1, null]}",NULL,"\\"x\\""}', [{"a": [1, None]}, None, "x"]),
        (Kind.BINARY, '{"\\\\x00ff"}', ["\\x00ff"]),
    ],
)
def test_an_array_of_postgresql_becomes_a_json_array(write, column, kind, value, expected):
    array = column("a", Kind.ARRAY, element=column("", kind))
    done = write("json", [array], [[pa.array([value, None, "{}"])]])
    assert [row["a"] for row in read(done, [])] == [expected, None, []]
    assert ("array_bounds_dropped" in done.notices) == value.startswith("[")


def test_boxes_are_parted_by_semicolons(write, column):
    array = column("a", Kind.ARRAY, element=column("", Kind.OTHER, database_type="box"))
    done = write("json", [array], [[pa.array(["{(1,1),(0,0);(2,2),(1,1)}"])]])
    assert read(done, []) == [{"a": ["(1,1),(0,0)", "(2,2),(1,1)"]}]


@pytest.mark.parametrize("value", ["", "x", "{1", "1}", "{{1}", '{"a}', "{1,,2}", "{1,}", "{1}{2}", "1"])
def test_what_is_no_array_stays_text(write, column, value):
    for kind, cell, expected in [
        (Kind.BOOLEAN, "{t}", [True]),
        (Kind.TEXT, "{t}", ["t"]),
        (Kind.INTEGER, "{7}", [7]),
    ]:
        array = column("a", Kind.ARRAY, element=column("", kind))
        assert read(write("json", [array], [[pa.array([value, cell])]]), []) == [
            {"a": value},
            {"a": expected},
        ]


def spell_array(values):
    if values is None:
        return "NULL"
    if isinstance(values, list):
        return "{" + ",".join(spell_array(value) for value in values) + "}"
    return '"' + values.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(
    st.lists(st.none() | texts, min_size=1, max_size=6)
    | st.lists(st.lists(texts, min_size=2, max_size=2), min_size=1, max_size=3)
)
def test_any_array_is_taken_apart_exactly(values):
    found = outline(spell_array(values))
    assert json.loads(found.filled([json.dumps(item) for item in found.elements])) == values


def test_a_variant_keeps_numbers_as_numbers_and_texts_as_texts(write, column):
    cells = [
        (1, "5"),
        None,
        (2, "1.5"),
        (3, "5"),
        (4, "\\x00"),
        (2, "Infinity"),
        (3, 'a"\\'),
        (2, "1.0e+20"),
        (1, "-9223372036854775808"),
    ]
    mixed = pa.array([c and {"kind": c[0], "text": c[1]} for c in cells], variant_type())
    done = write(
        "json",
        [column("v", Kind.VARIANT)],
        [[mixed], [mixed.slice(3, 2)], [mixed.slice(0, 2)], [pa.array(["x"])], [pa.array([7])]],
    )
    values = [5, None, D("1.5"), "5", "\\x00", "Infinity", 'a"\\', D("1.0e+20"), -(2**63)]
    assert [row["v"] for row in read(done, [])] == [*values, "5", "\\x00", 5, None, "x", 7]
    assert done.notices == {"non_finite_as_text": 1}


def test_an_all_null_column_is_null_whatever_its_kind(write, column):
    for kind in Kind:
        done = write(
            "json",
            [column("a", kind)],
            [[pa.nulls(2)], [pa.nulls(2, pa.string())], [pa.nulls(2, variant_type())]],
        )
        assert [row["a"] for row in read(done, [])] == [None] * 6


def test_very_wide_cells_and_many_columns_are_whole(write, column):
    wide = 'a"\n' * 3_500_000
    done = write("json", [column("c")], [[pa.array([wide, None, wide])]], layout="lines")
    assert [row["c"] for row in read(done, [])] == [wide, None, wide]
    assert done.rows == 3
    columns = [column(f"c{i}") for i in range(1000)]
    many = write("json", columns, [[pa.array([f"v{i}"]) for i in range(1000)]])
    assert read(many, columns) == [{f"c{i}": f"v{i}" for i in range(1000)}]


def test_pandas_reads_the_lines(write, column):
    import pandas as pd

    done = write(
        "json",
        [column("a", Kind.INTEGER), column("b")],
        [[pa.array([1, 2]), pa.array(["x", None])]],
        layout="lines",
    )
    frame = pd.read_json(io.BytesIO(done.data), lines=True)
    assert frame["a"].tolist() == [1, 2]
    assert frame["b"].tolist()[0] == "x"
