r"""CSV as PostgreSQL's `COPY … CSV` writes it: rows are joined by Arrow's kernels, never one by one.

NULL is `null_value`, bare. What may stand bare is decided by `quoting`; a text equal to `null_value`, an empty text
and a lone `\.` are quoted under every rule.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exporter import literals
from exporter.failures import ValueUnwritable
from exporter.formats import text
from exporter.formats.base import WriterRequest
from exporter.formats.compression import member_name, open_sink
from exporter.formats.counting import QuotedLines
from exporter.formats.encoding import Encoder
from exporter.formats.rowtext import csv_facts
from exporter.formats.spelling import is_bytes, is_string, spell
from exporter.formats.text import Cells
from exporter.sources.base import Cells as SourceCells
from exporter.sources.base import Column, Kind, Notice, RowText
from exporter.sources.types import Storage

_TEXT_KINDS = frozenset({Kind.TEXT, Kind.JSON, Kind.ARRAY, Kind.OTHER, Kind.UUID, Kind.BINARY, Kind.VARIANT})
_PLAIN: Mapping[str, tuple[Any, ...]] = {
    "quoting": ("text",),
    "null_value": ("",),
    "booleans": ("t/f",),
    "escape_formulas": (False,),
    "encoding": ("utf-8", "utf-8-sig"),
}
_FORMULA = text.byte_table(b"=+-@\t\r")
_NO_NUMBER = text.byte_table(b"=@\t\r")  # what no number, date or truth begins with


def open_writer(request: WriterRequest) -> "CsvWriter":
    return CsvWriter(request)


def row_text(columns: tuple[Column, ...], options: Mapping[str, Any]) -> RowText | None:
    """Say how a database may spell the rows: in the default style only, where quotes tell what is what."""
    if any(options[name] not in plain for name, plain in _PLAIN.items()):
        return None
    before = ("", *[options["delimiter"]] * (len(columns) - 1))
    return RowText(cells=SourceCells.CSV, before=before, end="", between=options["line_terminator"])


class CsvWriter:
    def __init__(self, request: WriterRequest) -> None:
        options = request.options
        member = member_name(request.file_name, ".zip", "export.csv")
        self._columns = request.columns
        self._options = options
        self._sink = open_sink(request.stream, options["compression"], member)
        self._encoder = Encoder(options["encoding"], options["encoding_errors"])
        self._lines = QuotedLines(wide=self._encoder.wide)
        self._end = options["line_terminator"].encode()
        self._header_lines = int(request.include_headers)
        self._rows_before = 0
        self._formulas = 0
        self._risky = f'"\r\n\\\ufeff{options["delimiter"]}'.encode()
        self._must_quote = _must_quote(options["delimiter"], options["null_value"])
        self._sink.write(self._encoder.bom)
        if request.include_headers:
            self._write_header()

    @property
    def rows_in_file(self) -> int:
        return self._lines.lines - self._header_lines

    def write(self, batch: pa.RecordBatch) -> None:
        for piece in text.pieces(batch):
            cells = [self._cells(*pair) for pair in zip(piece.columns, self._columns, strict=True)]
            rows = self._rows(cells)
            try:
                self._put(text.window(rows))
            except UnicodeEncodeError as exc:
                raise self._unwritable(exc, rows, piece) from exc
            self._rows_before += piece.num_rows

    def write_text(self, data: bytes, rows: int) -> Sequence[int]:
        facts = csv_facts(data, rows, len(self._columns), self._options["delimiter"], self._end)
        self._formulas += facts.formulas
        self._lines.lines += facts.rows
        self._sink.write(data)
        self._sink.write(self._end)
        return facts.nulls

    def finish(self) -> None:
        self._sink.finish()

    def abandon(self) -> None:
        self._sink.abandon()

    def notices(self) -> tuple[Notice, ...]:
        return (*self._formula_notice(), *self._replaced_notice())

    def _write_header(self) -> None:
        cells = [self._text(literals.texts([column.name])) for column in self._columns]
        self._formulas = 0  # names are no data
        try:
            self._put(text.window(self._rows(cells)))
        except UnicodeEncodeError as exc:
            names = (column.name for column in self._columns if exc.object[exc.start] in column.name)
            message = f"The name of column {next(names)!r}: {_reason(exc, self._options['encoding'])}"
            raise ValueUnwritable(message) from exc

    def _put(self, data: memoryview) -> None:
        encoded = self._encoder.encode(data)
        self._lines.feed(encoded)
        self._sink.write(encoded)

    def _rows(self, cells: list[Cells]) -> pa.StringArray:
        before = ["", *[self._options["delimiter"]] * (len(cells) - 1)]
        end, null = self._options["line_terminator"], self._options["null_value"]
        return text.rows_of(cells, before, end, null=null)

    def _cells(self, array: pa.Array, column: Column) -> Cells:
        if pa.types.is_struct(array.type):
            return self._variant(array)
        values = spell(array)
        if is_bytes(array) or (is_string(array) and column.kind in _TEXT_KINDS):
            return self._text(values)
        if column.kind is Kind.BOOLEAN:
            values = self._booleans(values)
        return self._bare(values, trusted=not is_string(array))

    def _variant(self, array: pa.Array) -> Cells:
        values = spell(array)
        kinds = pc.struct_field(array, "kind")
        texts = pc.greater_equal(kinds, pa.scalar(Storage.TEXT, kinds.type))
        if pc.all(texts).as_py():
            return self._text(values)
        if not pc.any(texts).as_py():
            return self._bare(values, trusted=True)
        none = literals.nothing(pa.string())
        as_text = self._text(text.select(texts, values, none)).whole()
        as_bare = self._bare(text.select(texts, none, values), trusted=True).whole()
        return Cells(text.select(texts, as_text, as_bare), quoted=False)

    def _booleans(self, values: pa.StringArray) -> pa.StringArray:
        if self._options["booleans"] == "t/f":
            return values
        return text.select(pc.equal(values, "t"), "true", text.select(pc.equal(values, "f"), "false", values))

    def _text(self, values: pa.StringArray) -> Cells:
        values = self._guarded(values, _FORMULA)
        return self._where_needed(values) if self._options["quoting"] == "minimal" else _quoted(values)

    def _bare(self, values: pa.StringArray, *, trusted: bool) -> Cells:
        """Leave numbers, dates and truths bare; what came as text is looked at first."""
        if not trusted:
            values = self._guarded(values, _NO_NUMBER)
        if self._options["quoting"] == "all":
            return _quoted(values)
        return Cells(values, quoted=False) if trusted else self._where_needed(values)

    def _guarded(self, values: pa.StringArray, table: text.Mask) -> pa.StringArray:
        """Count cells that a spreadsheet would run, and put an apostrophe before them where that was asked for."""
        formulas = table[text.byte_at(values, 0)]
        found = int(np.count_nonzero(formulas))
        self._formulas += found
        if not found or not self._options["escape_formulas"]:
            return values
        return text.select(formulas, text.join(["'", values]), values)

    def _where_needed(self, values: pa.StringArray) -> Cells:
        if not self._may_need_quotes(values):
            return Cells(values, quoted=False)
        needed = pc.match_substring_regex(values, self._must_quote)
        return Cells(text.select(needed, _quoted(values).whole(), values), quoted=False)

    def _may_need_quotes(self, values: pa.StringArray) -> bool:
        if text.holds(values, self._risky) or text.any_empty(values):
            return True
        null_value = self._options["null_value"]
        return bool(null_value and pc.any(pc.equal(values, null_value)).as_py())

    def _unwritable(
        self, exc: UnicodeEncodeError, rows: pa.StringArray, piece: pa.RecordBatch
    ) -> ValueUnwritable:
        """Find the row and the column of a character that the encoding lacks."""
        place = len(exc.object[: exc.start].encode()) + int(text.offsets(rows)[0])
        row = int(np.searchsorted(text.offsets(rows), place, side="right")) - 1
        cells = (spell(array.slice(row, 1))[0].as_py() or "" for array in piece.columns)
        character = exc.object[exc.start]
        column = next(c.name for c, cell in zip(self._columns, cells, strict=True) if character in cell)
        reason = _reason(exc, self._options["encoding"])
        return ValueUnwritable(row=self._rows_before + row + 1, column=column, reason=reason)

    def _formula_notice(self) -> tuple[Notice, ...]:
        if not self._formulas:
            return ()
        start = f"{self._formulas} text cells begin like a formula"
        if self._options["escape_formulas"]:
            message = f"{start} and were written with an apostrophe before them."
            return (Notice(code="formulas_escaped", count=self._formulas, message=message),)
        message = f"{start}: a spreadsheet may run them. The option escape_formulas disarms them."
        return (Notice(code="formula_like_text", count=self._formulas, message=message),)

    def _replaced_notice(self) -> tuple[Notice, ...]:
        count = self._encoder.replaced
        if not count:
            return ()
        message = f"{count} characters do not exist in {self._options['encoding']} and were written as ?."
        return (Notice(code="characters_replaced", count=count, message=message),)


def _quoted(values: pa.StringArray) -> Cells:
    if text.contains(values, '"'):
        values = pc.replace_substring(values, '"', '""')
    return text.quoted(values)


def _must_quote(delimiter: str, null_value: str) -> str:
    """Match, in RE2's words, what would be read as something else without quotes.

    A byte order mark counts: at the start of a file without headers it would be taken for the file's own.
    """
    special = re.escape(delimiter)
    return rf'[{special}"\r\n]|\A(?:|\\\.|{re.escape(null_value)})\z|\A\x{{FEFF}}'


def _reason(exc: UnicodeEncodeError, encoding: str) -> str:
    character = exc.object[exc.start]
    return (
        f"the character {character!r} (U+{ord(character):04X}) does not exist in {encoding}. "
        "Choose the encoding utf-8, or encoding_errors=replace."
    )
