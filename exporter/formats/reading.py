"""Counting the rows of a finished file by reading all of it, with other code than wrote it.

Nothing holds more than a row, a block or a row group at a time.
"""

import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from exporter.errors import FileDamaged
from exporter.formats import registry
from exporter.formats.jsonrows import count_json_rows
from exporter.formats.options import parse_options
from exporter.formats.unpacking import unpacked

_MAX_CELL = 2**31 - 1
_CODECS = {"utf-8": "utf-8-sig"}  # a mark at the start is no data
_FAULTS = (csv.Error, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, EOFError, UnicodeError)
_WORKBOOK_FAULTS = (zipfile.BadZipFile, zlib.error, KeyError, ValueError, TypeError, SyntaxError)


def count_rows(
    path: Path, format_name: str, options: Mapping[str, Any], *, include_headers: bool = True
) -> int:
    """Count data rows. Options left out are the format's own. Raises FileDamaged, Invalid or OSError."""
    given = {"layout": "lines"} if format_name == "json" and ".jsonl" in path.suffixes else {}
    entry = registry.get(format_name)
    complete = parse_options(entry, {**given, **options}, defaults={})
    return entry.count_rows(path, complete, include_headers)


def csv_rows(path: Path, options: Mapping[str, Any], include_headers: bool) -> int:
    codec = _CODECS.get(options["encoding"], options["encoding"])
    csv.field_size_limit(_MAX_CELL)  # for the whole process: the module knows no other way
    with _texts(path, options["compression"], codec) as stream:
        lines = _Lines(stream)
        rows = _records(csv.reader(lines, delimiter=options["delimiter"], strict=True))
    if not lines.last.endswith("\n") and lines.last:
        raise FileDamaged(reason="its last row does not end its line")
    if include_headers and not rows:
        raise FileDamaged(reason="it has no header")
    return rows - include_headers


class _Lines:
    """Passes lines on and remembers the last one."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._stream = stream
        self.last = ""

    def __iter__(self) -> Iterator[str]:
        for line in self._stream:
            self.last = line
            yield line


def _records(reader: Iterator[list[str]]) -> int:
    """Count records. In a file of one column an empty line is a NULL."""
    count, width = 0, None
    for record in reader:
        found = len(record) or 1
        width = width or found
        if found != width:
            raise FileDamaged(reason=f"record {count + 1} has {found} cells and the others have {width}")
        count += 1
    return count


def json_rows(path: Path, options: Mapping[str, Any], _include_headers: bool) -> int:
    with _texts(path, options["compression"], "utf-8") as stream:
        return count_json_rows(stream, options["layout"])


@contextmanager
def _texts(path: Path, compression: str, encoding: str) -> Iterator[io.TextIOWrapper]:
    """Open a file's text; faults of its packing, encoding or syntax become FileDamaged."""
    try:
        with (
            unpacked(path, compression) as stream,
            io.TextIOWrapper(stream, encoding=encoding, newline="") as text,
        ):
            yield text
    except _FAULTS as exc:
        raise FileDamaged(reason=str(exc)) from exc


def parquet_rows(path: Path, _options: Mapping[str, Any], _include_headers: bool) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            rows = sum(int(batch.num_rows) for batch in file.iter_batches())
            promised = int(file.metadata.num_rows)
    except (pa.ArrowException, OSError) as exc:
        raise FileDamaged(reason=str(exc)) from exc
    if rows != promised:
        raise FileDamaged(reason=f"it holds {rows} rows and its footer says {promised}")
    return rows


def excel_rows(path: Path, _options: Mapping[str, Any], include_headers: bool) -> int:
    import openpyxl

    try:
        with zipfile.ZipFile(path) as archive:
            if broken := archive.testzip():
                raise FileDamaged(reason=f"its part {broken} is damaged")
        with closing(openpyxl.load_workbook(path, read_only=True)) as book:
            return sum(sum(1 for _ in sheet.rows) - include_headers for sheet in book.worksheets)
    except _WORKBOOK_FAULTS as exc:
        raise FileDamaged(reason=str(exc)) from exc
