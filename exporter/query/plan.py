"""A checked query: every name is a reflected column, every value suits its column."""

from dataclasses import dataclass

from exporter.query.moments import Bound
from exporter.query.spec import Function, Operator
from exporter.sources.base import Column, Relation


@dataclass(frozen=True, kw_only=True)
class Operand:
    """A value ready to bind; `cast` is the database type that its parameter is cast to, if any.

    For a SQLite column of dates or times, `value` is their canonical text: see `exporter.query.sqlite_stamps`.
    """

    value: object
    cast: str | None = None


@dataclass(frozen=True, kw_only=True)
class Test:
    column: Column
    operator: Operator
    operands: tuple[Operand, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Group:
    """Tests joined with OR (`any_of`) or AND."""

    any_of: bool
    parts: "tuple[Test | Group, ...]"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """An aggregate; `column` is None for a count of rows, `result` is the column of the result that it fills."""

    function: Function
    column: Column | None
    result: Column


@dataclass(frozen=True, kw_only=True)
class Order:
    by: Column | Figure
    descending: bool
    nulls_first: bool


@dataclass(frozen=True, kw_only=True)
class Span:
    column: Column
    start: Bound | None
    end: Bound | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    relation: Relation
    outputs: tuple[Column | Figure, ...]
    group_by: tuple[Column, ...]
    where: Group
    span: Span | None
    order: tuple[Order, ...]
    limit: int | None
