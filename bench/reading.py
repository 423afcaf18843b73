"""Reads an output back, whoever wrote it, as columns of Arrow values."""

import datetime as dt
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

BLOCK_BYTES = 32 << 20

Columns = list[pa.Array]


def read_columns(file: Path, format_name: str, names: list[str]) -> Iterator[Columns]:
    """Yield batches, each a list of columns in the order of `names`."""
    if format_name == "excel":
        yield _excel(file, names)
        return
    reader = {"csv": _csv, "json": _json, "parquet": _parquet}[format_name]
    for batch in reader(file, names):
        if batch.num_rows:
            yield [batch.column(name) for name in names]


def _csv(file: Path, names: list[str]) -> Iterator[pa.RecordBatch]:
    return pyarrow.csv.open_csv(
        file,
        read_options=pyarrow.csv.ReadOptions(block_size=BLOCK_BYTES),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
        ),
    )


def _json(file: Path, names: list[str]) -> Iterator[pa.RecordBatch]:
    """Read JSON lines, or what `sqlite3 -json` prints: an array with one object a line."""
    with file.open("rb") as opened:
        is_array = opened.read(1) == b"["
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "lines" if is_array else file
        if is_array:
            _unwrap(file, lines)
        read_options = pyarrow.json.ReadOptions(block_size=BLOCK_BYTES)
        try:
            found = pyarrow.json.read_json(lines, read_options, _as(names, pa.float64()))
        except pa.ArrowInvalid:  # polars spells decimals as texts
            found = pyarrow.json.read_json(lines, read_options, _as(names, pa.string()))
        yield from found.to_batches()


def _as(names: list[str], cents: pa.DataType) -> pyarrow.json.ParseOptions:
    """Keep texts that look like times as they are; decimals are spelled as `cents` says."""
    from bench import tables

    kinds = {
        "int": pa.int64(),
        "cents": cents,
        "double": pa.float64(),
        "text": pa.string(),
        "date": pa.string(),
    }
    columns = {column.name: column.kind for table in tables.COLUMNS.values() for column in table}
    schema = pa.schema([(name, kinds[columns[name]]) for name in names])
    return pyarrow.json.ParseOptions(explicit_schema=schema)


def _unwrap(file: Path, lines: Path) -> None:
    with file.open("rb") as array, lines.open("wb") as out:
        for line in array:
            out.write(line.strip().removeprefix(b"[").removesuffix(b"]").removesuffix(b",") + b"\n")


def _parquet(file: Path, names: list[str]) -> Iterator[pa.RecordBatch]:
    return pyarrow.parquet.ParquetFile(file).iter_batches(columns=names)


def _excel(file: Path, names: list[str]) -> Columns:
    from python_calamine import CalamineWorkbook

    header, *rows = CalamineWorkbook.from_path(str(file)).get_sheet_by_index(0).to_python()
    if header != names:
        raise SystemExit(f"the sheet's columns are {header}")
    return [pa.array([_cell(value) for value in column]) for column in zip(*rows, strict=True)]


def _cell(value: Any) -> Any:
    if value == "":
        return None
    return value.isoformat() if isinstance(value, dt.date) else value
