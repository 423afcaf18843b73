import datetime as dt
import json
import subprocess
import sys

import pytest

from exporter.errors import Invalid
from exporter.formats import registry
from exporter.formats.options import DELIMITERS, file_name, parse_options
from exporter.formats.presets import PRESETS

DAY = dt.date(2024, 1, 31)


def options(format_name, raw=None, **defaults):
    return parse_options(registry.get(format_name), raw or {}, defaults=defaults)


def faults(format_name, raw):
    with pytest.raises(Invalid) as caught:
        options(format_name, raw)
    return caught.value.errors


def test_reading_the_registry_imports_no_heavy_library():
    code = "import sys, exporter.formats.registry; print({'pyarrow','numpy','pandas','openpyxl'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_an_unknown_format_is_refused_with_the_sentence_of_the_contract():
    with pytest.raises(Invalid) as caught:
        registry.get("xml")
    assert caught.value.errors == {"format": "Invalid format. Must be one of: csv, json, parquet, excel"}


def test_the_defaults_are_those_of_the_contract():
    assert options("csv") == {
        "booleans": "t/f",
        "compression": "none",
        "delimiter": ",",
        "encoding": "utf-8",
        "encoding_errors": "strict",
        "escape_formulas": False,
        "file_name": "{datasource}-{date}",
        "line_terminator": "\n",
        "null_value": "",
        "quoting": "text",
    }
    assert options("json") == {
        "compression": "none",
        "file_name": "{datasource}-{date}",
        "indent": None,
        "layout": "array",
    }
    assert options("parquet") == {
        "compression": "zstd",
        "file_name": "{datasource}-{date}",
        "row_group_size": 131_072,
    }
    assert options("excel") == {"file_name": "{datasource}-{date}", "sheet_name": "Data"}


@pytest.mark.parametrize("format_name", registry.FORMATS)
def test_effective_options_are_json_and_parse_to_themselves(format_name):
    for raw in [{}, *({"preset": name} for name in PRESETS.get(format_name, {}))]:
        effective = options(format_name, raw)
        assert options(format_name, json.loads(json.dumps(effective)), escape_formulas=True) == effective


@pytest.mark.parametrize(
    ("format_name", "raw"),
    [("csv", {"encoding": name}) for name in ("utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252")]
    + [("csv", {"delimiter": character}) for character in sorted(DELIMITERS)]
    + [("csv", {"quoting": name}) for name in ("text", "minimal", "all")]
    + [("csv", {"encoding_errors": name}) for name in ("strict", "replace")]
    + [("csv", {"null_value": value}) for value in ("", "NULL", r"\N", "NA", "-", "n/a", "<null>")]
    + [(f, {"compression": c}) for f in ("csv", "json") for c in ("none", "gzip", "zstd", "zip")]
    + [("json", {"layout": name}) for name in ("array", "lines", "columns")]
    + [("json", {"indent": n}) for n in (None, 1, 2, 8)]
    + [("parquet", {"compression": c}) for c in ("zstd", "snappy", "gzip", "none")]
    + [("parquet", {"row_group_size": n}) for n in (1, 1000, 10_000_000)]
    + [("excel", {"sheet_name": n}) for n in ("a", "x" * 31, "Größe 2024", "it's")]
    + [(f, {"file_name": "{format} {date}"}) for f in registry.FORMATS],
)
def test_every_value_of_the_contract_is_taken_as_it_is(format_name, raw):
    ((name, value),) = raw.items()
    assert options(format_name, raw)[name] == value


@pytest.mark.parametrize(
    ("format_name", "raw", "name", "value"),
    [
        ("csv", {"line_terminator": "crlf"}, "line_terminator", "\r\n"),
        ("csv", {"line_terminator": "LF"}, "line_terminator", "\n"),
        ("csv", {"line_terminator": "\r\n"}, "line_terminator", "\r\n"),
        ("csv", {"line_terminator": "\\n"}, "line_terminator", "\n"),
        ("csv", {"delimiter": "tab"}, "delimiter", "\t"),
        ("csv", {"delimiter": "\\t"}, "delimiter", "\t"),
        ("csv", {"encoding": "UTF-8"}, "encoding", "utf-8"),
        ("csv", {"escape_formulas": "true"}, "escape_formulas", True),
        ("csv", {"escape_formulas": "0"}, "escape_formulas", False),
        ("json", {"indent": "2"}, "indent", 2),
        ("json", {"indent": "none"}, "indent", None),
        ("parquet", {"row_group_size": "5000"}, "row_group_size", 5000),
    ],
)
def test_the_words_of_a_command_line_are_understood(format_name, raw, name, value):
    assert options(format_name, raw)[name] == value


