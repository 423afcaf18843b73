"""A plan's tests as SQLAlchemy expressions: what both databases share."""

import operator as operators
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, or_

from exporter.query.bindings import Bindings
from exporter.query.plan import Group, Span, Test
from exporter.query.spec import TEXT_TESTS, Operator
from exporter.sources.base import Column

Expression = ColumnElement[Any]


_SIGNS: Mapping[Operator, Callable[[Any, Any], Expression]] = {
    Operator.EQUAL: operators.eq,
    Operator.NOT_EQUAL: operators.ne,
    Operator.LESS: operators.lt,
    Operator.LESS_OR_EQUAL: operators.le,
    Operator.GREATER: operators.gt,
    Operator.GREATER_OR_EQUAL: operators.ge,
}


class Predicates(ABC):
    """Makes expressions; `expression` gives a column's own. A subclass knows how its database compares."""

    def __init__(self, expression: Callable[[Column], Expression], bindings: Bindings) -> None:
        self.expression = expression
        self.bindings = bindings

    def group(self, group: Group) -> Expression:
        parts = [self.group(part) if isinstance(part, Group) else self.test(part) for part in group.parts]
        return or_(*parts) if group.any_of else and_(*parts)

    def test(self, test: Test) -> Expression:
        if test.operator is Operator.IS_NULL:
            return self.expression(test.column).is_(None)
        if test.operator is Operator.IS_NOT_NULL:
            return self.expression(test.column).is_not(None)
        if test.operator in TEXT_TESTS:
            return self.search(test.column, test.operator, str(test.operands[0].value))
        return self.comparison(test)

    @abstractmethod
    def comparison(self, test: Test) -> Expression: ...

    @abstractmethod
    def search(self, column: Column, operator: Operator, text: str) -> Expression: ...

    @abstractmethod
    def span(self, span: Span) -> Expression: ...


def compared(left: Expression, operator: Operator, right: Sequence[Expression]) -> Expression:
    match operator:
        case Operator.IN:
            return left.in_(right)
        case Operator.NOT_IN:
            return left.not_in(right)
        case Operator.BETWEEN:
            return and_(left >= right[0], left <= right[1])
        case Operator.NOT_BETWEEN:
            return or_(left < right[0], left > right[1])
        case _:
            return ordered(left, operator, right[0])


def ordered(left: Expression, operator: Operator, right: Expression) -> Expression:
    return _SIGNS[operator](left, right)


def lower_operator(*, inclusive: bool) -> Operator:
    return Operator.GREATER_OR_EQUAL if inclusive else Operator.GREATER


def upper_operator(*, inclusive: bool) -> Operator:
    return Operator.LESS_OR_EQUAL if inclusive else Operator.LESS
