r"""Which Arrow type carries a column, and how the exact spelling of a value looks.

Spelling: where a TEXT read delivers a string column for another kind, its values are written as PostgreSQL writes
them in `COPY … TEXT` with `DateStyle=ISO`, `TimeZone=UTC`, `bytea_output=hex` and `extra_float_digits=1`:
`t`/`f`, `2024-01-31 10:00:00.5`, `2024-01-31 10:00:00+00`, `\x00ff`, `{1,NULL,"a b"}`, `NaN`, `Infinity`, `infinity`.
SQLite's finite reals are spelled as SQLite does: `5.0`, `1.0e+300`.

Variant: a column of kind VARIANT is a struct of `kind` (a `Storage`) and `text` (the exact spelling), null where the
value is NULL. SQLite needs it, for one column may hold values of every storage class.
"""

from enum import IntEnum
from typing import TYPE_CHECKING

from exporter.sources.base import Column, Kind

if TYPE_CHECKING:
    import pyarrow as pa

MAX_DECIMAL128_DIGITS = 38
MAX_DECIMAL256_DIGITS = 76


class Storage(IntEnum):
    """SQLite's storage class of one value in a VARIANT column; NULL is the struct's own null."""

    INTEGER = 1
    REAL = 2
    TEXT = 3
    BLOB = 4  # `text` is `\\x…` hex


_NAMES = {
    Kind.BOOLEAN: "bool",
    Kind.DATE: "date32[day]",
    Kind.TIME: "time64[us]",
    Kind.TIMESTAMP: "timestamp[us]",
    Kind.TIMESTAMPTZ: "timestamp[us, tz=UTC]",
    Kind.BINARY: "binary",
}


def exported_type(column: Column) -> str:
    """Name the Arrow type of a TYPED read, in Arrow's own spelling, without importing Arrow."""
    match column.kind:
        case Kind.INTEGER:
            return f"int{column.bits or 64}"
        case Kind.FLOAT:
            return "float" if column.bits == 32 else "double"  # noqa: PLR2004 - bits
        case Kind.DECIMAL:
            return _decimal_name(column)
        case kind:
            return _NAMES.get(kind, "string")


def arrow_type(column: Column) -> "pa.DataType":
    """Give the Arrow type of a TYPED read: the one that `exported_type` names."""
    import pyarrow as pa

    simple = {
        "float": pa.float32(),
        "double": pa.float64(),
        "bool": pa.bool_(),
        "date32[day]": pa.date32(),
        "time64[us]": pa.time64("us"),
        "timestamp[us]": pa.timestamp("us"),
        "timestamp[us, tz=UTC]": pa.timestamp("us", "UTC"),
        "binary": pa.binary(),
        "string": pa.string(),
        "int16": pa.int16(),
        "int32": pa.int32(),
        "int64": pa.int64(),
    }
    name = exported_type(column)
    if name in simple:
        return simple[name]
    width = pa.decimal128 if name.startswith("decimal128") else pa.decimal256
    return width(column.precision, column.scale)


def variant_type() -> "pa.DataType":
    """Give the struct that carries a VARIANT column in a TEXT read."""
    import pyarrow as pa

    return pa.struct([("kind", pa.uint8()), ("text", pa.string())])


def _decimal_name(column: Column) -> str:
    """Name a declared NUMERIC(p, s); one without limits, or with a scale Arrow lacks, stays text: exact first."""
    precision, scale = column.precision, column.scale
    if precision is None or scale is None or not 0 <= scale <= precision:
        return "string"
    if precision <= MAX_DECIMAL128_DIGITS:
        return f"decimal128({precision}, {scale})"
    return f"decimal256({precision}, {scale})" if precision <= MAX_DECIMAL256_DIGITS else "string"
