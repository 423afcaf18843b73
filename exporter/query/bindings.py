"""Parameters of one statement: every value gets a name of its own, counted in order."""

from typing import Any

from sqlalchemy import ColumnElement, bindparam, cast
from sqlalchemy.types import NullType, UserDefinedType

from exporter.query.plan import Operand


class DatabaseType(UserDefinedType[Any]):
    """A type as the database itself spelled it when the column was reflected."""

    cache_ok = True

    def __init__(self, spelling: str) -> None:
        self.spelling = spelling

    def get_col_spec(self, **_: Any) -> str:
        return self.spelling.replace(
            "%", "%%"
        )  # only PostgreSQL's parameters are cast, and there % is doubled


class Bindings:
    """Names parameters `p1`, `p2` and so on: the same request gives the same text."""

    def __init__(self) -> None:
        self._count = 0

    def bind(self, value: object) -> ColumnElement[Any]:
        self._count += 1
        return bindparam(f"p{self._count}", value, type_=NullType())

    def operand(self, operand: Operand) -> ColumnElement[Any]:
        bound = self.bind(operand.value)
        return bound if operand.cast is None else cast(bound, DatabaseType(operand.cast))
