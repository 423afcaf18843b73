"""How PostgreSQL compares."""

from decimal import Decimal

from sqlalchemy import BigInteger, Text, and_, cast

from exporter.query import moments, patterns
from exporter.query.families import POSTGRESQL, Family, family
from exporter.query.plan import Operand, Span, Test
from exporter.query.predicates import (
    Expression,
    Predicates,
    compared,
    lower_operator,
    ordered,
    upper_operator,
)
from exporter.query.spec import Operator
from exporter.query.values import moment_operand
from exporter.sources.base import Column, Kind

_TEXT = ("text", "character varying")
_PADDED = ("character", "bpchar")
_PAST_9999 = Operand(value="10000-01-01", cast="timestamp")


class PostgresqlPredicates(Predicates):
    def comparison(self, test: Test) -> Expression:
        right = [self.bindings.operand(operand) for operand in test.operands]
        return compared(self._left(test.column), test.operator, right)

    def search(self, column: Column, operator: Operator, text: str) -> Expression:
        left = self.expression(column)
        if _base(column) not in _TEXT:
            left = cast(left, Text)
        match operator:
            case Operator.LIKE:
                return left.like(self.bindings.bind(text))
            case Operator.NOT_LIKE:
                return left.not_like(self.bindings.bind(text))
            case Operator.ILIKE:
                return left.ilike(self.bindings.bind(text))
            case _:
                return left.like(self.bindings.bind(_around(operator, patterns.literal(text))))

    def span(self, span: Span) -> Expression:
        left = self.expression(span.column)
        ends = []
        if span.start:
            right = self._end(span.start, span.column)
            ends.append(ordered(left, lower_operator(inclusive=span.start.inclusive), right))
        if span.end:
            right = self._end(span.end, span.column)
            ends.append(ordered(left, upper_operator(inclusive=span.end.inclusive), right))
        return and_(*ends)

    def _left(self, column: Column) -> Expression:
        """Give the column, as a plainer type where its own folds case, cuts a value or refuses it."""
        left = self.expression(column)
        if column.database_type == "oid":
            return cast(left, BigInteger)
        plain = column.kind is not Kind.TEXT or _base(column) in _TEXT + _PADDED
        return left if plain else cast(left, Text)

    def _end(self, bound: moments.Bound, column: Column) -> Expression:
        if family(column, POSTGRESQL) is not Family.MOMENT:
            return self.bindings.operand(_seconds(moments.seconds(bound.at), column))
        return self.bindings.operand(_PAST_9999 if bound.at is None else moment_operand(bound.at, column))


def _seconds(seconds: float, column: Column) -> Operand:
    if column.kind is Kind.FLOAT:
        return Operand(value=float(seconds), cast="double precision")
    return Operand(value=seconds if isinstance(seconds, int) else Decimal(repr(seconds)))


def _base(column: Column) -> str:
    return column.database_type.partition("(")[0]


def _around(operator: Operator, text: str) -> str:
    match operator:
        case Operator.STARTS_WITH:
            return f"{text}%"
        case Operator.ENDS_WITH:
            return f"%{text}"
        case _:
            return f"%{text}%"
