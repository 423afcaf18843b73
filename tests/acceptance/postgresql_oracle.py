"""PostgreSQL's values as its server itself writes them, and what becomes of them."""

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import psycopg

from tests.acceptance.exporting import NULL, Cell, Export, document, json_cell
from tests.acceptance.judging import Digits, Real, Wanted
from tests.acceptance.sqlite_oracle import DIGITS, SMALLEST, csv_text

SETTINGS = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'; SET extra_float_digits = 1"
INT64_MAX = 2**63 - 1
INTEGERS = {"smallint": "int16", "integer": "int32", "bigint": "int64", "oid": "int64", "positive": "int32"}
FLOATS = {"real": "float", "double precision": "double"}
MOMENTS = {
    "date": "date32[day]",
    "timestamp": "timestamp[us]",
    "timestamptz": "timestamp[us, tz=UTC]",
    "time": "time64[us]",
}
NO_NUMBERS = {"NaN", "Infinity", "-Infinity"}
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)(\+00)?")
_MICROS = {"date": "{0} - date '1970-01-01'", "time": "extract(epoch FROM {0}) * 1000000"}


@dataclass(frozen=True)
class Declared:
    name: str
    declared: str


@dataclass(frozen=True)
class Value:
    """A value as the server writes it; for a moment also its count since 1970, for an array its elements."""

    text: str
    count: int | None = None
    elements: Any = None


