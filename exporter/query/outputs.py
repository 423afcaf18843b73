"""The columns of a result: chosen ones, or groups and figures; and what they may be ordered by."""

from collections.abc import Sequence

from exporter.query.families import Family, family, is_numeric, type_name
from exporter.query.faults import Faults, shown
from exporter.query.figures import no_extremes, result_column
from exporter.query.plan import Figure, Order
from exporter.query.spec import Aggregate, Function, OrderTerm, Place, QuerySpec
from exporter.sources.base import Column, Relation

MAX_NAME_BYTES = 63  # PostgreSQL cuts a longer name


class Outputs:
    """The result's columns, checked. `faults` takes what is wrong; that part is then left out."""

    def __init__(self, spec: QuerySpec, relation: Relation, dialect: str, faults: Faults) -> None:
        self.spec = spec
        self.relation = relation
        self.dialect = dialect
        self.faults = faults
        self.known = {column.name: column for column in relation.columns}
        self.unsure = bool(
            {"group_by", "aggregates"} & faults.errors.keys()
        )  # what is grouped cannot be told
        self.grouped = bool(spec.group_by or spec.aggregates)
        self.groups = self._groups()
        self.figures = self._figures()

    def columns(self) -> tuple[Column | Figure, ...]:
        names = [(("columns", str(index)), name) for index, name in enumerate(self.spec.columns or ())]
        if self.grouped or self.unsure:
            self._refuse_ungrouped(names)
            return (*self.groups, *self.figures)
        if self.spec.columns is None:
            return self.relation.columns
        found = (self._column(name, place) for place, name in names)
        return tuple(column for column in found if column is not None)

    def order(self) -> tuple[Order, ...]:
        orders = (self._order(term) for term in self.spec.order_by)
        return tuple(order for order in orders if order is not None)

    def _column(self, name: str, place: Place) -> Column | None:
        column = self.known.get(name)
        if column is None:
            self.faults.add_unknown(place, name, self.known)
        return column

    def _groups(self) -> tuple[Column, ...]:
        found = []
        for term in self.spec.group_by:
            column = self._column(term.column, term.place)
            if column and family(column, self.dialect) is Family.OPAQUE:
                self.faults.add(
                    term.place, f"Column {column.name!r} is {type_name(column)}, which cannot be grouped"
                )
            elif column:
                found.append(column)
        return tuple(found)

    def _figures(self) -> tuple[Figure, ...]:
        if self.spec.group_by and not self.spec.aggregates and not self.unsure:
            rows = Aggregate(function=Function.COUNT, place=("group_by",))
            return self._distinct((rows,))
        return self._distinct(self.spec.aggregates)

    def _distinct(self, aggregates: tuple[Aggregate, ...]) -> tuple[Figure, ...]:
        figures = []
        taken = {term.column for term in self.spec.group_by}
        for aggregate in aggregates:
            figure = self._figure(aggregate)
            if figure is None:
                continue
            if figure.result.name in taken:
                self._refuse_alias(aggregate, f"There is already a result column {shown(figure.result.name)}")
            taken.add(figure.result.name)
            figures.append(figure)
        return tuple(figures)

    def _figure(self, aggregate: Aggregate) -> Figure | None:
        column = None
        if aggregate.column is not None:
            column = self._column(aggregate.column, (*aggregate.place, "column"))
            fault = _unfit(aggregate.function, column, self.dialect) if column else None
            if fault:
                self.faults.add((*aggregate.place, "column"), fault)
            if column is None or fault:
                return None
        alias = aggregate.alias or "_".join(filter(None, (aggregate.function, aggregate.column)))
        self._check_alias(aggregate, alias)
        result = result_column(aggregate.function, column, alias, self.dialect)
        return Figure(function=aggregate.function, column=column, result=result)

    def _check_alias(self, aggregate: Aggregate, alias: str) -> None:
        if "\0" in alias or any("\ud800" <= character <= "\udfff" for character in alias):
            self._refuse_alias(aggregate, f"{shown(alias)} cannot be a column's name")
        elif len(alias.encode()) > MAX_NAME_BYTES:
            self._refuse_alias(aggregate, f"{shown(alias)} is longer than {MAX_NAME_BYTES} bytes")

    def _refuse_alias(self, aggregate: Aggregate, sentence: str) -> None:
        if aggregate.place == ("group_by",):
            self.faults.add(aggregate.place, f'{sentence}: give "aggregates" with an alias of its own')
        else:
            self.faults.add((*aggregate.place, "alias"), f"{sentence}: give an alias of its own")

    def _refuse_ungrouped(self, names: Sequence[tuple[Place, str]]) -> None:
        results = [figure.result.name for figure in self.figures]
        fit = {*results, *(term.column for term in self.spec.group_by)}
        fit |= {aggregate.column for aggregate in self.spec.aggregates if aggregate.column}
        for place, name in names:
            if name not in self.known and name not in results:
                self.faults.add_unknown(place, name, [*self.known, *results])
            elif name not in fit and not self.unsure:
                self.faults.add(place, f"Column {shown(name)} is neither in group_by nor in aggregates")

    def _order(self, term: OrderTerm) -> Order | None:
        by = self._order_target(term)
        if by is None:
            return None
        column = by if isinstance(by, Column) else by.result
        if family(column, self.dialect) is Family.OPAQUE:
            self.faults.add(
                term.place, f"Column {column.name!r} is {type_name(column)}, which cannot be ordered"
            )
        nulls_first = term.descending if term.nulls is None else term.nulls == "first"
        return Order(by=by, descending=term.descending, nulls_first=nulls_first)

    def _order_target(self, term: OrderTerm) -> Column | Figure | None:
        if not self.grouped and not self.unsure:
            return self._column(term.column, term.place)
        results: dict[str, Column | Figure] = {figure.result.name: figure for figure in self.figures}
        results |= {column.name: column for column in self.groups}
        if term.column in results or (self.unsure and term.column in self.known):
            return results.get(term.column)
        if term.column in self.known:
            self.faults.add(
                term.place, f"Column {shown(term.column)} is not in the grouped result: {', '.join(results)}"
            )
        elif not self.unsure:
            self.faults.add_unknown(term.place, term.column, results)
        return None


def _unfit(function: Function, column: Column, dialect: str) -> str | None:
    named = f"column {column.name!r} is {type_name(column)}"
    if function in {Function.SUM, Function.AVG} and not is_numeric(column, dialect):
        return f"{function!s} needs a numeric column, but {named}"
    if function is Function.COUNT_DISTINCT and family(column, dialect) is Family.OPAQUE:
        return f"{function!s} needs a column whose values can be compared, but {named}"
    if function in {Function.MIN, Function.MAX} and no_extremes(column, dialect):
        return f"{function!s} needs a column whose values have an order, but {named}"
    return None
