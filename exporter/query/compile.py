"""A checked query as one SELECT with bound values."""

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Select, and_, collate, column, distinct, func, select, table, text
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import quoted_name
from sqlalchemy.sql.expression import ColumnClause, FromClause, TableClause

from exporter.query.bindings import Bindings
from exporter.query.check import check
from exporter.query.families import POSTGRESQL, SQLITE, Family, family
from exporter.query.plan import Figure, Order, Plan
from exporter.query.postgresql import PostgresqlPredicates
from exporter.query.predicates import Expression
from exporter.query.spec import Function, QuerySpec
from exporter.query.sqlite import SqlitePredicates
from exporter.sources.base import Column, Relation, Statement

_RULES = {SQLITE: SQLiteDialect(paramstyle="named"), POSTGRESQL: PGDialect(paramstyle="pyformat")}  # type: ignore[no-untyped-call]
_PREDICATES = {SQLITE: SqlitePredicates, POSTGRESQL: PostgresqlPredicates}
LimitSource = Literal["request", "setting"]


@dataclass(frozen=True, kw_only=True)
class CompiledQuery:
    """A statement that asks for one row more than `limit`, so that the runner sees that rows were cut."""

    statement: Statement
    limit: int | None
    limit_source: LimitSource | None


def compile_query(
    spec: QuerySpec,
    relation: Relation,
    *,
    dialect: str,
    date_column: str | None = None,
    row_cap: int | None = None,
) -> CompiledQuery:
    """Check a spec and compile it. `row_cap` is the installation's ceiling on rows. Raises Invalid."""
    plan = check(spec, relation, dialect=dialect, date_column=date_column)
    limit, source = _limit(spec.limit, row_cap)
    statement = _Compiler(plan, dialect).statement(limit)
    return CompiledQuery(statement=statement, limit=limit, limit_source=source)


def _limit(wanted: int | None, cap: int | None) -> tuple[int | None, LimitSource | None]:
    if wanted is not None and (cap is None or wanted <= cap):
        return wanted, "request"
    return cap, None if cap is None else "setting"


class _Compiler:
    """One statement in the making."""

    def __init__(self, plan: Plan, dialect: str) -> None:
        self.plan = plan
        self.dialect = dialect
        self.bindings = Bindings()
        self.source = _from(plan.relation)

    def statement(self, limit: int | None) -> Statement:
        compiled = self._select(limit).compile(dialect=_RULES[self.dialect])
        columns = tuple(each if isinstance(each, Column) else each.result for each in self.plan.outputs)
        whole = self.plan.relation if self._whole(limit) else None
        return Statement(sql=str(compiled), columns=columns, parameters=dict(compiled.params), whole=whole)

    def _whole(self, limit: int | None) -> bool:
        """Tell whether the rows are a table's or view's, all of them and in any order."""
        plan = self.plan
        plain = all(isinstance(output, Column) for output in plan.outputs) and not plan.group_by
        asked = plan.where.parts or plan.span or plan.order or limit is not None
        return plain and not asked and plan.relation.query is None

    def _select(self, limit: int | None) -> Select[Any]:
        query = select(*map(self._output, self.plan.outputs)).select_from(self.source)
        tests = self._tests()
        if tests:
            query = query.where(and_(*tests))
        query = query.group_by(*map(self._grouped, self.plan.group_by))
        query = query.order_by(*map(self._ordered, self.plan.order))
        if limit is None:
            return query
        return query.suffix_with(text("LIMIT :row_limit").bindparams(row_limit=limit + 1))

    def _tests(self) -> list[Expression]:
        tests = _PREDICATES[self.dialect](self._expression, self.bindings)
        spans = [tests.span(self.plan.span)] if self.plan.span else []
        return [*spans, tests.group(self.plan.where)] if self.plan.where.parts else spans

    def _expression(self, wanted: Column) -> Expression:
        return self.source.c[wanted.name]

    def _output(self, wanted: Column | Figure) -> Expression:
        if isinstance(wanted, Column):
            return self._expression(wanted)
        return self._figure(wanted).label(quoted_name(wanted.result.name, quote=True))

    def _figure(self, figure: Figure) -> Expression:
        if figure.column is None:
            return func.count()
        of = self._expression(figure.column)
        if figure.function is Function.COUNT_DISTINCT:
            return func.count(distinct(self._grouped(figure.column)))
        computed: Expression = getattr(func, figure.function)(of)
        return computed

    def _grouped(self, wanted: Column) -> Expression:
        """Tell case apart on SQLite too, whatever the column's own collation."""
        of = self._expression(wanted)
        textual = family(wanted, self.dialect) in {Family.TEXT, Family.ANY}
        return collate(of, "BINARY") if self.dialect == SQLITE and textual else of

    def _ordered(self, order: Order) -> Expression:
        """Place NULLs as PostgreSQL does, and say so only where the database would do otherwise."""
        of = self._expression(order.by) if isinstance(order.by, Column) else self._figure(order.by)
        term = of.desc() if order.descending else of.asc()
        nullable = order.by.nullable if isinstance(order.by, Column) else order.by.result.nullable
        if not nullable or order.nulls_first == self._nulls_first(order.descending):
            return term
        return term.nulls_first() if order.nulls_first else term.nulls_last()

    def _nulls_first(self, descending: bool) -> bool:
        return descending != (self.dialect == SQLITE)


class _SavedQuery(TableClause):
    """An admin's SELECT as a subquery; its text passes untouched, for SQLAlchemy would read colons as parameters."""

    inherit_cache = False

    def __init__(self, text: str, *columns: Any) -> None:
        super().__init__(quoted_name("q", quote=True), *columns)
        self.text = text.rstrip().rstrip(";")


@compiles(_SavedQuery)
def _spell(element: _SavedQuery, compiler: Any, **_: Any) -> str:
    """Close the subquery on a line of its own: the text may end in a comment."""
    text = element.text if compiler.dialect.paramstyle == "named" else element.text.replace("%", "%%")
    return f'(\n{text}\n) AS "q"'


def _from(relation: Relation) -> FromClause:
    columns: list[ColumnClause[Any]] = [
        column(quoted_name(each.name, quote=True)) for each in relation.columns
    ]
    if relation.query is not None:
        return _SavedQuery(relation.query, *columns)
    name = quoted_name(relation.name, quote=True)
    if relation.schema is None:
        return table(name, *columns)
    return table(name, *columns, schema=quoted_name(relation.schema, quote=True)).alias(name)
