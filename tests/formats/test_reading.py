import gzip
import io
import zipfile

import pyarrow as pa
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.errors import FileDamaged
from exporter.formats.reading import count_rows
from exporter.sources.base import Kind

HOSTILE = ['a"\n,b', "\r\n", "", None, "[{", "\\", "x" * 3000, "ü\n", '"']
SUFFIX = {"csv": ".csv", "json": ".json", "parquet": ".parquet", "excel": ".xlsx"}
CASES = [
    ("csv", {}),
    ("csv", {"delimiter": ";", "quoting": "minimal", "line_terminator": "crlf"}),
    ("csv", {"encoding": "utf-16"}),
    ("csv", {"encoding": "utf-8-sig", "quoting": "all", "null_value": "NULL"}),
    ("csv", {"encoding": "windows-1252"}),
    ("json", {}),
    ("json", {"layout": "lines"}),
    ("json", {"layout": "columns"}),
    ("json", {"indent": 2}),
    ("json", {"layout": "columns", "indent": 1}),
    *[(name, {"compression": packing}) for name in ("csv", "json") for packing in ("gzip", "zstd", "zip")],
    ("json", {"compression": "zip", "layout": "lines"}),
    ("parquet", {"row_group_size": 7}),
    ("parquet", {"compression": "gzip"}),
    ("excel", {}),
]


@pytest.fixture
def saved(tmp_path, write, column):
    def save(format_name, options, values, **more):
        columns = [column("a"), column("n", Kind.INTEGER)]
        batch = [pa.array(values, pa.string()), pa.array(range(len(values)), pa.int64())]
        done = write(format_name, columns, [batch] if values else [], **options, **more)
        path = tmp_path / f"file{SUFFIX[format_name]}"
        path.write_bytes(done.data)
        assert done.rows == len(values)
        return path, done.options

    return save


@pytest.mark.parametrize(("format_name", "options"), CASES)
def test_the_rows_of_a_whole_file_are_counted(saved, format_name, options):
    for values in (HOSTILE, [], HOSTILE * 50):
        path, effective = saved(format_name, options, values)
        assert count_rows(path, format_name, effective) == len(values)


@pytest.mark.parametrize(("format_name", "options"), CASES)
def test_a_file_cut_short_is_refused_wherever_it_was_cut(saved, format_name, options):
    path, effective = saved(format_name, options, HOSTILE * 20)
    whole = path.read_bytes()
    for part in (0.1, 0.35, 0.5, 0.77, 0.9, 0.99):
        path.write_bytes(whole[: int(len(whole) * part)])
        try:
            rows = count_rows(path, format_name, effective)
        except FileDamaged:
            continue
        assert rows < 180


@pytest.mark.parametrize(
    ("format_name", "options"),
    [case for case in CASES if case[0] != "csv" and case[1].get("layout") != "lines"],
)
def test_one_byte_missing_at_the_end_is_noticed(saved, format_name, options):
    path, effective = saved(format_name, options, ["x"])
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(FileDamaged):
        count_rows(path, format_name, effective)


@pytest.mark.parametrize("packing", ["gzip", "zstd", "zip"])
@pytest.mark.parametrize("format_name", ["csv", "json"])
def test_a_packed_file_missing_its_last_bytes_is_refused(saved, format_name, packing):
    path, effective = saved(format_name, {"compression": packing}, HOSTILE * 20)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(FileDamaged):
        count_rows(path, format_name, effective)


@pytest.mark.parametrize(
    ("format_name", "options"),
    [
        ("csv", {"compression": "gzip"}),
        ("csv", {"compression": "zstd"}),
        ("csv", {"compression": "zip"}),
        ("parquet", {}),
        ("excel", {}),
    ],
)
def test_an_altered_byte_is_noticed(saved, format_name, options):
    path, effective = saved(format_name, options, [f"value {n * 7919 % 1000}" for n in range(2000)])
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 3] ^= 0x55
    path.write_bytes(whole)
    with pytest.raises(FileDamaged):
        count_rows(path, format_name, effective)


