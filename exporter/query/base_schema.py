"""A schema that refuses what it does not know and keeps what it could read."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Self

from marshmallow import RAISE, Schema, ValidationError

from exporter.query.faults import COMPARED_FAULTS, listed, near_names, shown, worded


class StrictSchema(Schema):
    class Meta:
        unknown = RAISE

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.error_messages["type"] = "Give an object in braces"

    @classmethod
    @cache
    def made(cls) -> Self:
        """Give the one that all requests share: to make one takes longer than to read with it."""
        return cls()

    def read(self, raw: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Give the fields that could be read, and all faults in the API's form."""
        try:
            return self.load(raw), {}
        except ValidationError as exc:
            data = exc.valid_data if isinstance(exc.valid_data, dict) else {}
            return data, worded(exc.messages_dict)

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **_: Any) -> None:
        del many
        if not isinstance(error.messages, dict) or not isinstance(data, Mapping):
            return
        unknown = [key for key in error.messages if key not in self.fields and key in data]
        for place, key in enumerate(unknown):
            error.messages[key] = [self._unknown(str(key), compare=place < COMPARED_FAULTS)]

    def _unknown(self, key: str, *, compare: bool) -> str:
        near = near_names(key, list(self.fields)) if compare else []
        if near:
            return f"Unknown field {shown(key)}. Did you mean {shown(near[0])}?"
        return f"Unknown field {shown(key)}. There are: {listed(self.fields)}."
