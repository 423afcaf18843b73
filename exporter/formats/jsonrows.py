"""Counting the rows of a JSON file of any layout and indent, one row in memory at a time."""

import json
import re
from typing import IO, Any, NoReturn

from exporter.errors import FileDamaged

_CHUNK = 1 << 18  # characters
_LONGEST_WORD = 10  # a constant that a chunk's end cuts in two is shorter
_NO_SPACE = re.compile(r"[^ \t\r\n]")


def count_json_rows(stream: IO[str], layout: str) -> int:
    """Count objects of an array or of lines, or lists under `rows`. Raises FileDamaged."""
    scanner = _Scanner(stream)
    match layout:
        case "lines":
            rows = _lines(scanner)
        case "columns":
            rows = _columns(scanner)
        case _:
            rows = _list(scanner, dict)
    if scanner.peek():
        raise FileDamaged(reason="there is something behind its last row")
    return rows


def _list(scanner: "_Scanner", kind: type[list[Any] | dict[str, Any]], width: int | None = None) -> int:
    scanner.expect("[")
    rows = 0
    while scanner.peek() != "]":
        if rows:
            scanner.expect(",")
        width = _checked(scanner.value(), kind, width, rows)
        rows += 1
    scanner.expect("]")
    return rows


def _lines(scanner: "_Scanner") -> int:
    rows, width = 0, None
    while scanner.peek():
        width = _checked(scanner.value(), dict, width, rows)
        scanner.expect_line_end()
        rows += 1
    return rows


def _columns(scanner: "_Scanner") -> int:
    scanner.expect("{")
    _expect_key(scanner, "columns")
    columns = scanner.value()
    scanner.expect(",")
    _expect_key(scanner, "rows")
    rows = _list(scanner, list, len(columns) if isinstance(columns, list) else None)
    scanner.expect("}")
    return rows


def _expect_key(scanner: "_Scanner", key: str) -> None:
    if scanner.value() != key:
        raise FileDamaged(reason=f"it lacks the key {key!r}")
    scanner.expect(":")


def _checked(row: Any, kind: type[list[Any] | dict[str, Any]], width: int | None, rows_before: int) -> int:
    """Give the number of a row's cells, which is that of all rows."""
    if not isinstance(row, kind) or width not in {None, len(row)}:
        raise FileDamaged(reason=f"row {rows_before + 1} is not like the others")
    return len(row)


class _Scanner:
    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._text = ""
        self._at = 0
        self._decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse)

    def peek(self) -> str:
        """Skip spaces and look at the next character; empty at the end."""
        while True:
            if found := _NO_SPACE.search(self._text, self._at):
                self._at = found.start()
                return found[0]
            self._at = len(self._text)
            if not self._read_on():
                return ""

    def expect(self, mark: str) -> None:
        found = self.peek()
        if found != mark:
            what = f"has {found!r} where {mark!r} belongs" if found else "ends too early"
            raise FileDamaged(reason=f"it {what}")
        self._at += 1

    def expect_line_end(self) -> None:
        if self._at == len(self._text):
            self._read_on()
        if not self._text.startswith("\n", self._at):
            raise FileDamaged(reason="a row does not end its line")

    def value(self) -> Any:
        self.peek()
        while True:
            try:
                value, self._at = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as exc:
                if not self._is_cut(exc) or not self._read_on():
                    raise FileDamaged(reason=f"its JSON breaks off or is invalid ({exc.msg})") from exc
            except RecursionError as exc:
                raise FileDamaged(reason="a document in it is nested too deep to be checked") from exc
            else:
                return value

    def _is_cut(self, exc: json.JSONDecodeError) -> bool:
        """Whether a fault may only mean that the rest has not been read yet."""
        return exc.pos >= len(self._text) - _LONGEST_WORD or exc.msg.startswith(("Untermin", "Invalid \\u"))

    def _read_on(self) -> bool:
        chunk = self._stream.read(max(_CHUNK, len(self._text) - self._at))
        self._text = self._text[self._at :] + chunk
        self._at = 0
        return bool(chunk)


def _refuse(constant: str) -> NoReturn:
    raise FileDamaged(reason=f"{constant} is no JSON")
