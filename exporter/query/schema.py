"""The shape of a request's `filters`."""

from collections.abc import Iterable, Mapping
from typing import Any

from marshmallow import ValidationError, fields

from exporter.query import fields as own
from exporter.query.base_schema import StrictSchema
from exporter.query.faults import Faults, shown
from exporter.query.moments import runs_backwards
from exporter.query.spec import Aggregate, DateRange, Function, Place, QuerySpec
from exporter.query.where import Conditions

ALL = "*"


class AggregateSchema(StrictSchema):
    """One figure for each group."""

    function = own.Word(Function, required=True)
    column = own.Name(
        allow_none=True, metadata={"description": 'May be left out, or "*", for `count`', "example": "amount"}
    )
    alias = own.Name(
        allow_none=True, metadata={"description": "By default <function>_<column>", "example": "total"}
    )


class Aggregates(own.Items):
    expected = "a list of aggregates"

    def __init__(self, **options: Any) -> None:
        super().__init__(fields.Nested(AggregateSchema), **options)

    def _item(self, value: Any, index: str) -> list[Aggregate]:
        data, errors = AggregateSchema.made().read(value)
        function, column = data.get("function"), data.get("column")
        if function == Function.COUNT and column == ALL:
            column = None
        if function not in {Function.COUNT, None} and column is None and "column" not in errors:
            errors["column"] = f"{function} needs a column"
        if errors or function is None:
            raise ValidationError(errors)
        place = ("aggregates", index)
        return [Aggregate(function=Function(function), column=column, alias=data.get("alias"), place=place)]


class DateRangeSchema(StrictSchema):
    """Both ends inclusive; a bare end date means that whole day; either end may be left out."""

    start = own.MomentField(allow_none=True, metadata={"example": "2024-01-01"})
    end = own.MomentField(allow_none=True, metadata={"example": "2024-12-31"})
    column = own.Name(
        allow_none=True,
        metadata={
            "description": "By default the datasource's date column, else the only one",
            "example": "created_at",
        },
    )


class FiltersSchema(StrictSchema):
    """What a job reads: which rows and columns, and in which order."""

    table = own.Name(
        allow_none=True,
        metadata={
            "description": "Only for a datasource with no table or query of its own",
            "example": "public.orders",
        },
    )
    columns = own.Names(
        allow_none=True,
        metadata={"description": 'In this order; left out or ["*"]: all', "example": ["id", "city"]},
    )
    where_conditions = Conditions(
        allow_none=True,
        metadata={
            "description": 'Joined with AND; {"any": [...]} is an OR group, {"all": [...]} an AND group'
        },
    )
    group_by = own.GroupBy(
        allow_none=True,
        metadata={
            "description": 'A name, "a, b" or a list of names',
            "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            "example": "category",
        },
    )
    aggregates = Aggregates(allow_none=True)
    order_by = own.OrderBy(
        allow_none=True,
        metadata={
            "description": '"a DESC, b NULLS LAST" or a list of the same',
            "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            "example": "created_at DESC",
        },
    )
    limit = own.RowLimit(allow_none=True, metadata={"minimum": 1, "maximum": own.MAX_LIMIT, "example": 1000})
    date_range = fields.Nested(DateRangeSchema, allow_none=True)
    include_headers = own.Flag(allow_none=True, metadata={"default": True})


def parse_filters(raw: Mapping[str, object]) -> QuerySpec:
    """Read `filters` into a frozen value. Raises Invalid with every fault of its shape."""
    spec, faults = read_filters(raw)
    faults.raise_any()
    return spec


def read_filters(raw: Mapping[str, object]) -> tuple[QuerySpec, Faults]:
    """Read what can be read, and gather the faults of the rest."""
    data, errors = FiltersSchema.made().read(raw)
    faults = Faults()
    faults.include(errors)
    if "columns" in errors:  # its places no longer tell which item is which
        data.pop("columns", None)
    spec = _spec({key: value for key, value in data.items() if value is not None}, faults)
    _refuse_repeated(spec, faults)
    return spec, faults


def _spec(data: dict[str, Any], faults: Faults) -> QuerySpec:
    columns = data.get("columns")
    return QuerySpec(
        table=data.get("table"),
        columns=None if columns is None or columns == [ALL] else tuple(columns),
        where=tuple(data.get("where_conditions", ())),
        group_by=tuple(data.get("group_by", ())),
        aggregates=tuple(data.get("aggregates", ())),
        order_by=tuple(data.get("order_by", ())),
        limit=data.get("limit"),
        date_range=_date_range(data.get("date_range"), faults),
        include_headers=data.get("include_headers", True),
    )


def _date_range(data: dict[str, Any] | None, faults: Faults) -> DateRange | None:
    if data is None:
        return None
    span = DateRange(**data)
    if span.start is None and span.end is None and "date_range" not in faults.errors:
        faults.add(("date_range",), "Give start, end or both")
    if runs_backwards(span):
        faults.add(("date_range", "start"), f"The start, {span.start}, is after the end, {span.end}")
    return span


def _refuse_repeated(spec: QuerySpec, faults: Faults) -> None:
    columns = [(("columns", str(index)), name) for index, name in enumerate(spec.columns or ())]
    _repeated(columns, faults)
    for place, name in columns:
        if name == ALL:
            faults.add(place, '"*" means all columns and stands alone')
    _repeated([(term.place, term.column) for term in spec.group_by], faults)
    _repeated([(term.place, term.column) for term in spec.order_by], faults)


def _repeated(names: Iterable[tuple[Place, str]], faults: Faults) -> None:
    seen: set[str] = set()
    for place, name in names:
        if name in seen:
            faults.add(place, f"Column {shown(name)} is named twice")
        seen.add(name)
