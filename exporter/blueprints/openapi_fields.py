"""From our own marshmallow fields to JSON Schema, where apispec cannot know what they take."""

from typing import Any, cast

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import fields

from exporter.blueprints.envelope import FaultTree
from exporter.blueprints.schemas import Id, Opened
from exporter.formats.options import DELIMITERS, Delimiter
from exporter.query.fields import MAX_ITEMS, Items, Name, Names
from exporter.query.where import MAX_CONDITIONS, Conditions, ConditionSchema


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _any_of(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


# What our fields take beyond their marshmallow kind; the first that fits is the one.
FACTS: tuple[tuple[type, dict[str, Any]], ...] = (
    (Conditions, {"items": _ref("Where"), "maxItems": MAX_CONDITIONS}),
    (Names, {"minItems": 1, "maxItems": MAX_ITEMS}),
    (Items, {"maxItems": MAX_ITEMS}),
    (Id, {"format": "uuid"}),
    (Name, {"pattern": r"\S"}),
    (Delimiter, {"enum": [*sorted(DELIMITERS), "tab"]}),
    (FaultTree, _ref("Faults")),
)


class Converter(OpenAPIConverter):
    def field2property(self, field: fields.Field[Any]) -> dict[str, Any]:
        told = dict(super().field2property(field))
        if "example" in told:
            told["examples"] = [told.pop("example")]
        if isinstance(field, Opened):
            return self._opened(field)
        if field.allow_none and "oneOf" in told:
            told["oneOf"] = [*told["oneOf"], {"type": "null"}]
        return {**told, **next((facts for kind, facts in FACTS if isinstance(field, kind)), {})}

    def schema2jsonschema(self, schema: Any) -> dict[str, Any]:
        """Add the class's own docstring, which says what the fields cannot."""
        told = dict(super().schema2jsonschema(schema))  # type: ignore[no-untyped-call]
        kind = schema if isinstance(schema, type) else type(schema)
        says = kind.__dict__.get("__doc__")
        for name in getattr(schema, "partial", None) or ():  # left out means left as it is
            told["properties"][name].pop("default", None)
        return {"description": " ".join(says.split()), **told} if says else told

    def _opened(self, field: Opened) -> dict[str, Any]:
        inner = [self.resolve_nested_schema(schema) for schema in field.schemas]  # type: ignore[no-untyped-call]
        says = field.metadata.get("description")
        return {**({"description": says} if says else {}), **_any_of(inner)}


class Plugin(MarshmallowPlugin):
    Converter = Converter


def prepare(spec: APISpec, plugin: MarshmallowPlugin) -> None:
    """Add what no single marshmallow schema spells: parameters are never null, and some shapes hold themselves."""
    converter = cast("OpenAPIConverter", plugin.converter)
    converter.add_parameter_attribute_function(_never_null)
    _add_recursive(spec, converter)


def _never_null(_self: OpenAPIConverter, _field: fields.Field[Any], *, ret: dict[str, Any]) -> dict[str, Any]:
    """Take null out of a parameter: in a field it stands for one that is left out."""
    schema = {key: value for key, value in ret["schema"].items() if key != "default" or value is not None}
    if isinstance(schema.get("type"), list):
        (schema["type"],) = (kind for kind in schema["type"] if kind != "null")
    if "enum" in schema:
        schema["enum"] = [each for each in schema["enum"] if each is not None]
    return {"schema": schema}


def _add_recursive(spec: APISpec, converter: OpenAPIConverter) -> None:
    group = {"type": "array", "items": _ref("Where"), "minItems": 1}
    for word, says in (("any", "At least one of these holds"), ("all", "All of these hold")):
        told = {
            "type": "object",
            "description": says,
            "properties": {word: group},
            "required": [word],
            "additionalProperties": False,
        }
        spec.components.schema(f"{word.title()}Group", told)
    condition = converter.resolve_nested_schema(ConditionSchema)  # type: ignore[no-untyped-call]
    inner = [condition, _ref("AnyGroup"), _ref("AllGroup")]
    spec.components.schema(
        "Where", {"description": "A condition or a group; groups nest to depth 5", **_any_of(inner)}
    )
    tree = {"type": "object", "additionalProperties": _ref("Faults")}
    spec.components.schema(
        "Faults", {"description": FaultTree.__doc__, **_any_of([{"type": "string"}, tree])}
    )
