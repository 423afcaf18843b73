"""What the start of a finished file says of itself: its packing or format, and its columns' names."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from exporter.formats.unpacking import unpacked

_SIGNATURES = {b"PAR1": "parquet", b"PK\3\4": "zip", b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_CODECS = {"utf-8": "utf-8-sig"}
_LINE = 1 << 20  # characters: a row of JSON that is longer is not looked into


def signature(path: Path) -> str:
    """Name what the first bytes are: `parquet`, `zip`, `gzip`, `zstd`, or `text` for all else."""
    with path.open("rb") as file:
        start = file.read(4)
    return next((name for mark, name in _SIGNATURES.items() if start.startswith(mark)), "text")


def signature_of(format_name: str, options: Mapping[str, Any]) -> str:
    """Name what the first bytes of such an export are."""
    if format_name in {"parquet", "excel"}:
        return {"parquet": "parquet", "excel": "zip"}[format_name]
    packing = str(options.get("compression", "none"))
    return "text" if packing == "none" else packing


def column_names(path: Path, format_name: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Read the names of a file with headers; none where JSON has no rows. Raises what its reader raises."""
    return tuple(_READERS[format_name](path, options))


def _csv(path: Path, options: Mapping[str, Any]) -> list[str]:
    with _text(path, options, _CODECS.get(options["encoding"], options["encoding"])) as stream:
        return next(csv.reader(stream, delimiter=options["delimiter"]), [])


def _json(path: Path, options: Mapping[str, Any]) -> list[str]:
    """Take the names out of the first object, or out of the list under `columns`."""
    with _text(path, options, "utf-8") as stream:
        start = stream.read(_LINE)
    opening = start.find("[") if options["layout"] == "columns" else start.find("{")
    if opening < 0:
        return []
    return list(json.JSONDecoder().raw_decode(start, opening)[0])


@contextmanager
def _text(path: Path, options: Mapping[str, Any], encoding: str) -> Iterator[io.TextIOWrapper]:
    with (
        unpacked(path, options["compression"]) as stream,
        io.TextIOWrapper(stream, encoding=encoding, newline="") as text,
    ):
        yield text


def _parquet(path: Path, _options: Mapping[str, Any]) -> list[str]:
    import pyarrow.parquet as pq

    return list(pq.read_schema(path).names)


def _excel(path: Path, _options: Mapping[str, Any]) -> list[str]:
    import openpyxl
    from openpyxl.utils.escape import unescape

    with closing(openpyxl.load_workbook(path, read_only=True)) as book:
        head = next(book.worksheets[0].iter_rows(values_only=True, max_row=1), ())
    return [unescape(str(name)) for name in head]


_READERS: Mapping[str, Callable[[Path, Mapping[str, Any]], list[str]]] = {
    "csv": _csv,
    "json": _json,
    "parquet": _parquet,
    "excel": _excel,
}
