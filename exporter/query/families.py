"""What kind of value a column is compared with, on either database.

On SQLite the declared type decides, by the rules of https://sqlite.org/datatype3.html section 3.1, because it decides
how SQLite compares; on PostgreSQL the reflected kind does.
"""

import re
from enum import StrEnum

from exporter.query.spec import EQUALITIES, NULL_TESTS, TEXT_TESTS, Operator
from exporter.sources.base import Column, Kind

SQLITE = "sqlite"
POSTGRESQL = "postgresql"


class Family(StrEnum):
    INTEGER = "whole number"
    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "true or false"
    MOMENT = "date or time"
    TIME = "time of day"
    BINARY = "bytes"
    UUID = "uuid"
    JSON = "json"
    ARRAY = "array"
    OTHER = "other"
    ANY = "any"  # SQLite: no declared type, or one that says nothing of the values
    OPAQUE = "opaque"  # PostgreSQL: a type that has no equality, or one that means something else (areas)


class Affinity(StrEnum):
    INTEGER = "INTEGER"
    TEXT = "TEXT"
    BLOB = "BLOB"
    REAL = "REAL"
    NUMERIC = "NUMERIC"


_BY_KIND = {
    Kind.INTEGER: Family.INTEGER,
    Kind.FLOAT: Family.NUMBER,
    Kind.DECIMAL: Family.NUMBER,
    Kind.BOOLEAN: Family.BOOLEAN,
    Kind.TEXT: Family.TEXT,
    Kind.DATE: Family.MOMENT,
    Kind.TIME: Family.TIME,
    Kind.TIMESTAMP: Family.MOMENT,
    Kind.TIMESTAMPTZ: Family.MOMENT,
    Kind.BINARY: Family.BINARY,
    Kind.UUID: Family.UUID,
    Kind.JSON: Family.JSON,
    Kind.ARRAY: Family.ARRAY,
    Kind.OTHER: Family.OTHER,
    Kind.VARIANT: Family.ANY,
}
_WITHOUT_EQUALITY = frozenset(
    {"json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle", "refcursor", "txid_snapshot"}
)
_MOMENT_WORDS = re.compile(r"^(SMALLDATETIME|DATE|DATETIME\w*|TIMESTAMP|TIMESTAMPTZ)\b")
_NUMBERS = frozenset({Kind.INTEGER, Kind.FLOAT, Kind.DECIMAL})
_TEXTS = frozenset({Kind.TEXT, Kind.BINARY, Kind.VARIANT})
_SQLITE_WORDS: tuple[
    tuple[re.Pattern[str], Family, frozenset[Kind], Family], ...
] = (  # words of a declared type, what they mean, the kinds of values that belie them, what holds then
    (re.compile(r"BOOL"), Family.BOOLEAN, _TEXTS, Family.ANY),
    (_MOMENT_WORDS, Family.MOMENT, _NUMBERS, Family.NUMBER),
    (re.compile(r"^(TIME|TIMETZ)\b"), Family.TIME, _NUMBERS, Family.NUMBER),
    (re.compile(r"\b(TINY|SMALL|MEDIUM|BIG)?INT(EGER)?[0-9]*\b"), Family.INTEGER, frozenset(), Family.ANY),
    (
        re.compile(r"^(NUMERIC|NUMBER|DECIMAL|DEC|FIXED|MONEY|SMALLMONEY|CURRENCY)\b"),
        Family.NUMBER,
        _TEXTS,
        Family.ANY,
    ),
)
_MODIFIERS = re.compile(r"\([0-9, -]*\)")
_UNMODIFIED = {"character": "bpchar", "bit": '"bit"'}  # these words alone mean one character, one bit
_BY_AFFINITY = {
    Affinity.INTEGER: Family.ANY,  # a word that only happens to hold INT, such as POINT
    Affinity.TEXT: Family.TEXT,
    Affinity.REAL: Family.NUMBER,
    Affinity.NUMERIC: Family.ANY,
}


def family(column: Column, dialect: str) -> Family:
    if dialect == SQLITE:
        return _sqlite_family(column)
    found = _BY_KIND[column.kind]
    if found is Family.ARRAY and column.element:
        found = Family.ARRAY if family(column.element, dialect) is not Family.OPAQUE else Family.OPAQUE
    if column.database_type in _WITHOUT_EQUALITY or (
        found is Family.JSON and column.database_type != "jsonb"
    ):
        return Family.OPAQUE
    return found


def affinity(column: Column) -> Affinity:
    declared = column.database_type.upper()
    if "INT" in declared:
        return Affinity.INTEGER
    if any(word in declared for word in ("CHAR", "CLOB", "TEXT")):
        return Affinity.TEXT
    if "BLOB" in declared or not declared:
        return Affinity.BLOB
    if any(word in declared for word in ("REAL", "FLOA", "DOUB")):
        return Affinity.REAL
    return Affinity.NUMERIC


def is_dated(column: Column, dialect: str) -> bool:
    """Tell whether a date range may choose this column by itself."""
    if dialect == SQLITE:
        return _MOMENT_WORDS.search(column.database_type.upper()) is not None
    return family(column, dialect) is Family.MOMENT


def may_be_dated(column: Column, dialect: str) -> bool:
    """Tell whether a date range may be told to use this column: ISO text on SQLite, seconds since 1970 on both."""
    named = {Family.MOMENT, Family.INTEGER, Family.NUMBER}
    if dialect == SQLITE:
        named |= {Family.TEXT, Family.ANY}
    return family(column, dialect) in named


def is_numeric(column: Column, dialect: str) -> bool:
    numeric = {Family.INTEGER, Family.NUMBER}
    if dialect == SQLITE:
        numeric |= {Family.ANY}
    return family(column, dialect) in numeric and column.database_type != "oid"


def operator_fault(column: Column, operator: Operator, dialect: str) -> str | None:
    """Say why an operator does not suit a column's type, or None where it does."""
    found = family(column, dialect)
    if operator in NULL_TESTS:
        return None
    named = f"column {column.name!r} is {type_name(column)}"
    if found is Family.OPAQUE:
        return f"The operator {operator!s} does not suit: {named}, which only takes is null and is not null"
    if found is Family.JSON and operator not in EQUALITIES:
        return (
            f"The operator {operator!s} does not suit: {named}, which takes =, !=, in, not in and null tests"
        )
    if operator in TEXT_TESTS and found not in {Family.TEXT, Family.OTHER, Family.ANY}:
        return f"The operator {operator!s} needs a text column, but {named}"
    return None


def cast_name(column: Column) -> str:
    """Name a PostgreSQL column's type without its modifiers: a cast to `varchar(3)` or `time(0)` changes the value."""
    declared = column.database_type
    if '"' in declared:
        return declared
    bare = "interval" if declared.startswith("interval") else _MODIFIERS.sub("", declared)
    base, bracket, dimensions = bare.partition("[")
    return _UNMODIFIED.get(base, base) + bracket + dimensions


def type_name(column: Column) -> str:
    return column.database_type or "any type"


def _sqlite_family(column: Column) -> Family:
    """Let the declared type decide, unless the kind, which comes from a sample of the values, belies it."""
    declared = column.database_type.upper()
    if not declared:
        return Family.NUMBER if column.kind in _NUMBERS else Family.ANY
    for words, meant, belying, otherwise in _SQLITE_WORDS:
        if words.search(declared):
            return otherwise if column.kind in belying else meant
    if affinity(column) is Affinity.BLOB:
        return Family.BINARY if column.kind is Kind.BINARY else Family.ANY
    return _BY_AFFINITY[affinity(column)]
