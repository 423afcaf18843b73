"""What the tests of sources share: opening, reading, and taking batches apart again."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import apsw
import pyarrow as pa

from exporter.sources.base import Column, Form, Kind, Reader, Relation, Source, Statement
from exporter.sources.registry import SourceLimits, open_source
from exporter.sources.types import Storage, variant_type


def limits(folder: Path, **changes: object) -> SourceLimits:
    return SourceLimits(**{"instance": folder, "sqlite_roots": (folder,), "busy_timeout": 0.05, **changes})


def make_file(path: Path, *statements: str) -> Path:
    connection = apsw.Connection(str(path))
    for statement in statements:
        connection.execute(statement)
    connection.close()
    return path


def fill(
    path: Path, declaration: str, rows: Iterable[tuple[object, ...]], after: str = ""
) -> list[tuple[object, ...]]:
    """Make a file with one table `t` and give back its rows as SQLite stored them."""
    connection = apsw.Connection(str(path))
    connection.execute(f"CREATE TABLE t({declaration}) {after}")
    columns = ", ".join("?" for _ in connection.execute("PRAGMA table_info('t')"))
    with connection:
        connection.executemany(f"INSERT INTO t VALUES ({columns})", rows)
    kept = connection.execute("SELECT * FROM t").fetchall()
    connection.close()
    return kept


def open_file(path: Path, **changes: object) -> Source:
    return open_source(f"sqlite:///{path.name}", limits(path.parent, **changes))


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def whole(relation: Relation) -> Statement:
    """Select a relation's every row, as the query layer does."""
    names = ", ".join(quoted(column.name) for column in relation.columns)
    if relation.query is not None:
        source = f"(\n{relation.query}\n) AS q"
    else:
        source = ".".join(quoted(part) for part in (relation.schema, relation.name) if part)
    sql = f"SELECT {names} FROM {source}"
    return Statement(sql=sql, columns=relation.columns)


def ordered(source: Source, table: str) -> Statement:
    asked = whole(source.relation(table))
    return replace(asked, sql=asked.sql + " ORDER BY place")


def read_table(
    source: Source, name: str, form: Form = Form.TEXT, *, careful: bool = False
) -> tuple[Reader, pa.Table]:
    return read(source, whole(source.relation(name)), form, careful=careful)


def read(
    source: Source, statement: Statement, form: Form = Form.TEXT, *, careful: bool = False
) -> tuple[Reader, pa.Table]:
    """Read to the end; the table has one chunk a batch, and None for a schema that changed on the way."""
    reader = source.read(statement, form, careful=careful)
    batches = list(reader.batches())
    if source.dialect == "sqlite":
        batches = [told_apart(batch, reader.columns) for batch in batches]
    schemas = {batch.schema for batch in batches}
    return reader, pa.Table.from_batches(batches) if len(schemas) == 1 else batches


def told_apart(batch: pa.RecordBatch, columns: tuple[Column, ...]) -> pa.RecordBatch:
    """See numbers that come as SQLite spells them as what they are: integers have digits only."""
    for place, column in enumerate(columns):
        if column.kind is Kind.FLOAT and batch.schema.field(place).type == pa.string():
            texts = batch.column(place)
            kinds = [
                text and (Storage.INTEGER if text.lstrip("-").isdecimal() else Storage.REAL)
                for text in texts.to_pylist()
            ]
            structs = [
                text and {"kind": kind, "text": text}
                for kind, text in zip(kinds, texts.to_pylist(), strict=True)
            ]
            batch = batch.set_column(place, column.name, pa.array(structs, variant_type()))
    return batch


def values(batches: pa.Table | Iterable[pa.RecordBatch]) -> list[tuple[object, ...]]:
    """Give rows of Python values, those of VARIANT columns as SQLite had them."""
    if isinstance(batches, pa.Table):
        batches = batches.to_batches()
    rows: list[tuple[object, ...]] = []
    for batch in batches:
        columns = [[stored(value) for value in column.to_pylist()] for column in batch.columns]
        rows.extend(zip(*columns, strict=True))
    return rows


def stored(value: object) -> object:
    if not isinstance(value, dict):
        return value
    text = value["text"]
    match value["kind"]:
        case Storage.INTEGER:
            return int(text)
        case Storage.REAL:
            return float(text)
        case Storage.BLOB:
            return bytes.fromhex(text.removeprefix("\\x"))
        case _:
            return text


def spelled(rows: Iterable[tuple[object, ...]]) -> list[list[str]]:
    """Make rows comparable to the last bit: 1 is not 1.0, and -0.0 not 0.0."""
    return [[repr(value) for value in row] for row in rows]


def statement(sql: str, *columns: tuple[str, Kind], **parameters: object) -> Statement:
    made = [Column(name=name, database_type="", kind=kind) for name, kind in columns]
    return Statement(sql=sql, columns=tuple(made), parameters=parameters)
