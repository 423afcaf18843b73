"""The fields that `filters` is made of. Each fault names the value and says what would be right."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from marshmallow import ValidationError, fields

from exporter.query import moments, terms
from exporter.query.faults import shown
from exporter.query.spec import GroupTerm, Moment, OrderTerm

MAX_ITEMS = 2000  # the columns that one result may have in SQLite; PostgreSQL allows 1664
MAX_LIMIT = 2**63 - 2  # one row more is asked for, and both databases count rows in 64 bits


class Name(fields.String):
    """The name of a column or relation, as text that is not empty."""

    default_error_messages: ClassVar[dict[str, str]] = {  # type: ignore[assignment,misc]
        "required": "A name is required here",
        "null": "null is not a name: give text",
    }

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError(f"{shown(value)} is not a name: give text")
        if not value.strip():
            raise ValidationError("A name cannot be empty")
        return value


class Word(fields.String):
    """One of a few words, whatever its case and spacing; `spelled` maps further spellings to them."""

    default_error_messages: ClassVar[dict[str, str]] = {  # type: ignore[assignment,misc]
        "required": "This field is required",
        "null": "null is not known: this field is required",
    }

    def __init__(
        self, words: Iterable[str], *, spelled: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        self.words = list(words)
        self.spelled = dict(spelled or {})
        metadata = {"enum": [*self.words, *self.spelled], **options.pop("metadata", {})}
        super().__init__(metadata=metadata, **options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        word = " ".join(value.lower().split()) if isinstance(value, str) else None
        word = self.spelled.get(word or "", word)
        if word not in self.words:
            known = ", ".join([*self.words, *self.spelled])
            raise ValidationError(f"{shown(value)} is not known. Must be one of: {known}")
        return word


class RowLimit(fields.Integer):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_LIMIT:
            raise ValidationError(
                f"{shown(value)} is not a row limit: give a whole number from 1 to {MAX_LIMIT}"
            )
        return value


class Flag(fields.Boolean):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError(f"{shown(value)} is not a yes or no: give true or false")
        return value


class MomentField(fields.String):
    """A day or an instant in ISO 8601."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Moment:  # type: ignore[override]
        try:
            return moments.parse_moment(value)
        except (TypeError, ValueError):
            raise ValidationError(f"{shown(value)} is not a date: give {moments.EXPECTED}") from None


class Items(fields.List[Any]):
    """A list whose faults are keyed by index; what could be read is kept beside the faults."""

    expected: ClassVar[str] = "a list"

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise ValidationError(f"{shown(value)} is not {self.expected}")
        return self._items(value)

    def _items(self, values: Sequence[Any]) -> list[Any]:
        return each(values, self._item)

    def _item(self, value: Any, _index: str) -> list[Any]:
        return [self.inner.deserialize(value)]


class Names(Items):
    """A list of names, at least one."""

    expected = "a list of names"

    def __init__(self, **options: Any) -> None:
        super().__init__(Name(), **options)

    def _items(self, values: Sequence[Any]) -> list[str]:
        if not values:
            raise ValidationError('Name at least one column, or leave it out (or give ["*"]) for all')
        return super()._items(values)


class GroupBy(fields.Field[list[GroupTerm]]):
    """A name, `"a, b"`, or a list of names."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[GroupTerm]:
        if isinstance(value, list | tuple):
            return each(value, _group_term)
        return [
            GroupTerm(column=name) for name in _read(value, terms.parse_names, '"a, b" or a list of names')
        ]


class OrderBy(fields.Field[list[OrderTerm]]):
    """`"a DESC, b NULLS LAST"`, or a list of the same."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[OrderTerm]:
        if isinstance(value, list | tuple):
            return each(value, _order_terms)
        return _order_terms(value)


def each(values: Sequence[Any], read: Callable[[Any, str], list[Any]]) -> list[Any]:
    """Join what `read` makes of every item; the ValidationError at the end holds all faults by index, and the rest."""
    if len(values) > MAX_ITEMS:
        raise ValidationError(f"{len(values)} are too many: at most {MAX_ITEMS} are taken")
    items: list[Any] = []
    faults: dict[str, Any] = {}
    for index, value in enumerate(values):
        try:
            items.extend(read(value, str(index)))
        except ValidationError as exc:
            faults[str(index)] = exc.messages
            items.extend(exc.valid_data or [])
    if faults:
        raise ValidationError(faults, valid_data=items)
    return items


def _group_term(value: Any, index: str) -> list[GroupTerm]:
    return [GroupTerm(column=Name().deserialize(value), place=("group_by", index))]


def _order_terms(value: Any, *index: str) -> list[OrderTerm]:
    def parse(text: str) -> list[OrderTerm]:
        return terms.parse_order(text, ("order_by", *index))

    return _read(value, parse, '"a DESC, b NULLS LAST"')


def _read(value: Any, parse: Callable[[str], list[Any]], expected: str) -> list[Any]:
    if not isinstance(value, str):
        raise ValidationError(f"{shown(value)} cannot be read: give {expected}")
    if value.count(",") > MAX_ITEMS:
        raise ValidationError(f"These are too many: at most {MAX_ITEMS} are taken")
    try:
        return parse(value)
    except ValueError as exc:
        raise ValidationError(str(exc)) from None
