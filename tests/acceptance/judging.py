"""What a file must hold, and the sentence that says where it does not."""

import os
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from tests.acceptance.exporting import NULL, Cell, Export, read

EXAMPLES = int(os.environ.get("EXPORTER_TEST_EXAMPLES", "12"))  # tables of each property; more for a long run
FORMULA = ("=", "+", "-", "@", "\t", "\r")
COMPARED: Counter[tuple[str, str]] = Counter()  # values, by source and format


@dataclass(frozen=True)
class Real:
    """A number of 64 bits, by whatever digits a cell of the kind spells it."""

    kind: str
    value: float

    def accepts(self, cell: Cell) -> bool:
        kind, found = cell
        if kind != self.kind or isinstance(found, bool):
            return False
        return struct.pack("d", float(found)) == struct.pack("d", self.value)


@dataclass(frozen=True)
class Digits:
    """A number with all its digits, by whatever type a reader gives it."""

    kind: str
    value: Decimal

    def accepts(self, cell: Cell) -> bool:
        kind, found = cell
        return kind == self.kind and not isinstance(found, bool) and Decimal(str(found)) == self.value


Wanted = Cell | Real | Digits


class Oracle(Protocol):
    """What one database's values become, worked out from docs/formats.md and not from our code.

    `cell` also counts the warnings that a value must cause.
    """

    source: str

    def cell(self, value: Any, column: Any, done: Export, warnings: Counter[str]) -> Wanted: ...


def judge(
    oracle: Oracle, columns: Sequence[Any], rows: Sequence[Sequence[Any]], done: Export, *, told: str
) -> None:
    """Compare every value, the receipt's counts and the warnings. `rows` are the database's own, in order."""
    format_name = done.job["format"]
    place = f"{oracle.source} table {told}, {format_name} {dict(done.options)}"
    names, found = read(done)
    if rows or format_name != "json":
        assert names == _headers(columns, done), place
    assert len(found) == len(rows), f"{place}: {len(rows)} rows in the database, {len(found)} in the file"
    warnings: Counter[str] = Counter()
    for number, (row, cells) in enumerate(zip(rows, found, strict=True), 1):
        for column, value, cell in zip(columns, row, cells, strict=True):
            wanted = oracle.cell(value, column, done, warnings)
            if not accepts(wanted, cell):
                raise AssertionError(
                    f"{place}: row {number}, column {column.name} {column.declared!r}:"
                    f" the database holds {value!r}, wanted {wanted!r}, found {cell!r}"
                )
    _receipt_is_right(done, columns, found, place)
    assert done.warnings == {code: count for code, count in warnings.items() if count}, place
    COMPARED[oracle.source, format_name] += len(rows) * len(columns)


def _headers(columns: Sequence[Any], done: Export) -> list[str]:
    """Give the names as the file has them: a header that begins like a formula is disarmed as well."""
    names = [column.name for column in columns]
    if not done.options.get("escape_formulas"):
        return names
    return [f"'{name}" if name.startswith(FORMULA) else name for name in names]


def accepts(wanted: Wanted, cell: Cell) -> bool:
    if isinstance(wanted, Real | Digits):
        return wanted.accepts(cell)
    return repr(wanted) == repr(cell)


def _receipt_is_right(done: Export, columns: Sequence[Any], found: list[list[Cell]], place: str) -> None:
    receipt: Mapping[str, Any] = done.receipt
    assert receipt["row_count"] == receipt["rows_in_file"] == len(found), place
    nulls = {c.name: sum(row[n] == NULL for row in found) for n, c in enumerate(columns)}
    assert {column["name"]: column["nulls"] for column in receipt["columns"]} == nulls, place


def report() -> str:
    return ", ".join(f"{source} {name}: {count:,}" for (source, name), count in sorted(COMPARED.items()))
