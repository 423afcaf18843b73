"""The shape of `where_conditions`: conditions and nested groups, read into frozen values."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from marshmallow import ValidationError, fields

from exporter.query import fields as own
from exporter.query.base_schema import StrictSchema
from exporter.query.faults import shown
from exporter.query.spec import (
    LISTS,
    NULL_TESTS,
    RANGES,
    TEXT_TESTS,
    AllOf,
    AnyOf,
    Condition,
    Operator,
    Place,
    Where,
)

MAX_DEPTH = 5
MAX_CONDITIONS = (
    500  # SQLite refuses an expression deeper than 1000, and a chain of ANDs is as deep as it is long
)
MAX_VALUES = 10_000  # of all conditions together; SQLite binds at most 32,766


class ConditionSchema(StrictSchema):
    """One comparison of a column with a value."""

    column = own.Name(required=True, metadata={"description": "The column's name", "example": "age"})
    operator = own.Word(Operator, spelled={"<>": Operator.NOT_EQUAL}, required=True)
    value = fields.Raw(
        allow_none=True,
        metadata={
            "description": "A value that suits the column's type; a list for `in` and `not in`, [low, high] for "
            "`between` and `not between`, left out for `is null` and `is not null`",
            "example": 18,
        },
    )


class Conditions(own.Items):
    """A list of conditions and of groups `{"any": [...]}` (OR) or `{"all": [...]}` (AND)."""

    expected = 'a list such as [{"column": ..., "operator": ..., "value": ...}]'

    def __init__(self, **options: Any) -> None:
        super().__init__(fields.Nested(ConditionSchema), **options)

    def _items(self, values: Sequence[Any]) -> list[Where]:
        if _is_more_than(MAX_CONDITIONS, values):
            raise ValidationError(f"There are too many conditions: at most {MAX_CONDITIONS} are taken")
        conditions = _read(values, ("where_conditions",), 0)
        _refuse_too_many_values(conditions)
        return conditions


def _read(values: Any, place: Place, depth: int) -> list[Where]:
    return own.each(values, lambda value, index: _item(value, (*place, index), depth))


def _item(value: Any, place: Place, depth: int) -> list[Where]:
    if not isinstance(value, Mapping):
        raise ValidationError(f"{shown(value)} is not a condition: {_SHAPE}")
    for key, group in (("any", AnyOf), ("all", AllOf)):
        if key in value:
            return [group(conditions=tuple(_group(value, key, place, depth + 1)))]
    return [_condition(value, place)]


def _group(value: Mapping[str, Any], key: str, place: Place, depth: int) -> list[Where]:
    others = {name: f"A group holds {key!r} alone" for name in value if name != key}
    if others:
        raise ValidationError(others)
    if depth > MAX_DEPTH:
        raise ValidationError({key: f"Groups may be nested to depth {MAX_DEPTH}"})
    if not isinstance(value[key], list | tuple) or not value[key]:
        raise ValidationError({key: f"{shown(value[key])} is not a list of at least one condition"})
    try:
        return _read(value[key], (*place, key), depth)
    except ValidationError as exc:
        raise ValidationError({key: exc.messages}, valid_data=exc.valid_data) from None


def _condition(value: Any, place: Place) -> Condition:
    data, errors = ConditionSchema.made().read(value)
    operator = Operator(data["operator"]) if "operator" in data else None
    sentence = _value_fault(operator, value) if operator else None
    if sentence:
        errors["value"] = sentence
    if errors or operator is None:
        raise ValidationError(errors, valid_data=_name_only(data, place))
    return Condition(column=data["column"], operator=operator, value=_frozen(data.get("value")), place=place)


def _name_only(data: Mapping[str, Any], place: Place) -> list[Condition]:
    """Keep a faulty condition's column, so that a wrong name is reported with the other faults."""
    if "column" not in data:
        return []
    return [Condition(column=data["column"], operator=Operator.IS_NOT_NULL, place=place)]


def _value_fault(operator: Operator, condition: Mapping[str, Any]) -> str | None:
    """Say what is wrong with a value's shape, whatever its column may be."""
    value = condition.get("value")
    if operator in NULL_TESTS:
        return f"{operator!s} takes no value, but {shown(value)} is given" if value is not None else None
    if "value" not in condition:
        return f"The operator {operator!s} needs a value"
    if operator in LISTS:
        return _list_fault(operator, value)
    return _range_fault(operator, value) if operator in RANGES else _single_fault(operator, value)


def _single_fault(operator: Operator, value: Any) -> str | None:
    if value is None:
        return _NULL_ADVICE
    if operator in TEXT_TESTS and not isinstance(value, str):
        return f"{shown(value)} is not text, which the operator {operator!s} needs"
    return None


def _list_fault(operator: Operator, value: Any) -> str | None:
    if not isinstance(value, list | tuple):
        return f"{shown(value)} is not a list, which the operator {operator!s} needs"
    if not value:
        return f"The list of {operator!s} is empty: give at least one value"
    return _NULL_ADVICE if None in value else None


def _range_fault(operator: Operator, value: Any) -> str | None:
    if not isinstance(value, list | tuple) or len(value) != len(("low", "high")):
        return f"{shown(value)} is not a pair: the operator {operator!s} needs [low, high]"
    return _NULL_ADVICE if None in value else None


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _is_more_than(most: int, values: Sequence[Any]) -> bool:
    """Count conditions and groups before any is read, so that a flood of them is refused quickly."""
    count, left = 0, [values]
    while left and count <= most:
        level = left.pop()
        count += len(level)
        groups = (each.get(key) for each in level if isinstance(each, Mapping) for key in ("any", "all"))
        left.extend(group for group in groups if isinstance(group, list | tuple))
    return count > most


def _refuse_too_many_values(conditions: list[Where]) -> None:
    count = sum(len(each.value) if isinstance(each.value, tuple) else 1 for each in flatten(conditions))
    if count > MAX_VALUES:
        raise ValidationError(f"{count} values are too many: at most {MAX_VALUES} are taken")


def flatten(conditions: Iterable[Where]) -> Iterator[Condition]:
    """Yield every condition of a tree."""
    for each in conditions:
        if isinstance(each, Condition):
            yield each
        else:
            yield from flatten(each.conditions)


_SHAPE = 'give {"column": ..., "operator": ..., "value": ...}, {"any": [...]} or {"all": [...]}'
_NULL_ADVICE = 'null equals nothing: use the operator "is null" or "is not null"'
