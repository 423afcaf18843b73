"""What a request's `filters` mean, as frozen values: names are not yet checked against any relation.

A `place` is where in the request something stood: the path of keys under which a fault about it is reported.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

Place = tuple[str, ...]
Moment = date | datetime  # a whole day, or an instant that is aware and in UTC


class Operator(StrEnum):
    EQUAL = "="
    NOT_EQUAL = "!="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    IN = "in"
    NOT_IN = "not in"
    BETWEEN = "between"
    NOT_BETWEEN = "not between"
    LIKE = "like"
    NOT_LIKE = "not like"
    ILIKE = "ilike"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    IS_NULL = "is null"
    IS_NOT_NULL = "is not null"


class Function(StrEnum):
    COUNT = "count"
    COUNT_DISTINCT = "count_distinct"
    SUM = "sum"
    AVG = "avg"
    MIN = "min"
    MAX = "max"


NULL_TESTS = frozenset({Operator.IS_NULL, Operator.IS_NOT_NULL})
LISTS = frozenset({Operator.IN, Operator.NOT_IN})
RANGES = frozenset({Operator.BETWEEN, Operator.NOT_BETWEEN})
PATTERNS = frozenset({Operator.LIKE, Operator.NOT_LIKE, Operator.ILIKE})
TEXT_TESTS = PATTERNS | {Operator.CONTAINS, Operator.STARTS_WITH, Operator.ENDS_WITH}
EQUALITIES = LISTS | {Operator.EQUAL, Operator.NOT_EQUAL}
NEGATIONS = {
    Operator.NOT_EQUAL: Operator.EQUAL,
    Operator.NOT_IN: Operator.IN,
    Operator.NOT_BETWEEN: Operator.BETWEEN,
    Operator.NOT_LIKE: Operator.LIKE,
}


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One comparison. `value` is what JSON gave, a tuple for the operators that take a list, None for null tests."""

    column: str
    operator: Operator
    value: object = None
    place: Place = field(default=("where_conditions",), compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class AnyOf:
    conditions: "tuple[Where, ...]"


@dataclass(frozen=True, kw_only=True)
class AllOf:
    conditions: "tuple[Where, ...]"


Where = Condition | AnyOf | AllOf


@dataclass(frozen=True, kw_only=True)
class GroupTerm:
    column: str
    place: Place = field(default=("group_by",), compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """`column` is None for a count of rows; `alias` is None where the default name is meant."""

    function: Function
    column: str | None = None
    alias: str | None = None
    place: Place = field(default=("aggregates",), compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class OrderTerm:
    """`nulls` is None where the default is meant: last when ascending, first when descending."""

    column: str
    descending: bool = False
    nulls: Literal["first", "last"] | None = None
    place: Place = field(default=("order_by",), compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class DateRange:
    """Both ends inclusive; an end that is a bare date means that whole day."""

    start: Moment | None = None
    end: Moment | None = None
    column: str | None = None


@dataclass(frozen=True, kw_only=True)
class QuerySpec:
    """`columns` is None where all are meant."""

    table: str | None = None
    columns: tuple[str, ...] | None = None
    where: tuple[Where, ...] = ()
    group_by: tuple[GroupTerm, ...] = ()
    aggregates: tuple[Aggregate, ...] = ()
    order_by: tuple[OrderTerm, ...] = ()
    limit: int | None = None
    date_range: DateRange | None = None
    include_headers: bool = True
