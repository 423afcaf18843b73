"""How SQLite compares: by storage class, and here always telling case apart, whatever a column's own collation."""

from datetime import time
from typing import Any

from sqlalchemy import LargeBinary, and_, cast, collate, func, not_

from exporter.query import moments, patterns
from exporter.query.families import SQLITE, Affinity, Family, affinity, family, is_dated
from exporter.query.plan import Operand, Span, Test
from exporter.query.predicates import (
    Expression,
    Predicates,
    compared,
    lower_operator,
    ordered,
    upper_operator,
)
from exporter.query.spec import NEGATIONS, RANGES, Operator
from exporter.query.sqlite_stamps import Edge, StampTests, clock_edge, moment_edge
from exporter.sources.base import Column


class SqlitePredicates(Predicates):
    def comparison(self, test: Test) -> Expression:
        if family(test.column, SQLITE) in {Family.MOMENT, Family.TIME}:
            return self._stamped(test)
        left = self.expression(test.column)
        if any(isinstance(operand.value, str) for operand in test.operands):
            left = collate(left, "BINARY")
        return compared(left, test.operator, [self.bindings.operand(operand) for operand in test.operands])

    def search(self, column: Column, operator: Operator, text: str) -> Expression:
        left, bind = self.expression(column), self.bindings.bind
        match operator:
            case Operator.LIKE:
                return self._glob(left, patterns.glob(text))
            case Operator.NOT_LIKE:
                return not_(self._glob(left, patterns.glob(text)))
            case Operator.ILIKE:
                return func.exporter_lower(left).like(bind(text.lower()), escape="\\")
            case Operator.STARTS_WITH:
                return self._starts_with(left, text)
            case Operator.ENDS_WITH:
                return self._ends_with(left, text)
            case _:
                return func.instr(left, bind(text)) > self.bindings.bind(0)

    def span(self, span: Span) -> Expression:
        if family(span.column, SQLITE) in {Family.INTEGER, Family.NUMBER} and not is_dated(
            span.column, SQLITE
        ):
            return self._seconds(span)
        start = moment_edge(span.start) if span.start else None
        end = moment_edge(span.end) if span.end else None
        return self._stamps(span.column).between(start, end)

    def _glob(self, left: Expression, pattern: str) -> Expression:
        return left.op("GLOB", is_comparison=True)(self.bindings.bind(pattern))

    def _starts_with(self, left: Expression, text: str) -> Expression:
        if patterns.is_plain(text):
            return self._glob(left, patterns.glob_literal(text) + "*")
        beginning = cast(self.bindings.bind(text), LargeBinary)
        return func.substr(cast(left, LargeBinary), 1, func.length(beginning)) == beginning

    def _ends_with(self, left: Expression, text: str) -> Expression:
        """Compare bytes, for as text, SQLite's substr would stop at a NUL character."""
        if not text:
            return left.is_not(None)
        ending = cast(self.bindings.bind(text), LargeBinary)
        return func.substr(cast(left, LargeBinary), -func.length(ending)) == ending

    def _seconds(self, span: Span) -> Expression:
        left, ends = self.expression(span.column), []
        if span.start:
            operator = lower_operator(inclusive=span.start.inclusive)
            ends.append(ordered(left, operator, self.bindings.bind(moments.seconds(span.start.at))))
        if span.end:
            operator = upper_operator(inclusive=span.end.inclusive)
            ends.append(ordered(left, operator, self.bindings.bind(moments.seconds(span.end.at))))
        return and_(*ends)

    def _stamped(self, test: Test) -> Expression:
        """Compare dates or times; what is negated is the whole, so that NULL stays NULL."""
        operator = NEGATIONS.get(test.operator, test.operator)
        positive = self._positive(test, operator)
        return positive if operator is test.operator else not_(positive)

    def _positive(self, test: Test, operator: Operator) -> Expression:
        stamps = self._stamps(test.column)
        if operator in RANGES:
            low, high = test.operands
            return stamps.between(_edge(low), _edge(high))
        match operator:
            case Operator.GREATER | Operator.GREATER_OR_EQUAL:
                return stamps.between(
                    _edge(test.operands[0], inclusive=operator is Operator.GREATER_OR_EQUAL), None
                )
            case Operator.LESS | Operator.LESS_OR_EQUAL:
                return stamps.between(
                    None, _edge(test.operands[0], inclusive=operator is Operator.LESS_OR_EQUAL)
                )
            case _:
                return stamps.among([_edge(operand) for operand in test.operands])

    def _stamps(self, column: Column) -> StampTests:
        found = family(column, SQLITE)
        return StampTests(
            self.expression(column),
            self.bindings,
            clock_only=found is Family.TIME,
            numbers=found is not Family.TIME and affinity(column) is not Affinity.TEXT,
        )


def _edge(operand: Operand, *, inclusive: bool = True) -> Edge:
    value: Any = operand.value
    if isinstance(value, time):
        return clock_edge(value, inclusive=inclusive)
    return moment_edge(moments.Bound(at=value, inclusive=inclusive))