@pytest.mark.parametrize(
    ("format_name", "raw", "part"),
    [
        ("csv", {"delimiter": ".", "quoting": "none"}, "Must be"),
        ("csv", {"encoding": "utf-7"}, "Must be one of: utf-8, utf-8-sig, utf-16, iso-8859-1, windows-1252"),
        ("csv", {"compression": "rar"}, "Must be one of: none, gzip, zstd, zip"),
        ("csv", {"line_terminator": "\r"}, "lf"),
        ("csv", {"escape_formulas": "perhaps"}, "Must be true or false"),
        ("csv", {"encoding": None}, "Must not be null"),
        ("csv", {"encoding": 7}, "Must be text"),
        ("csv", {"preset": "excel"}, "Must be one of: spreadsheet, spreadsheet-eu, postgres-copy, pandas"),
        ("csv", {"indent": 2}, "Unknown option. Must be one of: booleans, compression,"),
        ("csv", {"null_value": "a,b"}, "delimiter"),
        ("csv", {"null_value": "∅", "encoding": "iso-8859-1"}, "writable in iso-8859-1"),
        ("json", {"delimiter": ","}, "Unknown option"),
        ("json", {"layout": "records"}, "Must be one of: array, lines, columns"),
        ("json", {"layout": "lines", "indent": 2}, "lines"),
        ("json", {"indent": True}, "whole number"),
        ("json", {"indent": 2.5}, "whole number"),
        ("json", {"indent": 9}, "from 1 to 8"),
        ("json", {"preset": "pandas"}, "Must be one of: bigquery"),
        ("parquet", {"compression": "zip"}, "Must be one of: zstd, snappy, gzip, none"),
        ("parquet", {"row_group_size": 0}, "from 1 to"),
        ("parquet", {"preset": "pandas"}, "Unknown option"),
        ("excel", {"compression": "none"}, "Unknown option. Must be one of: file_name, sheet_name"),
    ],
)
def test_an_unfitting_option_is_a_fault_that_says_what_would_be_right(format_name, raw, part):
    assert any(part in sentence for sentence in faults(format_name, raw).values())
    assert set(faults(format_name, raw)) <= set(raw)


def test_all_faults_are_told_at_once():
    found = faults("csv", {"delimiter": "x", "quoting": "never", "colour": 1, "escape_formulas": 3})
    assert set(found) == {"delimiter", "quoting", "colour", "escape_formulas"}


@pytest.mark.parametrize(
    "delimiter", [".", "-", "+", ":", " ", "0", "e", '"', "'", "\\", "?", "", ",,", "\n", "é"]
)
def test_a_delimiter_that_bare_values_could_hold_is_refused(delimiter):
    assert "Must be one character" in faults("csv", {"delimiter": delimiter})["delimiter"]


@pytest.mark.parametrize(
    "null_value",
    [
        "0",
        "-1",
        ".5",
        "t",
        "F",
        "NaN",
        "Infinity",
        "-infinity",
        "2024-01-31",
        '"',
        " ",
        "x\n",
        "y" * 21,
        "true",
    ],
)
def test_a_null_value_that_reads_as_a_value_is_refused(null_value):
    assert "null_value" in faults("csv", {"null_value": null_value})


@pytest.mark.parametrize(
    "sheet_name",
    ["", "  ", "x" * 32, "a/b", "a[1]", "a:b", "a*", "a?", "a\\b", "'a", "a'", "History", "a\tb", "😀" * 16],
)
def test_a_sheet_name_that_excel_refuses_is_a_fault(sheet_name):
    assert "sheet_name" in faults("excel", {"sheet_name": sheet_name})


