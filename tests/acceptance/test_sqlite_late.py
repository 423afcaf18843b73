"""Values of another kind than all before them, many thousand rows into a table, come out as they are."""

from contextlib import closing

import apsw
import pytest

from tests.acceptance.exporting import Desk
from tests.acceptance.judging import judge
from tests.acceptance.sqlite_oracle import Declared, SqliteOracle, fetched, narrowest

USUAL = {
    "INTEGER": 7,
    "REAL": 0.5,
    "TEXT": "usual",
    "BLOB": b"\x00\xff",
    "DECIMAL(10,2)": 12.25,
    "": 3,
    "DATE": "2024-02-29",
}
LATE = [
    2**53 + 1,
    -(2**63),
    0.1,
    -0.0,
    5e-324,
    float("inf"),
    "7",
    "",
    'say "hi", =1',
    "a\0b",
    b"",
    b"\xfe",
    None,
]
BEFORE, AFTER = 17_000, 700


@pytest.fixture(scope="module")
def late(tmp_path_factory):
    """Make the table once: each late value stands in every column, between rows of the usual ones."""
    path = tmp_path_factory.mktemp("late") / "late.db"
    with closing(apsw.Connection(str(path))) as connection, connection:
        columns = ", ".join(f"c{n} {kind}" for n, kind in enumerate(USUAL))
        connection.execute(f"CREATE TABLE late (n INTEGER PRIMARY KEY, {columns})")
        usual = tuple(USUAL.values())
        rows = [usual] * BEFORE + [(value,) * len(usual) for value in LATE] + [usual] * AFTER
        marks = ", ".join("?" * (len(usual) + 1))
        connection.executemany(
            f"INSERT INTO late VALUES ({marks})", ((n, *row) for n, row in enumerate(rows))
        )
    return path


@pytest.mark.parametrize(
    ("format_name", "ordered"),
    [(name, ordered) for name in ("csv", "json", "parquet") for ordered in (False, True)]
    + [("excel", False)],
)
def test_late_values_of_every_kind_in_every_declared_type(admin, instance, late, format_name, ordered):
    path = instance / "late.db"
    path.write_bytes(late.read_bytes())
    done = Desk(admin, f"sqlite:///{path}").export("late", format_name, {"order_by": "n"} if ordered else {})
    rows = fetched(path, "late", "ORDER BY n")
    assert len(rows) == BEFORE + len(LATE) + AFTER
    columns = [Declared("n", "INTEGER"), *(Declared(f"c{n}", kind) for n, kind in enumerate(USUAL))]
    judge(SqliteOracle(), columns, rows, done, told="late values")
    if format_name == "parquet":
        for position, column in enumerate(done.receipt["columns"]):
            assert column["exported_type"] in narrowest([row[position] for row in rows]), column
