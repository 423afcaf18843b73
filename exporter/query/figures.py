"""What an aggregate's result column is, as each database computes it.

PostgreSQL: https://www.postgresql.org/docs/current/functions-aggregate.html; SQLite: https://sqlite.org/lang_aggfunc.html.
"""

from dataclasses import replace

from exporter.query.families import SQLITE, Family, family
from exporter.query.spec import Function
from exporter.sources.base import Column, Kind

_UNORDERED = frozenset({Family.BOOLEAN, Family.UUID, Family.JSON, Family.BINARY, Family.OPAQUE})
_UNORDERED_TYPES = frozenset(
    {"bit", "bit varying", "macaddr", "macaddr8", "tsvector", "tsquery", "pg_snapshot", "hstore", "ltree"}
)


def no_extremes(column: Column, dialect: str) -> bool:
    """Tell whether min and max are unknown to the type. On PostgreSQL before 18, bytea has none."""
    if dialect == SQLITE:
        return False
    base = column.database_type.partition("(")[0]
    return family(column, dialect) in _UNORDERED or base in _UNORDERED_TYPES or base.endswith("range")


def result_column(function: Function, column: Column | None, name: str, dialect: str) -> Column:
    if column is None or function in {Function.COUNT, Function.COUNT_DISTINCT}:
        counted = "INTEGER" if dialect == SQLITE else "bigint"
        return Column(name=name, database_type=counted, kind=Kind.INTEGER, bits=64, nullable=False)
    if function in {Function.MIN, Function.MAX}:
        return replace(column, name=name, nullable=True)
    if dialect == SQLITE:
        return _of_sqlite(function, column, name)
    return _of_postgresql(function, column, name)


def _of_sqlite(function: Function, column: Column, name: str) -> Column:
    """Take an average for a double, which it always is, and a sum for what the values are: whole if all are."""
    if function is Function.SUM and column.kind is Kind.INTEGER:
        return Column(name=name, database_type="INTEGER", kind=Kind.INTEGER, bits=64)
    if function is Function.SUM and column.kind not in {Kind.FLOAT, Kind.DECIMAL}:
        return Column(name=name, database_type="", kind=Kind.VARIANT)
    return Column(name=name, database_type="REAL", kind=Kind.FLOAT, bits=64)


def _of_postgresql(function: Function, column: Column, name: str) -> Column:
    if column.kind is Kind.FLOAT:
        single = column.bits == 32 and function is Function.SUM  # noqa: PLR2004 - bits
        declared, bits = ("real", 32) if single else ("double precision", 64)
        return Column(name=name, database_type=declared, kind=Kind.FLOAT, bits=bits)
    if column.kind is Kind.INTEGER and function is Function.SUM and column.bits in {16, 32}:
        return Column(name=name, database_type="bigint", kind=Kind.INTEGER, bits=64)
    return Column(name=name, database_type="numeric", kind=Kind.DECIMAL)