@pytest.mark.parametrize(
    ("options", "data"),
    [
        ({}, b'"a","n"\n"x",1\n"y"\n'),
        ({}, b'"a","n"\n"x",1\n\n'),
        ({}, b'"a","n"\n"x",1'),
        ({}, b'"a","n"\n"x'),
        ({}, b'"a","n"\n"x"y",1\n'),
        ({}, b""),
        ({}, b'"a"\n"\xff"\n'),
        ({"delimiter": ";"}, b'"a","n"\n'),
    ],
)
def test_a_broken_csv_is_refused(tmp_path, options, data):
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    with pytest.raises(FileDamaged):
        count_rows(path, "csv", options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, ""),
        ({}, "[{}"),
        ({}, "[{},]"),
        ({}, "[{}] x"),
        ({}, "[1]"),
        ({}, '[{"a":1},{"a":1,"b":2}]'),
        ({}, '[{"a":NaN}]'),
        ({}, '[{"a":1}{"a":1}]'),
        ({}, '[{"a":tru}]'),
        ({}, "{}"),
        ({}, '[{"a":' + "[" * 100_000 + "]" * 100_000 + "}]"),
        ({"layout": "lines"}, '{"a":1}'),
        ({"layout": "lines"}, '{"a":1}{"a":2}\n'),
        ({"layout": "lines"}, '{"a":1}\n[1]\n'),
        ({"layout": "lines"}, '{"a":1}\n{"a"'),
        ({"layout": "columns"}, '{"columns":["a"],"rows":[[1],[1,2]]}'),
        ({"layout": "columns"}, '{"columns":["a"],"data":[[1]]}'),
        ({"layout": "columns"}, '{"columns":["a"],"rows":[[1]]'),
        ({"layout": "columns"}, "[]"),
    ],
)
def test_broken_json_is_refused(tmp_path, options, text):
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileDamaged):
        count_rows(path, "json", options)


def test_json_rows_wider_than_a_chunk_are_counted(tmp_path, write, column):
    wide = '"\\\n' * 400_000
    for layout in ({"layout": "lines"}, {"indent": 4}, {"layout": "columns"}):
        done = write(
            "json",
            [column("a"), column("b")],
            [[pa.array([wide, "x", wide]), pa.array([None, wide, "y"])]],
            **layout,
        )
        path = tmp_path / "wide.json"
        path.write_bytes(done.data)
        assert count_rows(path, "json", done.options) == 3


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])), max_size=9),
    st.sampled_from(CASES[:10]),
)
def test_a_lone_column_of_any_text_is_counted(tmp_path, write, column, values, case):
    format_name, options = case
    if options.get("encoding") == "windows-1252":
        options = {"encoding": "utf-8"}
    batches = [[pa.array(values, pa.string())]] if values else []
    for headers in (True, False):
        done = write(format_name, [column("a")], batches, headers=headers, **options)
        path = tmp_path / "lone"
        path.write_bytes(done.data)
        assert (
            count_rows(path, format_name, done.options, include_headers=headers) == done.rows == len(values)
        )


def test_lines_are_known_by_their_name_where_no_option_tells(tmp_path):
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a":1}\n{"a":2}\n'))
    assert count_rows(path, "json", {"compression": "gzip"}) == 2


def test_every_sheet_of_a_workbook_is_counted(tmp_path, column):
    from exporter.formats import registry
    from exporter.formats.base import WriterRequest
    from exporter.formats.excel import ExcelWriter
    from exporter.formats.options import parse_options

    options = parse_options(registry.get("excel"), {}, defaults={})
    path = tmp_path / "x.xlsx"
    with path.open("wb") as stream:
        writer = ExcelWriter(
            WriterRequest(stream=stream, columns=(column("a"),), options=options), max_rows=10
        )
        writer.write(pa.RecordBatch.from_arrays([pa.array([None, "x"] * 11)], names=["a"]))
        writer.finish()
    assert count_rows(path, "excel", options) == 22


def inner(data, packing):
    match packing:
        case "gzip":
            return gzip.decompress(data)
        case "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(data)
        case _:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                assert archive.testzip() is None
                return archive.read(archive.namelist()[0])


@pytest.mark.parametrize("packing", ["gzip", "zstd", "zip"])
def test_a_packed_file_holds_the_plain_one_and_is_always_the_same(write, column, packing):
    batches = [[pa.array([f"v{n * 7919 % 1000}" for n in range(9000)])]] * 3
    plain = write("csv", [column("a")], batches).data
    packed = write("csv", [column("a")], batches, compression=packing).data
    assert inner(packed, packing) == plain
    assert packed == write("csv", [column("a")], batches, compression=packing).data
    assert len(packed) < len(plain) / 2


def test_a_zips_member_is_named_like_the_inner_file(write, column):
    for name, member in [("sales ü.csv.zip", "sales ü.csv"), (None, "export.csv")]:
        done = write("csv", [column("a")], [], compression="zip", name=name)
        assert zipfile.ZipFile(io.BytesIO(done.data)).namelist() == [member]


def test_an_archive_with_two_files_is_refused(tmp_path):
    path = tmp_path / "two.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "")
        archive.writestr("b", "")
    with pytest.raises(FileDamaged, match="2 files"):
        count_rows(path, "csv", {"compression": "zip"})


def test_zip64_records_are_readable_where_numbers_need_them(monkeypatch):
    from exporter.formats import zipstream

    monkeypatch.setattr(zipstream, "LIMIT32", 100)
    stream = io.BytesIO()
    archive = zipstream.ZipStream(stream)
    for number in range(5):
        archive.add(f"member {number}", bytes(range(256)) * 10 * number)
    archive.finish()
    with zipfile.ZipFile(stream) as read:
        assert read.testzip() is None
        for number in range(5):
            assert read.read(f"member {number}") == bytes(range(256)) * 10 * number