def fetched(
    url: str, table: str, columns: Sequence[Declared], order: str = ""
) -> list[tuple[Value | None, ...]]:
    """Ask for what the server's output functions write, and apart from it for counts and elements."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SETTINGS)
        result = connection.execute(f'SELECT * FROM "{table}" {order}').pgresult
        assert result is not None
        found = [
            [_text(result.get_value(row, place)) for place in range(result.nfields)]
            for row in range(result.ntuples)
        ]
        facts = [_facts(connection, table, column, order, len(found)) for column in columns]
    rows = zip(found, zip(*facts, strict=True), strict=True)
    return [
        tuple(None if t is None else Value(t, *fact) for t, fact in zip(*row, strict=True)) for row in rows
    ]


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode()


def _facts(connection: Any, table: str, column: Declared, order: str, rows: int) -> list[tuple[Any, Any]]:
    name = '"' + column.name.replace('"', '""') + '"'
    if column.declared in MOMENTS:
        count = _MICROS.get(column.declared, "extract(epoch FROM {0}) * 1000000").format(name)
        finite = f"isfinite({name})" if column.declared != "time" else "true"
        sql = f'SELECT CASE WHEN {finite} THEN trunc(({count})::numeric) END FROM "{table}" {order}'
        return [(None if n is None else int(n), None) for (n,) in connection.execute(sql)]
    if column.declared.endswith("[]"):
        sql = f'SELECT {name}::text[] FROM "{table}" {order}'
        return [(None, elements) for (elements,) in connection.execute(sql)]
    return [(None, None)] * rows


class PostgresqlOracle:
    source = "postgresql"

    def cell(self, value: Value | None, column: Declared, done: Export, warnings: Counter[str]) -> Wanted:
        if value is None:
            return NULL
        return getattr(self, done.job["format"])(value, column, done, warnings)

    def csv(self, value: Value, column: Declared, done: Export, warnings: Counter[str]) -> Wanted:
        kind, text, options = _base(column.declared), value.text, done.options
        if kind == "boolean" and options["booleans"] == "true/false":
            text = {"t": "true", "f": "false"}[text]
        bare = kind in {"numeric", "boolean", *INTEGERS, *FLOATS, *MOMENTS}
        if not bare:
            return csv_text(text, options, warnings)
        return ("quoted" if options["quoting"] == "all" else "bare", text)

    def json(self, value: Value, column: Declared, done: Export, warnings: Counter[str]) -> Wanted:
        if column.declared.endswith("[]"):
            warnings["array_bounds_dropped"] += value.text.startswith("[")
            return _list(value.elements, column.declared.removesuffix("[]"), warnings)
        return _json_cell(value.text, column.declared, warnings)

    def parquet(self, value: Value, column: Declared, done: Export, warnings: Counter[str]) -> Wanted:
        kind, text = _base(column.declared), value.text
        if kind in INTEGERS:
            return (INTEGERS[kind], int(text))
        if kind in FLOATS:
            number = np.float32(text) if kind == "real" else float(text)
            return (FLOATS[kind], float(number)) if np.isnan(number) else Real(FLOATS[kind], float(number))
        if kind in MOMENTS:
            return _moment(value, kind, warnings)
        if kind == "numeric":
            return _decimal(text, column.declared, warnings)
        if kind == "bytea":
            return ("binary", bytes.fromhex(text[2:]))
        return ("bool", text == "t") if kind == "boolean" else ("string", text)

    def excel(self, value: Value, column: Declared, done: Export, warnings: Counter[str]) -> Wanted:
        kind, text = _base(column.declared), value.text
        if kind == "boolean":
            return ("boolean", text == "t")
        if kind in MOMENTS:
            return _sheet_moment(text, kind, warnings)
        if kind in {"numeric", *INTEGERS, *FLOATS}:
            if text not in NO_NUMBERS and _fits_a_sheet(text, is_float=kind in FLOATS):
                is_real = kind in FLOATS and float(text)  # openpyxl takes the -0 of a cell for a whole number
                return Real("number", float(text)) if is_real else Digits("number", Decimal(text))
            warnings["number_as_text"] += 1
        return ("text", text)


def _base(declared: str) -> str:
    return "numeric" if declared.startswith("numeric") and not declared.endswith("[]") else declared


def _list(elements: Any, element: str, warnings: Counter[str]) -> Wanted:
    def of(item: Any) -> Cell:
        if isinstance(item, list):
            return ("list", [of(inner) for inner in item])
        if item is None:
            return NULL
        text = {"true": "t", "false": "f"}[item] if element == "boolean" else item
        return _json_cell(text, element, warnings)

    return of(elements)


def _json_cell(text: str, declared: str, warnings: Counter[str]) -> Cell:
    kind = _base(declared)
    if kind in {"numeric", *INTEGERS, *FLOATS}:
        warnings["non_finite_as_text"] += text in NO_NUMBERS
        return ("text", text) if text in NO_NUMBERS else ("number", Decimal(text))
    match kind:
        case "boolean":
            return ("boolean", text == "t")
        case "json" | "jsonb":
            return json_cell(document(text))
        case "timestamp" | "timestamptz":
            found = _MOMENT.fullmatch(text)
            return ("text", f"{found[1]}T{found[2]}{'+00:00' if found[3] else ''}" if found else text)
    return ("text", text)


def _moment(value: Value, kind: str, warnings: Counter[str]) -> Wanted:
    if value.count is None:
        warnings["infinity_as_null"] += 1
    elif kind == "time" and value.text == "24:00:00":
        warnings["time_24_as_null"] += 1
    elif value.count > INT64_MAX:
        warnings["out_of_range_as_null"] += 1
    else:
        return (MOMENTS[kind], value.count)
    return NULL


def _decimal(text: str, declared: str, warnings: Counter[str]) -> Wanted:
    found = re.fullmatch(r"numeric\((\d+),(-?\d+)\)", declared)
    precision, scale = (int(found[1]), int(found[2])) if found else (0, -1)
    if not 0 <= scale <= precision <= 76:
        return ("string", text)
    if text in NO_NUMBERS:
        warnings["nan_as_null"] += 1
        return NULL
    return (f"decimal{128 if precision <= 38 else 256}({precision}, {scale})", Decimal(text))


def _fits_a_sheet(text: str, *, is_float: bool) -> bool:
    if is_float:
        return float(text) == 0 or abs(float(text)) >= SMALLEST
    whole, _, fraction = text.lstrip("-").partition(".")
    digits = (whole + fraction.rstrip("0")).lstrip("0")
    return len(digits) <= DIGITS and len(text) <= 100


def _sheet_moment(text: str, kind: str, warnings: Counter[str]) -> Wanted:
    """Expect a moment of Excel's calendar to the millisecond; anything else as text."""
    moment = _python_moment(text, kind)
    day = moment if isinstance(moment, dt.datetime) else None
    if moment is None or moment.microsecond % 1000 or (day and day < dt.datetime(1900, 3, 1)):
        warnings["date_as_text"] += 1
        return ("text", text)
    return ("moment", moment)


def _python_moment(text: str, kind: str) -> dt.datetime | dt.time | None:
    parse: Callable[[str], dt.datetime | dt.time] = (
        dt.time.fromisoformat if kind == "time" else dt.datetime.fromisoformat
    )
    if not re.fullmatch(r"(\d{4}-\d\d-\d\d)?( ?\d\d:\d\d:\d\d(\.\d+)?(\+00)?)?", text):
        return None
    try:
        return parse(text.removesuffix("+00"))
    except ValueError:
        return None
