"""The formats there are. A new one is its writer, its options, its reading back, and one row here."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from exporter.errors import Invalid
from exporter.formats.base import FormatEntry, Writer, WriterRequest
from exporter.formats.options import CsvOptions, ExcelOptions, JsonOptions, ParquetOptions
from exporter.sources.base import Column, Form, RowText

_SUFFIX = {"none": "", "gzip": ".gz", "zstd": ".zst", "zip": ".zip"}
_PACKED = {"gzip": "application/gzip", "zstd": "application/zstd", "zip": "application/zip"}
_CHARSET = {"utf-8-sig": "utf-8"}


def _writer_of(module: str) -> Callable[[WriterRequest], Writer]:
    """Import the module, and with it its library, when the first file is written."""

    def open_writer(request: WriterRequest) -> Writer:
        return cast("Writer", import_module(module).open_writer(request))

    return open_writer


def _row_text_of(module: str) -> Callable[[tuple[Column, ...], Mapping[str, Any]], RowText | None]:
    def row_text(columns: tuple[Column, ...], options: Mapping[str, Any]) -> RowText | None:
        return cast("RowText | None", import_module(module).row_text(columns, options))

    return row_text


def _counter_of(function: str) -> Callable[[Path, Mapping[str, Any], bool], int]:
    def count_rows(path: Path, options: Mapping[str, Any], include_headers: bool) -> int:
        return cast(
            "int",
            getattr(import_module("exporter.formats.reading"), function)(path, options, include_headers),
        )

    return count_rows


def _csv_extension(options: Mapping[str, Any]) -> str:
    return ".csv" + _SUFFIX[options["compression"]]


def _csv_content_type(options: Mapping[str, Any]) -> str:
    charset = _CHARSET.get(options["encoding"], options["encoding"])
    return _PACKED.get(options["compression"], f"text/csv; charset={charset}")


def _json_extension(options: Mapping[str, Any]) -> str:
    return (".jsonl" if options["layout"] == "lines" else ".json") + _SUFFIX[options["compression"]]


def _json_content_type(options: Mapping[str, Any]) -> str:
    plain = "application/x-ndjson" if options["layout"] == "lines" else "application/json"
    return _PACKED.get(options["compression"], plain)


_ROWS = (
    FormatEntry(
        name="csv",
        form=Form.TEXT,
        options=CsvOptions,
        extension=_csv_extension,
        content_type=_csv_content_type,
        open_writer=_writer_of("exporter.formats.csv"),
        count_rows=_counter_of("csv_rows"),
        row_text=_row_text_of("exporter.formats.csv"),
    ),
    FormatEntry(
        name="json",
        form=Form.TEXT,
        options=JsonOptions,
        extension=_json_extension,
        content_type=_json_content_type,
        open_writer=_writer_of("exporter.formats.json"),
        count_rows=_counter_of("json_rows"),
        row_text=_row_text_of("exporter.formats.json"),
    ),
    FormatEntry(
        name="parquet",
        form=Form.TYPED,
        options=ParquetOptions,
        extension=lambda _options: ".parquet",
        content_type=lambda _options: "application/vnd.apache.parquet",
        open_writer=_writer_of("exporter.formats.parquet"),
        count_rows=_counter_of("parquet_rows"),
    ),
    FormatEntry(
        name="excel",
        form=Form.TEXT,
        options=ExcelOptions,
        extension=lambda _options: ".xlsx",
        content_type=lambda _options: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        open_writer=_writer_of("exporter.formats.excel"),
        count_rows=_counter_of("excel_rows"),
    ),
)

FORMATS: Mapping[str, FormatEntry] = MappingProxyType({entry.name: entry for entry in _ROWS})


def get(name: str) -> FormatEntry:
    """Find a format. Raises Invalid on `format`."""
    if name not in FORMATS:
        raise Invalid({"format": f"Invalid format. Must be one of: {', '.join(FORMATS)}"})
    return FORMATS[name]
