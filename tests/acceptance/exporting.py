"""Exports as a user makes them, through service, job and artifact, and what their files hold by other readers.

A cell is a pair of what it is and its value: a value that a format cannot tell from another must not look like it.
"""

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from openpyxl.utils.escape import unescape

from tests.client import Client

Cell = tuple[str, Any]
NULL: Cell = ("null", None)
INTEGER = "integer"


@dataclass(frozen=True, kw_only=True)
class Export:
    """A completed job, its receipt and its file."""

    job: Mapping[str, Any]
    receipt: Mapping[str, Any]
    content: bytes

    @property
    def options(self) -> Mapping[str, Any]:
        return self.receipt["options"]

    @property
    def warnings(self) -> dict[str, int | None]:
        counts: dict[str, Any] = {}
        for warning in self.job["warnings"]:
            counted = warning["count"]
            counts[warning["code"]] = (
                counts.get(warning["code"], 0) + counted if counted is not None else None
            )
        return counts

    def plain(self) -> bytes:
        match self.options["compression"]:
            case "gzip":
                return gzip.decompress(self.content)
            case "zstd":
                return zstandard.ZstdDecompressor().decompressobj().decompress(self.content)
            case "zip":
                with zipfile.ZipFile(io.BytesIO(self.content)) as archive:
                    (name,) = archive.namelist()
                    return archive.read(name)
            case _:
                return self.content


