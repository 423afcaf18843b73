"""One workbook of everything that Excel may get wrong, read by openpyxl, by calamine and by LibreOffice."""

import csv
import datetime as dt
import io
import os
import shutil
import subprocess
from contextlib import closing

import apsw
import openpyxl
import psycopg
import pytest
from openpyxl.utils.escape import unescape
from python_calamine import CalamineWorkbook

from exporter.model import Role
from tests.acceptance.exporting import Desk
from tests.conftest import sign_in

TYPES = {
    "id": "bigint", "price": "numeric(9,2)", "part": "double precision", "sure": "boolean", "day": "date", "at": "timestamp",
    "instant": "timestamptz", "clock": "time", "words": "text",
}  # fmt: skip
ROWS = [
    ("1", "12.50", "0.1", "t", "2024-02-29", "2024-01-31 10:00:00", "2024-01-31 10:00:00+02", "10:00:00", "plain"),
    ("999999999999999", "-0.01", "-1.5", "f", "1900-03-01", "1900-03-01 00:00:00", "9999-12-31 23:59:59+00", "23:59:59.999", "=1+1"),
    ("1000000000000000", "NaN", "Infinity", None, "1900-02-28", "1900-02-28 23:59:59", "infinity", "24:00:00", "007"),
    ("9223372036854775807", "9999999.99", "NaN", "t", "9999-12-31", "2024-01-31 10:00:00.123", "2024-01-31 10:00:00.25+00", "00:00:00", "_x0041_"),
    ("4", "0.00", "1e300", "f", "0044-03-15 BC", "2024-01-31 10:00:00.123456", "1900-01-01 00:00:00+00", "12:30:00.000001", "<&>\"' ]]>"),
    ("5", None, "1e-300", "t", "infinity", "10000-01-01 00:00:00", "1969-12-31 23:59:59+00", "01:02:03", " two\nlines\tand a tab "),
    ("6", "1.00", "123456789012345", "t", "2023-12-31", "2023-12-31 23:59:59", "2023-12-31 23:59:59+00", "23:59:59", "-1+cmd|' /C calc'!A0"),
    ("7", "2.00", "2", "f", "1970-01-01", "1970-01-01 00:00:00", "1970-01-01 00:00:00+00", "00:00:01", "😀é日本"),
    ("8", "3.00", "3.25", "t", "2000-02-29", "2000-02-29 12:00:00", "2000-02-29 12:00:00+00", "12:00:00", "1e5"),
    ("9", "4.00", "3.25", "t", "2000-02-29", "2000-02-29 12:00:00", "2000-02-29 12:00:00+00", "12:00:00", "2024-01-31"),
    ("10", "5.00", "3.25", "t", "2000-02-29", "2000-02-29 12:00:00", "2000-02-29 12:00:00+00", "12:00:00", "TRUE"),
    ("11", "6.00", "3.25", "t", "2000-02-29", "2000-02-29 12:00:00", "2000-02-29 12:00:00+00", "12:00:00", "#N/A"),
]  # fmt: skip
TEXTS = {  # the cells that Excel cannot hold as what they are, by row
    "id": {3, 4}, "price": {3}, "part": {3, 4}, "day": {3, 5, 6}, "at": {3, 5, 6}, "instant": {3, 5}, "clock": {3, 5},
    "words": set(range(1, len(ROWS) + 1)),
}  # fmt: skip
SHOWN = {"t": "TRUE", "f": "FALSE"}


@pytest.fixture
def content(app, services, postgres_database):
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE everything ({', '.join(f'{n} {t}' for n, t in TYPES.items())})")
        with connection.cursor().copy("COPY everything FROM STDIN") as copy:
            for row in ROWS:
                copy.write_row(row)
    desk = Desk(sign_in(app, services, "ada", Role.ADMIN), postgres_database)
    return desk.export("everything", "excel").content


def wanted(name, row, text):
    """Give a cell as Python's readers give it: a text for what Excel cannot hold."""
    if text is None or row in TEXTS.get(name, ()):
        return text
    return PYTHON.get(name, dt.datetime.fromisoformat)(text)


def in_utc(text):
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC).replace(tzinfo=None)


PYTHON = {
    "id": int, "price": float, "part": float, "sure": "t".__eq__, "clock": dt.time.fromisoformat, "instant": in_utc,
}  # fmt: skip


def expected():
    return [
        [wanted(name, number, text) for name, text in zip(TYPES, row, strict=True)]
        for number, row in enumerate(ROWS, 1)
    ]


def at_midnight(value):
    """See a date, or a text of one cell, as openpyxl gives it."""
    if type(value) is dt.date:
        return dt.datetime.combine(value, dt.time())
    return value


def by_openpyxl(cells):
    """Undo the escapes of OOXML, which openpyxl leaves as they are."""
    return [at_midnight(unescape(cell) if isinstance(cell, str) else cell) for cell in cells]


