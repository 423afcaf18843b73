"""exporter verify: is this file whole, and what was asked for?"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from exporter.cli.base import Verb
from exporter.errors import ExporterError

BLOCK_BYTES = 1024 * 1024
SUFFIXES = {".csv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet", ".xlsx": "excel"}


@click.command(cls=Verb)
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--receipt",
    "receipt_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The JSON of GET …/receipt/, with or without its envelope.",
)
def verify(path: Path, receipt_path: Path | None) -> None:
    """Check a file, against its receipt if given: exporter verify orders.csv --receipt receipt.json"""
    receipt = _receipt(receipt_path) if receipt_path is not None else None
    faults = list(_faults(path, receipt))
    if faults:
        raise click.ClickException(f"{path.name}: {'; '.join(faults)}")
    if receipt is None:
        click.echo(
            f"{path.name}: {_rows(path, None):,} rows, readable to its end (no receipt to compare with)"
        )
    else:
        click.echo(f"{path.name}: whole, {receipt['row_count']:,} rows as in its receipt")


def _faults(path: Path, receipt: Mapping[str, Any] | None) -> Iterator[str]:
    if receipt is not None:
        size = path.stat().st_size
        if size != receipt["file_size"]:
            yield f"has {size:,} bytes, the receipt says {receipt['file_size']:,}"
        if _sha256(path) != receipt["checksum"]["value"]:
            yield "its sha256 is not the receipt's: the contents were changed"
    try:
        rows = _rows(path, receipt)
    except ExporterError as exc:
        yield exc.message
        return
    if receipt is not None and rows != receipt["row_count"]:
        yield f"has {rows:,} rows, the receipt says {receipt['row_count']:,}"


def _rows(path: Path, receipt: Mapping[str, Any] | None) -> int:
    from exporter.formats.reading import count_rows

    if receipt is not None:
        return count_rows(
            path,
            receipt["format"],
            receipt["options"],
            include_headers=receipt.get("include_headers", True),
        )
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = {".gz": "gzip", ".zst": "zstd", ".zip": "zip"}
    compression = next((packed[suffix] for suffix in suffixes[-1:] if suffix in packed), "none")
    format_name = next((SUFFIXES[suffix] for suffix in reversed(suffixes) if suffix in SUFFIXES), None)
    if format_name is None:
        message = f"{path.name}: its format is not to be told from its name; give the receipt"
        raise click.ClickException(message)
    return count_rows(path, format_name, {"compression": compression})


def _receipt(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        receipt: Mapping[str, Any] = value.get("data", value)
        missing = {"format", "options", "row_count", "file_size", "checksum"} - receipt.keys()
    except (ValueError, AttributeError) as exc:
        message = f"{path} is no receipt: {exc}"
        raise click.ClickException(message) from exc
    if missing:
        message = f"{path} is no receipt: {', '.join(sorted(missing))} missing"
        raise click.ClickException(message)
    return receipt


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
