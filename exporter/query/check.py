"""A QuerySpec against a relation's real columns: all faults at once, or a Plan."""

from collections.abc import Callable, Mapping

from exporter.query import moments
from exporter.query.families import is_dated, may_be_dated, operator_fault, type_name
from exporter.query.faults import Faults, listed, shown
from exporter.query.outputs import Outputs
from exporter.query.patterns import pattern_fault
from exporter.query.plan import Group, Operand, Plan, Span, Test
from exporter.query.schema import read_filters
from exporter.query.spec import (
    LISTS,
    NULL_TESTS,
    RANGES,
    TEXT_TESTS,
    AllOf,
    AnyOf,
    Condition,
    Place,
    QuerySpec,
    Where,
)
from exporter.query.values import Unsuitable, clean_text, convert, runs_backwards
from exporter.sources.base import Column, Relation


def check(spec: QuerySpec, relation: Relation, *, dialect: str, date_column: str | None = None) -> Plan:
    """Check every name and value of a spec. `date_column` is the datasource's. Raises Invalid with all faults."""
    faults = Faults()
    plan = _Checker(spec, relation, dialect, faults).plan(date_column)
    faults.raise_any()
    return plan


def check_filters(
    raw: Mapping[str, object], relation: Relation, *, dialect: str, date_column: str | None = None
) -> QuerySpec:
    """Read `filters` and check them at once, so that faults of shape and of names are told together."""
    spec, faults = read_filters(raw)
    _Checker(spec, relation, dialect, faults).plan(date_column)
    faults.raise_any()
    return spec


class _Checker:
    """One walk over a spec. What is faulty is reported and left out of the plan."""

    def __init__(self, spec: QuerySpec, relation: Relation, dialect: str, faults: Faults) -> None:
        self.spec = spec
        self.relation = relation
        self.dialect = dialect
        self.faults = faults
        self.columns = {column.name: column for column in relation.columns}

    def plan(self, date_column: str | None) -> Plan:
        outputs = Outputs(self.spec, self.relation, self.dialect, self.faults)
        chosen = outputs.columns()
        return Plan(
            relation=self.relation,
            outputs=chosen,
            group_by=outputs.groups,
            where=Group(any_of=False, parts=self._parts(self.spec.where)),
            span=self._span(date_column),
            order=outputs.order(),
            limit=self.spec.limit,
        )

    def _parts(self, conditions: tuple[Where, ...]) -> tuple[Test | Group, ...]:
        parts = (self._part(condition) for condition in conditions)
        return tuple(part for part in parts if part is not None)

    def _part(self, where: Where) -> Test | Group | None:
        match where:
            case AnyOf() | AllOf():
                return Group(any_of=isinstance(where, AnyOf), parts=self._parts(where.conditions))
            case _:
                return self._test(where)

    def _test(self, condition: Condition) -> Test | None:
        column = self.columns.get(condition.column)
        if column is None:
            self.faults.add_unknown((*condition.place, "column"), condition.column, self.columns)
            return None
        fault = operator_fault(column, condition.operator, self.dialect)
        if fault:
            self.faults.add((*condition.place, "operator"), fault)
            return None
        operands = self._operands(condition, column)
        return Test(column=column, operator=condition.operator, operands=operands)

    def _operands(self, condition: Condition, column: Column) -> tuple[Operand, ...]:
        operator, value, place = condition.operator, condition.value, (*condition.place, "value")
        if operator in NULL_TESTS:
            return ()
        if operator in TEXT_TESTS:
            return self._pattern(condition, column, place)
        if operator not in LISTS | RANGES or not isinstance(value, tuple):
            return self._operand(value, column, place)
        found = [
            each
            for index, item in enumerate(value)
            for each in self._operand(item, column, (*place, str(index)))
        ]
        if operator in RANGES and len(found) == len(value) and runs_backwards(*found):
            self.faults.add(
                place, f"The low end, {shown(value[0])}, is above the high end, {shown(value[1])}"
            )
        return tuple(found)

    def _operand(self, value: object, column: Column, place: Place) -> tuple[Operand, ...]:
        try:
            return (convert(value, column, self.dialect),)
        except Unsuitable as exc:
            self.faults.add(place, str(exc))
            return ()

    def _pattern(self, condition: Condition, column: Column, place: Place) -> tuple[Operand, ...]:
        try:
            text = clean_text(condition.value, self.dialect)
        except (Unsuitable, TypeError) as exc:
            detail = str(exc) if isinstance(exc, Unsuitable) else "text"
            self.faults.add(
                place, f"{shown(condition.value)} does not suit column {column.name!r}: give {detail}"
            )
            return ()
        fault = pattern_fault(condition.operator, text, self.dialect)
        if fault:
            self.faults.add(place, fault)
        return (Operand(value=text),)

    def _span(self, date_column: str | None) -> Span | None:
        wanted = self.spec.date_range
        column = self._dated(date_column) if wanted else None
        if wanted is None or column is None:
            return None
        start = moments.lower(wanted.start) if wanted.start else None
        end = moments.upper(wanted.end) if wanted.end else None
        return Span(column=column, start=start, end=end)

    def _dated(self, date_column: str | None) -> Column | None:
        """Find the column that a date range is about: the request's, the datasource's, or the only one."""
        assert self.spec.date_range  # noqa: S101 - the caller has looked
        name = self.spec.date_range.column or date_column
        if name is not None:
            return self._named_dated(name)
        dated = [column for column in self.relation.columns if is_dated(column, self.dialect)]
        if len(dated) == 1:
            return dated[0]
        self.faults.add(("date_range", "column"), _choose(dated))
        return None

    def _named_dated(self, name: str) -> Column | None:
        column = self.columns.get(name)
        place = ("date_range", "column")
        if column is None:
            self.faults.add_unknown(place, name, self.columns)
        elif not may_be_dated(column, self.dialect):
            candidates = self._candidates(lambda each: is_dated(each, self.dialect))
            self.faults.add(
                place, f"Column {name!r} is {type_name(column)}, not a date or time. {candidates}"
            )
            return None
        return column

    def _candidates(self, fits: Callable[[Column], bool]) -> str:
        names = [column.name for column in self.relation.columns if fits(column)]
        return f"Candidates: {listed(names)}." if names else "This relation has no date or timestamp column."


def _choose(dated: list[Column]) -> str:
    if not dated:
        return "This relation has no date or timestamp column: name the column that holds dates"
    return f"Say which column the range is about: {listed(column.name for column in dated)}"
