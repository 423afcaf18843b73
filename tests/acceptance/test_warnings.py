"""Each warning is told with the right count when something happens, and never else."""

import ast
import re
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from exporter.formats import excel
from exporter.model import Role
from tests.acceptance.exporting import Desk
from tests.conftest import sign_in
from tests.postgres_server import execute

ROOT = Path(__file__).parents[2]
LATIN = {"encoding": "iso-8859-1", "encoding_errors": "replace"}
SQLITE = [
    # code, count, what makes values, what makes none of it, format, options
    ("formula_like_text", 6, "'=1', '+1', '-1', '@x', char(9), char(13) || 'x'", "-1, +1, 'x=1', x'3d', 'a', NULL", "csv", {}),
    ("formulas_escaped", 2, "'=1', '@x', 1", "-1, 'x=1', 2", "csv", {"escape_formulas": True}),
    ("characters_replaced", 3, "'→→', '😀', 'ü?'", "'ü', '?', 'é'", "csv", LATIN),
    ("number_as_text", 4, "1000000000000000, -9223372036854775807, 9e999, 5e-324, 7", "999999999999999, 0.1, 1e300, '1000000000000000', 0", "excel", {}),
    ("non_finite_as_text", 2, "9e999, -9e999, 'NaN'", "1e308, 'Infinity', NULL", "json", {}),
    ("mixed_as_text", 3, "1, 'one', x'01', 2.5, NULL", "'1', 'one', '01', NULL, ''", "parquet", {}),
]  # fmt: skip
POSTGRESQL = [
    ("date_as_text", 2, "date", "('1900-02-28'), ('infinity'), ('2024-01-01')", "('1900-03-01'), ('9999-12-31')", "excel"),
    ("date_as_text", 1, "timestamp", "('2024-01-31 10:00:00.0001'), ('2024-01-31 10:00:00.001')", "('2024-01-31 10:00:00.001')", "excel"),
    ("date_as_text", 1, "time", "('24:00:00'), ('10:00')", "('23:59:59.999')", "excel"),
    ("number_as_text", 2, "numeric", "('NaN'), ('1234567890.123456'), (1)", "('123456789012345'), (0.1)", "excel"),
    ("array_bounds_dropped", 1, "int[]", "('[0:1]={1,2}'), ('{1}')", "('{1}'), ('{}')", "json"),
    ("non_finite_as_text", 3, "float8", "('NaN'), ('Infinity'), ('-Infinity'), (1)", "(1), (NULL)", "json"),
    ("infinity_as_null", 2, "timestamptz", "('infinity'), ('-infinity'), ('2024-01-01')", "('2024-01-01'), (NULL)", "parquet"),
    ("out_of_range_as_null", 1, "timestamp", "('294276-12-31'), ('294246-12-31')", "('294246-12-31'), ('4713-01-01 BC')", "parquet"),
    ("nan_as_null", 2, "numeric(5,2)", "('NaN'), ('NaN'), (1)", "(1), (NULL)", "parquet"),
    ("time_24_as_null", 1, "time", "('24:00'), ('23:59:59.999999')", "('23:59:59.999999')", "parquet"),
]  # fmt: skip
ELSEWHERE = {
    "rows_cut", "further_sheets",  # below
    "invalid_json_as_text",  # PostgreSQL lets none in; tests/formats/test_json.py hands some to the writer
}  # fmt: skip


@pytest.fixture
def table(admin, instance):
    def make(values):
        path = instance / "warned.db"
        with closing(apsw.Connection(str(path))) as connection:
            connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, v)")
            connection.execute(
                f"INSERT INTO t (v) VALUES {', '.join(f'({value})' for value in split(values))}"
            )
        return Desk(admin, f"sqlite:///{path}")

    return make


def split(values):
    return re.findall(r"(?:'[^']*'|\([^)]*\)|[^,('])+", values)


def named(case):
    return f"{case[0]} of {case[2][:12]}"


@pytest.mark.parametrize("case", SQLITE, ids=named)
def test_a_warning_of_sqlite_values_has_the_right_count(table, case):
    code, count, values, _, format_name, options = case
    done = table(values).export("t", format_name, **options)
    assert done.warnings == {code: count}
    assert all(str(count) in warning["message"] for warning in done.job["warnings"])


@pytest.mark.parametrize("case", SQLITE, ids=named)
def test_values_that_cause_no_warning_get_none(table, case):
    *_, others, format_name, options = case
    assert table(others).export("t", format_name, **options).warnings == {}


@pytest.mark.postgres
@pytest.mark.parametrize("case", POSTGRESQL, ids=named)
def test_a_warning_of_postgresql_values_has_the_right_count(app, services, postgres_database, case):
    code, count, kind, values, others, format_name = case
    execute(
        postgres_database,
        *(f"CREATE TABLE {name} (v {kind})" for name in ("warned", "quiet")),
        f"INSERT INTO warned VALUES {values}",
        f"INSERT INTO quiet VALUES {others}",
    )
    desk = Desk(sign_in(app, services, "ada", Role.ADMIN), postgres_database)
    assert desk.export("warned", format_name).warnings == {code: count}
    assert desk.export("quiet", format_name).warnings == {}


@pytest.mark.parametrize("format_name", ["csv", "json", "parquet", "excel"])
def test_rows_cut_are_told_without_a_count_that_nobody_made(table, format_name):
    desk = table("1, 2, 3")
    (warning,) = desk.export("t", format_name, {"limit": 2}).job["warnings"]
    assert (warning["code"], warning["count"]) == ("rows_cut", None)
    assert "stops at 2 rows by the request's limit" in warning["message"]
    assert desk.export("t", format_name, {"limit": 3}).job["warnings"] == []


def test_further_sheets_are_counted(table, monkeypatch):
    monkeypatch.setattr(excel, "open_writer", lambda request: excel.ExcelWriter(request, max_rows=3))
    desk = table("1, 2, 3, 4, 5")
    assert desk.export("t", "excel").warnings == {"further_sheets": 2}
    assert desk.export("t", "excel", {"limit": 2, "order_by": "n"}).warnings == {"rows_cut": None}


def test_every_warning_of_the_code_is_documented_and_tested():
    page = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8").partition("## Warnings")[2]
    documented = {
        code
        for line in page.splitlines()
        if line.startswith("| `")
        for code in re.findall(r"`([a-z_0-9]+)`", line.split("|")[1])
    }
    assert documented == set(codes())
    assert documented == {case[0] for case in SQLITE + POSTGRESQL} | ELSEWHERE


def codes():
    """Find the codes in the source: what is given to a Notice, and the words that look like one."""
    for path in (ROOT / "exporter").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Notice":
                yield from (
                    k.value.value
                    for k in node.keywords
                    if k.arg == "code" and isinstance(k.value, ast.Constant)
                )
            if isinstance(node, ast.Constant) and re.fullmatch(
                r"[a-z0-9_]+_(as_text|as_null|dropped)", str(node.value)
            ):
                yield node.value