@pytest.mark.postgres
def test_openpyxl_reads_typed_cells(content):
    sheet = openpyxl.load_workbook(io.BytesIO(content)).active
    head, *rows = sheet.iter_rows()
    assert [cell.value for cell in head] == list(TYPES)
    assert [by_openpyxl(cell.value for cell in row) for row in rows] == expected()
    kinds = {cell.data_type for row in rows for cell in row}
    assert "f" not in kinds
    assert "e" not in kinds
    first = {cell.column_letter: cell.number_format.replace("\\", "") for cell in rows[0]}
    assert [first[letter] for letter in "BEFGH"] == [
        "0.00", "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss", 'yyyy-mm-dd hh:mm:ss "UTC"', "hh:mm:ss",
    ]  # fmt: skip


@pytest.mark.postgres
def test_calamine_reads_the_same_cells(content):
    head, *rows = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).iter_rows()
    assert head == list(TYPES)
    found = [[None if value == "" else at_midnight(value) for value in row] for row in rows]
    assert [shape(row) for row in found] == [shape(row) for row in expected()]


def shape(row):
    """Give numbers as floats, as which calamine reads them all, and a time of midnight as the text of one."""
    return [
        float(value) if type(value) is int else str(value) if isinstance(value, dt.time) else value
        for value in row
    ]


@pytest.fixture
def convert(tmp_path):
    """Convert a workbook by LibreOffice, in a profile of its own."""
    program = shutil.which("soffice") or shutil.which("libreoffice")
    if program is None:
        reason = "no LibreOffice: neither soffice nor libreoffice is on the PATH"
        if os.environ.get("EXPORTER_REQUIRE_LIBREOFFICE") == "1":
            pytest.fail(reason)
        pytest.skip(reason)

    def converted(content, to, suffix):
        source = tmp_path / "book.xlsx"
        source.write_bytes(content)
        target = tmp_path / "converted"
        profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
        arguments = [program, profile, "--headless", "--convert-to", to, "--outdir", str(target), str(source)]
        answer = subprocess.run(
            arguments, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        assert answer.returncode == 0, answer.stderr
        return (target / f"book.{suffix}").read_bytes()

    return converted


@pytest.mark.postgres
def test_libreoffice_shows_every_value(content, convert):
    """Convert to CSV as shown on the screen: comma, quotes around texts, UTF-8."""
    shown = convert(content, "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,true,true", "csv").decode()
    head, *rows = csv.reader(io.StringIO(shown, newline=""))
    assert head == list(TYPES)
    for number, (row, cells) in enumerate(zip(ROWS, rows, strict=True), 1):
        for name, text, cell in zip(TYPES, row, cells, strict=True):
            assert cell == as_shown(name, number, text), f"row {number}, column {name}"


def as_shown(name, number, text):
    if text is None:
        return ""
    if number in TEXTS.get(name, ()):
        return text
    match name:
        case "sure":
            return SHOWN[text]
        case "instant":
            moment = dt.datetime.fromisoformat(text).astimezone(dt.UTC)
            fine = f".{moment.microsecond // 1000:03d}" if moment.microsecond else ""
            return f"{moment:%Y-%m-%d %H:%M:%S}{fine} UTC"
        case "part":
            return {"1e300": "1E+300", "1e-300": "1E-300"}.get(text, text)
    return text


@pytest.mark.postgres
def test_libreoffice_writes_the_workbook_anew_with_every_value(content, convert):
    anew = openpyxl.load_workbook(
        io.BytesIO(convert(content, "xlsx", "xlsx")), data_only=True
    )  # it writes TRUE()
    rows = anew.active.iter_rows(min_row=2, values_only=True)
    assert [[at_midnight(cell) for cell in row] for row in rows] == expected()  # it writes texts unescaped


def test_rows_past_the_end_of_a_real_sheet_go_on_in_the_next(admin, instance):
    path = instance / "long.db"
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("CREATE TABLE long (n INTEGER PRIMARY KEY)")
        connection.execute(
            "INSERT INTO long WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1048577) SELECT n FROM c"
        )
    done = Desk(admin, f"sqlite:///{path}").export("long", "excel", {"order_by": "n"})
    assert done.warnings == {"further_sheets": 1}
    book = CalamineWorkbook.from_filelike(io.BytesIO(done.content))
    assert book.sheet_names == ["Data", "Data (2)"]
    first, second = (book.get_sheet_by_index(number).to_python() for number in (0, 1))
    assert (len(first), first[0], first[-1]) == (1_048_576, ["n"], [1_048_575])
    assert second == [["n"], [1_048_576], [1_048_577]]


@pytest.mark.parametrize(("units", "fits"), [(32_767, True), (32_768, False)])
def test_a_text_longer_than_a_cell_fails_with_its_row_and_column(admin, instance, units, fits):
    with closing(apsw.Connection(str(instance / "wide.db"))) as connection:
        connection.execute("CREATE TABLE wide (n INTEGER, t TEXT)")
        connection.executemany(
            "INSERT INTO wide VALUES (?, ?)", [(1, "x"), (2, "😀" * (units // 2) + "x" * (units % 2))]
        )
    job = Desk(admin, f"sqlite:///{instance}/wide.db").ask("wide", "excel")
    assert job["status"] == ("completed" if fits else "failed")
    if not fits:
        assert job["error_code"] == "value_unwritable"
        assert job["error_message"].startswith(
            "Row 2, column 't': the text has 32768 characters and an Excel cell holds 32767"
        )
