r"""SQL that spells rows inside SQLite, and the bytes of JSON that become CSV.

`json_array` tells text from numbers by itself and escapes texts as `exporter.formats` does. What it would spell
otherwise is guarded: a blob may pass for SQLite's own binary JSON, -0.0 loses its sign, infinity becomes 9e999, and
JSON made within the query is taken for a document. A column that can hold none of these but by accident stays bare,
and each chunk is looked at for such accidents.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from secrets import randbelow

import apsw

from exporter.sources.base import Cells, RowText
from exporter.sources.sqlite.query import chunked

LARGEST = "1.7976931348623157e308"
_INFINITE = b"9.0e+999"
ARGUMENTS = 900  # of one function; SQLite allows 1000
_LONG = 10**20  # longer than any integer of SQLite's

_ESCAPES = (
    (rb"\"", b'""'),
    (rb"\n", b"\n"),
    (rb"\r", b"\r"),
    (rb"\t", b"\t"),
    (rb"\b", b"\b"),
    (rb"\f", b"\f"),
)
_CODE = re.compile(rb"\\u00([01][0-9a-f])")
_NO_UTF8 = b"\xff"  # stands in no valid text


@dataclass(frozen=True, kw_only=True)
class Marks:
    """Numbers that stand for what JSON lacks until CSV is made of it. Nobody can know them beforehand."""

    null: str
    infinity: str

    @classmethod
    def fresh(cls) -> "Marks":
        return cls(null=str(_LONG + randbelow(9 * _LONG)), infinity=str(_LONG + randbelow(9 * _LONG)))


def guarded(name: str, marks: Marks | None) -> str:
    """Spell a value whatever it is; infinity is a text where there are no marks."""
    mark = marks and marks.infinity
    infinity, below = (f"json('{mark}')", f"json('-{mark}')") if mark else ("'Infinity'", "'-Infinity'")
    return (
        f"CASE typeof({name}) WHEN 'text' THEN {name} || '' WHEN 'blob' THEN '\\x' || lower(hex({name}))"
        f" WHEN 'real' THEN CASE WHEN {name} = 0.0 AND atan2({name}, -1) < 0 THEN json('-0.0')"
        f" WHEN {name} > {LARGEST} THEN {infinity} WHEN {name} < -{LARGEST} THEN {below}"
        f" ELSE {name} END ELSE {name} END"
    )


def has_blob(names: Sequence[str]) -> str:
    """Tell that one of the values is a blob: these are greater than all others. Faster than to look at each one.

    An empty one is not told: that no function of JSON takes.
    """
    return _exceeds("x''", names)


def has_text_or_blob(names: Sequence[str]) -> str:
    """Tell that one of the values is no number. An empty text is not told: its two quotes make no number either."""
    return _exceeds("''", names)


def _exceeds(least: str, names: Sequence[str]) -> str:
    """Begin with the least of the kind: to find that a value is of a lesser kind takes no look at the value."""
    parts = [", ".join(f"ifnull({name}, 0)" for name in part) for part in chunked(names, ARGUMENTS)]
    return " OR ".join(f"max({least} COLLATE BINARY, {part}) > {least}" for part in parts) or "0"


def may_be_infinite(data: bytes) -> bool:
    """Tell whether json_array may have spelled an infinity. Texts rarely have a plus, which is found much faster."""
    return b"+" in data and _INFINITE in data


def must_be_guarded(name: str) -> str:
    """Tell that a value is a blob or infinite."""
    infinite = f"{name} NOT BETWEEN -{LARGEST} AND {LARGEST}"
    return f"typeof({name}) = 'blob' OR (typeof({name}) = 'real' AND {infinite})"


def row(cells: Sequence[str], names: Sequence[str], text: RowText) -> str:
    """Spell a row by one function where that writes the same literals, else cell by cell."""
    if _is_array(text):
        return f"json_array({', '.join(cells)})"
    if _is_object(names, text):
        return f"json_object({', '.join(_pairs(names, cells))})"
    spelled = [f"json_quote({cell})" for cell in cells]
    parts = [part for pair in zip(map(literal, text.before), spelled, strict=True) for part in pair]
    return concatenated([*parts, literal(text.end)])


def literal(value: str) -> str:
    escaped = value.replace("'", "''")
    return f"'{escaped}'"


def concatenated(parts: Sequence[str]) -> str:
    while len(parts) > ARGUMENTS:
        parts = [concatenated(part) for part in chunked(parts, ARGUMENTS)]
    return f"concat({', '.join(parts)})"


def _is_array(text: RowText) -> bool:
    """Whether commas part the cells. The brackets of CSV are taken off later."""
    first = "" if text.cells is Cells.CSV else "["
    fits = len(text.before) <= ARGUMENTS and text.before == (first, *[","] * (len(text.before) - 1))
    return fits and text.end == ("" if text.cells is Cells.CSV else "]")


def _is_object(names: Sequence[str], text: RowText) -> bool:
    """Whether SQLite writes these names as the layout does."""
    if text.cells is Cells.CSV or 2 * len(names) > ARGUMENTS:
        return False
    made = f"json_object({', '.join(_pairs(names, ['0'] * len(names)))})"
    connection = apsw.Connection(":memory:")
    try:
        return bool(
            connection.execute(f"SELECT {made}").get == "".join(f"{lead}0" for lead in text.before) + text.end
        )
    finally:
        connection.close()


def _pairs(names: Sequence[str], cells: Sequence[str]) -> list[str]:
    return [f"{literal(name)}, {cell}" for name, cell in zip(names, cells, strict=True)]


class CsvBytes:
    """Turns rows that `row` spelled into CSV. Quotes stand around texts in both."""

    def __init__(self, text: RowText, marks: Marks) -> None:
        self._in_brackets = _is_array(text)
        self._between = text.between.encode()
        self._null, self._infinity = marks.null.encode(), marks.infinity.encode()

    def of(self, data: bytes, rows: int) -> bytes:
        """Give CSV of valid UTF-8."""
        data = self._bare(data, rows) if self._in_brackets else data
        if b"\\" in data:
            data = unescaped(data)
        return data.replace(self._null, b"").replace(self._infinity, b"Infinity")

    def _bare(self, data: bytes, rows: int) -> bytes:
        """Take the brackets off. No line break stands inside a text of JSON, so those between rows are unmistakable."""
        bare = data.translate(None, b"[]")
        if len(data) - len(bare) == 2 * rows:  # there are no brackets but those around the rows
            return bare
        return data[1:-1].replace(b"]" + self._between + b"[", self._between)


def unescaped(data: bytes) -> bytes:
    """Write texts as they are, but for quotes, which CSV doubles."""
    data = data.replace(rb"\\", _NO_UTF8)
    for escape, character in _ESCAPES:
        data = data.replace(escape, character)
    if rb"\u00" in data:
        data = _CODE.sub(lambda found: bytes.fromhex(found[1].decode()), data)
    return data.replace(_NO_UTF8, b"\\")
