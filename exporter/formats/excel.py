"""Excel workbooks: sheets as XML by Arrow's kernels, deflated on the way into the archive."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exporter import literals
from exporter.failures import ValueUnwritable
from exporter.formats import sheetcells, text, workbook
from exporter.formats.base import WriterRequest
from exporter.formats.counting import row_tags
from exporter.formats.sheetcells import Cell, SheetCells
from exporter.formats.spelling import spell
from exporter.formats.zipstream import ZipStream
from exporter.sources.base import Kind, Notice

MAX_ROWS = 1_048_576  # of a sheet, its header included
MAX_COLUMNS = 16_384
_SAMPLE = 200  # rows that the widths are taken from
_NARROW, _WIDE = 9, 60
_MESSAGES = {
    sheetcells.NUMBER_AS_TEXT: "{count} numbers that Excel cannot hold exactly were written as text.",
    sheetcells.DATE_AS_TEXT: "{count} dates or times that Excel cannot hold exactly were written as text.",
}
_WIDTHS = {Kind.DATE: 12, Kind.TIMESTAMP: 21, Kind.TIMESTAMPTZ: 25, Kind.TIME: 11}


def open_writer(request: WriterRequest) -> "ExcelWriter":
    return ExcelWriter(request)


class ExcelWriter:
    def __init__(self, request: WriterRequest, *, max_rows: int = MAX_ROWS) -> None:
        if len(request.columns) > MAX_COLUMNS:
            count = len(request.columns)
            raise ValueUnwritable(
                f"There are {count} columns and an Excel sheet holds {MAX_COLUMNS}. "
                "Choose fewer columns, or csv, json or parquet."
            )
        self._request = request
        self._zip = ZipStream(request.stream)
        self._cells = SheetCells()
        self._letters = [workbook.column_letters(number) for number in range(len(request.columns))]
        self._max_rows = max_rows
        self._widths: list[int] = []
        self._areas: list[str] = []
        self._open = False
        self._row = 0  # of the open sheet, header included
        self._rows_before = 0
        self._row_tags = 0

    @property
    def rows_in_file(self) -> int:
        headers = len(self._areas) + self._open if self._request.include_headers else 0
        return self._row_tags - headers

    def write(self, batch: pa.RecordBatch) -> None:
        for piece in text.pieces(batch):
            left = piece
            while left.num_rows:
                self._make_room(left)
                part = left.slice(0, self._max_rows - self._row)
                self._write_rows(part)
                left = left.slice(part.num_rows)

    def finish(self) -> None:
        if not self._open:
            self._open_sheet(None)
        self._close_sheet()
        count = len(self._areas)
        names = workbook.sheet_names(self._request.options["sheet_name"], count)
        filters = self._areas if self._request.include_headers else []
        self._zip.add("xl/styles.xml", workbook.styles().encode())
        self._zip.add("xl/workbook.xml", workbook.workbook(names, filters).encode())
        self._zip.add("xl/_rels/workbook.xml.rels", workbook.workbook_relationships(count).encode())
        self._zip.add("[Content_Types].xml", workbook.content_types(count).encode())
        self._zip.finish()

    def abandon(self) -> None:
        """Without its directory the file is no archive."""
        self._zip.abandon()

    def notices(self) -> tuple[Notice, ...]:
        counted = tuple(
            Notice(code=code, count=count, message=_MESSAGES[code].format(count=count))
            for code, count in sorted(self._cells.counts.items())
            if count
        )
        further = len(self._areas) - 1
        if further < 1:
            return counted
        message = f"The rows go on in {further} further sheets: a sheet holds {self._max_rows} rows."
        return (*counted, Notice(code="further_sheets", count=further, message=message))

    def _make_room(self, batch: pa.RecordBatch) -> None:
        if self._open and self._row >= self._max_rows:
            self._close_sheet()
        if not self._open:
            self._open_sheet(batch)

    def _open_sheet(self, first: pa.RecordBatch | None) -> None:
        headed = self._request.include_headers
        if not self._areas:
            self._zip.add("_rels/.rels", workbook.relationships().encode())
            self._widths = [self._width(number, first) for number in range(len(self._letters))]
        self._zip.open(f"xl/worksheets/sheet{len(self._areas) + 1}.xml")
        opening = workbook.sheet_opening(self._widths, frozen=headed, selected=not self._areas)
        self._zip.write(opening.encode())
        self._open, self._row = True, 0
        if headed:
            self._write_header()

    def _close_sheet(self) -> None:
        area = f"A1:{self._letters[-1]}{max(self._row, 1)}"
        closing = workbook.sheet_closing(area, filtered=self._request.include_headers)
        self._zip.write(closing.encode())
        self._zip.close()
        self._areas.append(area)
        self._open = False

    def _write_header(self) -> None:
        start = f'" s="{workbook.HEADER}" t="inlineStr"><is><t xml:space="preserve">'
        names = (sheetcells.escaped(literals.texts([column.name])) for column in self._request.columns)
        self._put([[Cell(start, name, "</t></is></c>")] for name in names], 1)

    def _write_rows(self, batch: pa.RecordBatch) -> None:
        columns = zip(batch.columns, self._request.columns, strict=True)
        cells = [self._cells.of(array, column, self._rows_before) for array, column in columns]
        self._put(cells, batch.num_rows)
        self._rows_before += batch.num_rows

    def _put(self, cells: Sequence[list[Cell]], count: int) -> None:
        numbers = literals.integers(np.arange(self._row + 1, self._row + count + 1)).cast(pa.string())
        rows = text.window(_rows(numbers, self._letters, cells))
        self._row_tags += row_tags(rows)
        self._zip.write(rows)
        self._row += count

    def _width(self, number: int, first: pa.RecordBatch | None) -> int:
        """Guess from the header, which needs room for its filter button, the kind, and the first rows."""
        column = self._request.columns[number]
        widths = [len(column.name) + 4, _WIDTHS.get(column.kind, _NARROW)]
        if first is not None and column.kind not in _WIDTHS:
            values = spell(first.column(number).slice(0, _SAMPLE))
            widths.append((pc.max(pc.utf8_length(values)).as_py() or 0) + 2)
        return min(max(widths), _WIDE)


def _rows(numbers: pa.StringArray, letters: Sequence[str], cells: Sequence[list[Cell]]) -> pa.StringArray:
    """Join rows. A column without NULLs is joined with the rest, any other one cell by cell first."""
    parts: list[pa.StringArray | str] = ['<row r="', numbers]
    literal = '">'
    for letter, column in zip(letters, cells, strict=True):
        for start, values, end in column:
            if values.null_count:
                parts += [literal, text.join([f'<c r="{letter}', numbers, start, values, end])]
                literal = ""
            else:
                parts += [f'{literal}<c r="{letter}', numbers, start, values]
                literal = end
    return text.join([*parts, f"{literal}</row>"], null="")