class Desk:
    """One datasource and somebody who exports from it."""

    def __init__(self, client: Client, url: str) -> None:
        self._client = client
        made = client.post("datasources/", {"name": url.rpartition("/")[2], "url": url})
        assert made.status_code == 201, made.json
        self._datasource = made.json["data"]["id"]

    def ask(
        self, table: str, format_name: str, filters: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """Give the job, however it ended."""
        wanted = {"table": table, **(filters or {})}
        body = {"datasource": self._datasource, "format": format_name, "filters": wanted, "options": options}
        return self._client.export(body)

    def export(self, *arguments: Any, **options: Any) -> Export:
        job = self.ask(*arguments, **options)
        assert job["status"] == "completed", job
        receipt = self._client.get(f"exports/{job['id']}/receipt/").json["data"]
        return Export(job=job, receipt=receipt, content=self._client.file(job))


Rows = tuple[list[str], list[list[Cell]]]


def read(done: Export) -> Rows:
    """Give the names and the rows of a file by readers that are not ours."""
    return _READERS[done.job["format"]](done)


def _csv(done: Export) -> Rows:
    codec = {"utf-8": "utf-8"}.get(done.options["encoding"], done.options["encoding"])
    records = list(
        csv_cells(done.plain().decode(codec), done.options["delimiter"], done.options["line_terminator"])
    )
    head, *rows = records
    by_module = list(
        csv.reader(io.StringIO(done.plain().decode(codec), newline=""), delimiter=done.options["delimiter"])
    )
    assert [[text for _, text in record] for record in records] == [record or [""] for record in by_module]
    bare_null = ("bare", done.options["null_value"])
    return [text for _, text in head], [[NULL if cell == bare_null else cell for cell in row] for row in rows]


def csv_cells(text: str, delimiter: str, end: str) -> Iterator[list[Cell]]:
    """Read CSV and tell quoted cells from bare ones, which Python's module does not."""
    at, row = 0, list[Cell]()
    while at < len(text) or row:
        if text.startswith('"', at):
            cell, at = _quoted(text, at + 1)
        else:
            cell, at = _bare(text, at, delimiter, end)
        row.append(cell)
        if text.startswith(delimiter, at):
            at += len(delimiter)
        else:
            assert text.startswith(end, at), f"no cell ends at {at}: {text[max(0, at - 40) : at + 40]!r}"
            at += len(end)
            yield row
            row = []


def _quoted(text: str, at: int) -> tuple[Cell, int]:
    parts = []
    while True:
        close = text.index('"', at)
        parts.append(text[at:close])
        if not text.startswith('"', close + 1):
            return ("quoted", '"'.join(parts)), close + 1
        at = close + 2


def _bare(text: str, at: int, delimiter: str, end: str) -> tuple[Cell, int]:
    ends = [place for mark in (delimiter, end) if (place := text.find(mark, at)) >= 0]
    assert ends, f"the last cell does not end its line: {text[at:][:80]!r}"
    bare = text[at : min(ends)]
    assert '"' not in bare, bare
    return ("bare", bare), min(ends)


def _json(done: Export) -> Rows:
    text = done.plain().decode("utf-8")
    match done.options["layout"]:
        case "lines":
            documents = [document(line) for line in text.split("\n")[:-1]]
        case "columns":
            whole = dict(document(text))
            return list(whole["columns"]), [[json_cell(value) for value in row] for row in whole["rows"]]
        case _:
            documents = document(text)
    names = [name for name, _ in documents[0]] if documents else []
    assert all([name for name, _ in row] == names for row in documents)
    return names, [[json_cell(value) for _, value in row] for row in documents]


class Pairs(list):  # type: ignore[type-arg]
    """An object with its keys in order, and repeated ones."""


def document(text: str | bytes) -> Any:
    """Parse JSON with every digit, order and repetition kept."""
    return json.loads(
        text, parse_int=Decimal, parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=Pairs
    )


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def json_cell(value: Any) -> Cell:
    match value:
        case None:
            return NULL
        case bool():
            return ("boolean", value)
        case Decimal():
            return ("number", value)
        case str():
            return ("text", value)
        case Pairs():
            return ("object", [(key, json_cell(inner)) for key, inner in value])
        case list():
            return ("list", [json_cell(inner) for inner in value])
    raise AssertionError(value)


def _parquet(done: Export) -> Rows:
    table = pq.read_table(io.BytesIO(done.content))
    columns = [_arrow_cells(column) for column in table.columns]
    _same_to_duckdb(done.content, table)
    return table.schema.names, [list(row) for row in zip(*columns, strict=True)]


def _arrow_cells(column: pa.ChunkedArray) -> list[Cell]:
    kind = column.type
    if pa.types.is_temporal(kind):
        narrow = pa.int32() if pa.types.is_date32(kind) else pa.int64()
        column = column.cast(narrow)
    return [NULL if value is None else (str(kind), value) for value in column.to_pylist()]


def _same_to_duckdb(content: bytes, table: pa.Table) -> None:
    """Read again by an engine that shares no code with Arrow, as far as it knows the types."""
    import tempfile

    known = [
        name
        for name, kind in zip(table.schema.names, table.schema.types, strict=True)
        if not pa.types.is_temporal(kind) and not pa.types.is_decimal256(kind)
    ]
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file, duckdb.connect() as connection:
        file.write(content)
        file.flush()
        names = ", ".join('"' + name.replace('"', '""') + '"' for name in known)
        found = connection.execute(f"SELECT {names} FROM read_parquet(?)", [file.name]).fetchall()
    ours = zip(*(table.column(name).to_pylist() for name in known), strict=True)
    for number, (theirs, row) in enumerate(zip(found, ours, strict=True), 1):
        assert repr(theirs) == repr(row), f"row {number}: duckdb reads {theirs!r}, Arrow {row!r}"


def _excel(done: Export) -> Rows:
    book = openpyxl.load_workbook(io.BytesIO(done.content))
    names: list[str] = []
    rows: list[list[Cell]] = []
    for sheet in book.worksheets:
        head, *others = sheet.iter_rows()
        names = [unescape(cell.value) for cell in head]
        rows += [[_excel_cell(cell) for cell in row] for row in others]
    while len(rows) < done.receipt["row_count"]:  # rows of nothing but NULL at the end have no cell
        rows.append([NULL] * len(names))
    return names, rows


def _excel_cell(cell: Any) -> Cell:
    assert cell.data_type != "f", f"{cell.coordinate} is a formula"
    if cell.value is None and cell.data_type == "n":
        return NULL
    if cell.data_type in {"s", "inlineStr"}:
        return ("text", unescape(cell.value or ""))
    return ({"n": "number", "d": "moment", "b": "boolean"}[cell.data_type], cell.value)


_READERS = {"csv": _csv, "json": _json, "parquet": _parquet, "excel": _excel}