def test_a_preset_is_shown_expanded_and_an_option_beside_it_wins():
    effective = options("csv", {"preset": "spreadsheet-eu", "encoding": "windows-1252"})
    assert effective["delimiter"] == ";"
    assert effective["line_terminator"] == "\r\n"
    assert effective["escape_formulas"] is True
    assert effective["encoding"] == "windows-1252"
    assert effective["preset"] == "spreadsheet-eu"


def test_the_installations_default_is_used_where_the_option_exists():
    assert options("csv", escape_formulas=True)["escape_formulas"] is True
    assert options("csv", {"escape_formulas": False}, escape_formulas=True)["escape_formulas"] is False
    assert options("csv", {"preset": "postgres-copy"}, escape_formulas=True)["escape_formulas"] is False
    assert "escape_formulas" not in options("parquet", escape_formulas=True)


@pytest.mark.parametrize(
    ("format_name", "raw", "expected"),
    [
        ("csv", {}, "sales-2024-01-31.csv"),
        ("csv", {"compression": "gzip"}, "sales-2024-01-31.csv.gz"),
        ("csv", {"compression": "zstd"}, "sales-2024-01-31.csv.zst"),
        ("csv", {"compression": "zip"}, "sales-2024-01-31.csv.zip"),
        ("json", {}, "sales-2024-01-31.json"),
        ("json", {"layout": "lines"}, "sales-2024-01-31.jsonl"),
        ("parquet", {}, "sales-2024-01-31.parquet"),
        ("excel", {"file_name": "report"}, "report.xlsx"),
        ("excel", {"file_name": "report.XLSX"}, "report.xlsx"),
        ("csv", {"file_name": "report.csv"}, "report.csv"),
        ("csv", {"file_name": "report.csv", "compression": "gzip"}, "report.csv.gz"),
        ("csv", {"file_name": "report.csv.gz", "compression": "gzip"}, "report.csv.gz"),
        ("csv", {"file_name": "{format} of {datasource}"}, "csv of sales.csv"),
        ("csv", {"file_name": "v1.2"}, "v1.2.csv"),
        ("csv", {"file_name": "Übersicht 売上"}, "Übersicht 売上.csv"),
    ],
)
def test_the_file_name_is_expanded_and_gets_its_extension(format_name, raw, expected):
    entry = registry.get(format_name)
    assert file_name(options(format_name, raw), datasource="sales", date=DAY, entry=entry) == expected


@pytest.mark.parametrize(
    ("datasource", "expected"),
    [
        ("../../etc/passwd", "_.._etc_passwd.csv"),
        ("a\r\nb", "a__b.csv"),
        ("...", "export.csv"),
        ("{date}", "{date}.csv"),
        ("x\u202ey", "x_y.csv"),
        ("名" * 90, "名" * 66 + ".csv"),
    ],
)
def test_a_datasources_name_is_made_safe(datasource, expected):
    entry = registry.get("csv")
    effective = options("csv", {"file_name": "{datasource}"})
    assert file_name(effective, datasource=datasource, date=DAY, entry=entry) == expected


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a/b",
        "a\\b",
        "..",
        ".hidden",
        "a\nb",
        "a\0b",
        "x" * 151,
        "{user}",
        "{datasource",
        "a}",
        "{date:%Y}",
        "{0}",
        "end.",
        " a",
        "a\u202eb",
        "a:b",
        'a"b',
    ],
)
def test_an_unsafe_file_name_is_a_fault(name):
    assert set(faults("csv", {"file_name": name})) == {"file_name"}


@pytest.mark.parametrize(
    ("format_name", "raw", "expected"),
    [
        ("csv", {}, "text/csv; charset=utf-8"),
        ("csv", {"encoding": "utf-8-sig"}, "text/csv; charset=utf-8"),
        ("csv", {"encoding": "windows-1252"}, "text/csv; charset=windows-1252"),
        ("csv", {"compression": "gzip"}, "application/gzip"),
        ("json", {}, "application/json"),
        ("json", {"layout": "lines"}, "application/x-ndjson"),
        ("json", {"compression": "zstd"}, "application/zstd"),
        ("json", {"compression": "zip"}, "application/zip"),
        ("parquet", {"compression": "gzip"}, "application/vnd.apache.parquet"),
        ("excel", {}, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ],
)
def test_the_content_type_says_what_the_bytes_are(format_name, raw, expected):
    assert registry.get(format_name).content_type(options(format_name, raw)) == expected
