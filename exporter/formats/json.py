"""JSON in three layouts. Without an indent every row ends its line, so that rows are counted by lines."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from exporter.formats import jsoncells, text
from exporter.formats.base import WriterRequest
from exporter.formats.compression import member_name, open_sink
from exporter.formats.counting import newlines
from exporter.formats.rowtext import json_nulls
from exporter.sources.base import Cells, Column, Kind, Notice, RowText

_MESSAGES = {
    jsoncells.NON_FINITE: "{count} values such as NaN or Infinity are no JSON numbers and were written as text.",
    jsoncells.NO_JSON: "{count} values of JSON columns are no valid JSON and were written as text.",
    jsoncells.BOUNDS: "{count} arrays do not start at index 1; JSON arrays have no bounds, so these were left out.",
}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The literals around rows and cells, with all line breaks and indents in them."""

    opening: str
    before: tuple[str, ...]  # each cell of a row; the first one opens the row
    end: str
    between: str
    closing: str
    closing_empty: str

    @property
    def lines_of_row(self) -> int:
        return sum(part.count("\n") for part in (*self.before, self.end, self.between))


def layout_of(columns: tuple[Column, ...], options: Mapping[str, Any]) -> Layout:
    names = [json.dumps(column.name, ensure_ascii=False) for column in columns]
    indent = options["indent"]
    match options["layout"]:
        case "lines":
            return _lines(names)
        case "columns":
            return _compact_columns(names) if indent is None else _indented_columns(names, " " * indent)
        case _:
            return _compact_array(names) if indent is None else _indented_array(names, " " * indent)


def row_text(columns: tuple[Column, ...], options: Mapping[str, Any]) -> RowText | None:
    """Say how a database may spell the rows; not where documents or arrays could look like parts of a row."""
    if any(column.kind in {Kind.JSON, Kind.ARRAY} for column in columns):
        return None
    layout = layout_of(columns, options)
    return RowText(cells=Cells.JSON, before=layout.before, end=layout.end, between=layout.between)


def open_writer(request: WriterRequest) -> "JsonWriter":
    return JsonWriter(request)


class JsonWriter:
    def __init__(self, request: WriterRequest) -> None:
        options = request.options
        suffix = ".jsonl" if options["layout"] == "lines" else ".json"
        member = member_name(request.file_name, ".zip", f"export{suffix}")
        self._columns = request.columns
        self._sink = open_sink(request.stream, options["compression"], member)
        self._layout = layout_of(request.columns, options)
        self._cells = jsoncells.JsonCells()
        self._lines = 0
        self._pending = self._layout.opening

    @property
    def rows_in_file(self) -> int:
        """Lines over lines of a row; -1 where that leaves a rest, for then something is broken."""
        rows, rest = divmod(self._lines, self._layout.lines_of_row)
        return -1 if rest else rows

    def write(self, batch: pa.RecordBatch) -> None:
        layout = self._layout
        for piece in text.pieces(batch):
            cells = [self._cells.of(*pair) for pair in zip(piece.columns, self._columns, strict=True)]
            rows = text.window(text.rows_of(cells, layout.before, layout.end + layout.between, null="null"))
            self._sink.write(self._pending.encode())
            self._sink.write(rows[: -len(layout.between)])
            self._lines += newlines(np.frombuffer(rows, np.uint8))
            self._pending = layout.between

    def write_text(self, data: bytes, rows: int) -> Sequence[int]:
        del rows  # each line of the layout is known
        between = self._layout.between
        nulls = json_nulls(data, self._layout.before, between)
        self._sink.write(self._pending.encode())
        self._sink.write(data)
        self._lines += newlines(np.frombuffer(data, np.uint8)) + between.count("\n")
        self._pending = between
        return nulls

    def finish(self) -> None:
        layout = self._layout
        self._sink.write((layout.closing if self._lines else layout.opening + layout.closing_empty).encode())
        self._sink.finish()

    def abandon(self) -> None:
        self._sink.abandon()

    def notices(self) -> tuple[Notice, ...]:
        return tuple(
            Notice(code=code, count=count, message=_MESSAGES[code].format(count=count))
            for code, count in sorted(self._cells.counts.items())
            if count
        )


def _lines(names: list[str]) -> Layout:
    return Layout(
        opening="", before=_keys(names, "{", ",", ":"), end="}", between="\n", closing="\n", closing_empty=""
    )


def _compact_array(names: list[str]) -> Layout:
    return Layout(
        opening="[\n",
        before=_keys(names, "{", ",", ":"),
        end="}",
        between=",\n",
        closing="\n]\n",
        closing_empty="]\n",
    )


def _indented_array(names: list[str], indent: str) -> Layout:
    inner = f"\n{indent * 2}"
    return Layout(
        opening="[\n",
        before=_keys(names, f"{indent}{{{inner}", f",{inner}", ": "),
        end=f"\n{indent}}}",
        between=",\n",
        closing="\n]\n",
        closing_empty="]\n",
    )


def _compact_columns(names: list[str]) -> Layout:
    return Layout(
        opening=f'{{"columns":[{",".join(names)}],"rows":[\n',
        before=("[", *[","] * (len(names) - 1)),
        end="]",
        between=",\n",
        closing="\n]}\n",
        closing_empty="]}\n",
    )


def _indented_columns(names: list[str], indent: str) -> Layout:
    heads = ",\n".join(indent * 2 + name for name in names)
    inner = f"\n{indent * 3}"
    return Layout(
        opening=f'{{\n{indent}"columns": [\n{heads}\n{indent}],\n{indent}"rows": [\n',
        before=(f"{indent * 2}[{inner}", *[f",{inner}"] * (len(names) - 1)),
        end=f"\n{indent * 2}]",
        between=",\n",
        closing=f"\n{indent}]\n}}\n",
        closing_empty=f"{indent}]\n}}\n",
    )


def _keys(names: list[str], first: str, other: str, colon: str) -> tuple[str, ...]:
    return tuple((other if number else first) + name + colon for number, name in enumerate(names))
