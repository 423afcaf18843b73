"""exporter verify: is this file whole, and what was asked for?"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from exporter.cli.base import Verb
from exporter.cli.output import as_json, show_json
from exporter.errors import ExporterError

SUFFIXES = {".csv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet", ".xlsx": "excel"}
SHOWN = 5  # names of columns in one sentence
WRONG = "this looks like the receipt of another export"
PACKED = {".gz": "gzip", ".zst": "zstd", ".zip": "zip"}


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What a receipt says of its file."""

    format: str
    options: Mapping[str, Any]
    include_headers: bool
    row_count: int
    rows_in_file: int
    file_size: int
    sha256: str
    columns: tuple[str, ...]


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
        click.echo(
            f"{path.name}: {rows:,} rows, readable to its end (no receipt to compare with: only a receipt shows"
            " whether a value or a row was changed; give it with --receipt)"
        )
    else:
        click.echo(f"{path.name}: whole, {rows:,} rows as in its receipt")


def _examine(path: Path, receipt: Receipt | None) -> tuple[int | None, list[str]]:
    """Give the rows, None where they cannot be counted, and all that is wrong."""
    faults = list(_altered(path, receipt)) if receipt is not None else []
    try:
        rows = _rows(path, receipt)
    except ExporterError as exc:
        hint = "" if receipt is not None else " (give its receipt if it was written with options of its own)"
        return None, [*faults, exc.line + hint]
    if receipt is not None and rows != receipt.row_count:
        faults.append(_miscounted(rows, receipt.row_count))
    return rows, faults


def _miscounted(rows: int, promised: int) -> str:
    other = abs(rows - promised)
    found = f"has {rows:,} rows, the receipt says {promised:,}: {other:,} row{'s' * (other != 1)}"
    return f"{found} {'missing' if rows < promised else 'too many'}"


def _altered(path: Path, receipt: Receipt) -> Iterator[str]:
    """Tell what is wrong with the bytes, and whether the receipt is this file's at all."""
    if receipt.row_count != receipt.rows_in_file:
        yield "its receipt contradicts itself: row_count and rows_in_file differ"
    size, promised = path.stat().st_size, receipt.file_size
    if size != promised:
        what = f"{promised - size:,} missing" if size < promised else f"{size - promised:,} too many"
        yield f"has {size:,} bytes, the receipt says {promised:,}: {what}"
    if _sha256(path) == receipt.sha256:
        return
    same_size = ", though its size is the same" if size == promised else ""
    yield f"its sha256 is not the receipt's: the contents were changed{same_size}"
    yield from _strangers(path, receipt)


def _strangers(path: Path, receipt: Receipt) -> Iterator[str]:
    """Tell a receipt of another export by the file's first bytes and the names of its columns."""
    from exporter.formats.heads import signature, signature_of

    found, wanted = signature(path), signature_of(receipt.format, receipt.options)
    if found not in {wanted, "text"}:
        yield f"it is a {found} file and the receipt speaks of {receipt.format} ({wanted}): {WRONG}"
    elif (names := _names(path, receipt)) and receipt.columns and names != receipt.columns:
        yield f"its columns are {_listed(names)} and the receipt's {_listed(receipt.columns)}: {WRONG}"


def _names(path: Path, receipt: Receipt) -> tuple[str, ...]:
    """Give the names of the file's columns; none where it does not tell them."""
    from exporter.formats.heads import column_names
    from exporter.formats.options import parse_options
    from exporter.formats.registry import get

    if not receipt.include_headers and receipt.format in {"csv", "excel"}:
        return ()
    try:
        return column_names(
            path, receipt.format, parse_options(get(receipt.format), receipt.options, defaults={})
        )
    except Exception:  # noqa: BLE001 - the count of rows says what is wrong with a file that no reader takes
        return ()


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(repr(name) for name in names[:SHOWN])
    return f"{shown}, …" if len(names) > SHOWN else shown


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
            rows_in_file=int(told.get("rows_in_file", told["row_count"])),
            file_size=int(told["file_size"]),
            sha256=str(told["checksum"]["value"]),
            columns=tuple(str(column["name"]) for column in told.get("columns", ())),
        )
    except KeyError as exc:
        raise click.ClickException(f"{path} is no receipt: it lacks {exc.args[0]}") from exc
    except (ValueError, AttributeError, TypeError, RecursionError) as exc:
        raise click.ClickException(f"{path} is no receipt: {exc}") from exc


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
