"""exporter verify: is this file whole, and what was asked for?"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from exporter.cli.base import Verb
from exporter.cli.output import as_json, show_json, told
from exporter.errors import ExporterError

SUFFIXES = {".csv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet", ".xlsx": "excel"}
PACKED = {".gz": "gzip", ".zst": "zstd", ".zip": "zip"}


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What a receipt says of its file."""

    format: str
    options: Mapping[str, Any]
    include_headers: bool
    row_count: int
    file_size: int
    sha256: str


@click.command(cls=Verb)
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--receipt",
    "receipt_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="As exporter exports receipt or GET …/receipt/ gives it.",
)
@as_json
def verify(path: Path, receipt_path: Path | None, *, as_json: bool) -> None:
    """Check a file, against its receipt if given.

    Needs no server. Without a receipt the file is read to its end and its rows are counted; its format is taken
    from its name.

    Example: exporter verify orders.csv --receipt receipt.json
    """
    receipt = _receipt(receipt_path) if receipt_path is not None else None
    rows, faults = _examine(path, receipt)
    if as_json:
        show_json(
            {
                "file": str(path),
                "whole": not faults,
                "rows_in_file": rows,
                "receipt": receipt is not None,
                "faults": faults,
            }
        )
    if faults:
        raise click.ClickException(f"{path.name}: {'; '.join(faults)}")
    if as_json:
        return
    if receipt is None:
        click.echo(f"{path.name}: {rows:,} rows, readable to its end (no receipt to compare with)")
    else:
        click.echo(f"{path.name}: whole, {rows:,} rows as in its receipt")


def _examine(path: Path, receipt: Receipt | None) -> tuple[int | None, list[str]]:
    """Give the rows, None where they cannot be counted, and all that is wrong."""
    faults = list(_altered(path, receipt)) if receipt is not None else []
    try:
        rows = _rows(path, receipt)
    except ExporterError as exc:
        hint = "" if receipt is not None else " (give its receipt if it was written with options of its own)"
        return None, [*faults, told(exc) + hint]
    if receipt is not None and rows != receipt.row_count:
        faults.append(f"has {rows:,} rows, the receipt says {receipt.row_count:,}")
    return rows, faults


def _altered(path: Path, receipt: Receipt) -> Iterator[str]:
    size = path.stat().st_size
    if size != receipt.file_size:
        yield f"has {size:,} bytes, the receipt says {receipt.file_size:,}"
    if _sha256(path) != receipt.sha256:
        yield "its sha256 is not the receipt's: the contents were changed"


def _rows(path: Path, receipt: Receipt | None) -> int:
    from exporter.formats.reading import count_rows

    if receipt is not None:
        return count_rows(path, receipt.format, receipt.options, include_headers=receipt.include_headers)
    format_name, options = _of_name(path)
    return count_rows(path, format_name, options)


def _of_name(path: Path) -> tuple[str, dict[str, str]]:
    """Tell format and options from a name such as `orders.csv.gz`. Raises ClickException."""
    *_, inner, last = ["", "", *(suffix.lower() for suffix in path.suffixes)]
    suffix, options = (inner, {"compression": PACKED[last]}) if last in PACKED else (last, {})
    if suffix not in SUFFIXES:
        raise click.ClickException(
            f"{path.name}: its format is not to be told from its name; give the receipt"
        )
    return SUFFIXES[suffix], options | ({"layout": "lines"} if suffix == ".jsonl" else {})


def _receipt(path: Path) -> Receipt:
    """Read a receipt, with or without its envelope. Raises ClickException."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        told = value.get("data", value)
        return Receipt(
            format=str(told["format"]),
            options=dict(told["options"]),
            include_headers=bool(told.get("include_headers", True)),
            row_count=int(told["row_count"]),
            file_size=int(told["file_size"]),
            sha256=str(told["checksum"]["value"]),
        )
    except KeyError as exc:
        raise click.ClickException(f"{path} is no receipt: it lacks {exc.args[0]}") from exc
    except (ValueError, AttributeError, TypeError, RecursionError) as exc:
        raise click.ClickException(f"{path} is no receipt: {exc}") from exc


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
