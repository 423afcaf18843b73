"""The marshmallow schemas of requests: shapes only; services check names against what there is."""

from typing import Any

from marshmallow import RAISE, Schema, fields, validate

from exporter.configuration import INVALID_FORMAT
from exporter.model import JobStatus, TemplateType
from exporter.storage.jobs import ORDERINGS

FORMAT_NAMES = ("csv", "json", "parquet", "excel")
STATUSES = tuple(status.value for status in JobStatus)
TEMPLATE_TYPES = tuple(kind.value for kind in TemplateType)
MAX_PAGE_SIZE = 100
MAX_NAME = 150
Name = validate.Length(min=1, max=MAX_NAME, error=f"Must be 1 to {MAX_NAME} characters")


def one_of(what: str, words: tuple[str, ...]) -> validate.OneOf:
    return validate.OneOf(words, error=f"Invalid {what}. Must be one of: {', '.join(words)}")


class Strict(Schema):
    """Unknown fields are faults."""

    class Meta:
        unknown = RAISE

    error_messages = {"unknown": "Unknown field"}


class Text(fields.String):
    """A string; nothing else is turned into one."""

    default_error_messages = {
        "invalid": "Must be a string",
        "null": "Must not be null",
        "required": "Required",
    }


class Whole(fields.Integer):
    """A whole number, not true or false, not 1.5."""

    default_error_messages = {"invalid": "Must be a whole number"}

    def __init__(self, **settings: Any) -> None:
        super().__init__(strict=True, **settings)


def page_fields() -> dict[str, fields.Field[Any]]:
    size_error = f"Must be 1 to {MAX_PAGE_SIZE}"
    return {
        "page": fields.Integer(load_default=1, validate=validate.Range(min=1, error="Must be at least 1")),
        "page_size": fields.Integer(
            load_default=20, validate=validate.Range(min=1, max=MAX_PAGE_SIZE, error=size_error)
        ),
    }


class LoginSchema(Strict):
    username = Text(required=True)
    password = Text(required=True)


class TokenSchema(Strict):
    name = Text(required=True, validate=Name)
    expires_in_days = Whole(
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=1, max=36500, error="Must be 1 to 36500"),
    )


class DatasourceSchema(Strict):
    name = Text(required=True, validate=Name)
    url = Text(required=True, validate=validate.Length(min=1, error="Must not be empty"))
    table = Text(load_default=None, allow_none=True)
    query = Text(load_default=None, allow_none=True)
    date_column = Text(load_default=None, allow_none=True)
    is_shared = fields.Boolean(load_default=False, truthy={True}, falsy={False})


class DatasourceChangeSchema(DatasourceSchema):
    url = Text(load_default=None, validate=validate.Length(min=1, error="Must not be empty"))


class ColumnsQuerySchema(Strict):
    table = Text(load_default=None)


class ExportRequestSchema(Strict):
    """`filters` and `options` are opened further in, once a template has been laid under them."""

    datasource = Text()
    format = Text(validate=validate.OneOf(FORMAT_NAMES, error=INVALID_FORMAT))
    filters = fields.Dict(keys=fields.String(), error_messages={"invalid": "Must be an object"})
    options = fields.Dict(keys=fields.String(), error_messages={"invalid": "Must be an object"})
    template = Text(allow_none=True)
    name = Text(allow_none=True, validate=Name)


class JobListSchema(Schema.from_dict(page_fields())):  # type: ignore[misc]
    class Meta:
        unknown = RAISE

    error_messages = {"unknown": "Unknown parameter"}

    status = Text(load_default=None, validate=one_of("status", STATUSES))
    format = Text(load_default=None, validate=validate.OneOf(FORMAT_NAMES, error=INVALID_FORMAT))
    datasource = Text(load_default=None)
    search = Text(load_default=None)
    ordering = Text(
        load_default="-created_at",
        validate=one_of("ordering", tuple(sign + name for name in ORDERINGS for sign in ("", "-"))),
    )


class ConfigurationSchema(Strict):
    format = Text(required=True, validate=validate.OneOf(FORMAT_NAMES, error=INVALID_FORMAT))
    filters = fields.Dict(keys=fields.String(), error_messages={"invalid": "Must be an object"})
    options = fields.Dict(keys=fields.String(), error_messages={"invalid": "Must be an object"})


class TemplateSchema(Strict):
    name = Text(required=True, validate=Name)
    description = Text(load_default="")
    configuration = fields.Nested(ConfigurationSchema, required=True)
    template_type = Text(load_default=None, validate=one_of("template_type", TEMPLATE_TYPES))
    is_active = fields.Boolean(load_default=None, truthy={True}, falsy={False})


class TemplateListSchema(Schema.from_dict(page_fields())):  # type: ignore[misc]
    class Meta:
        unknown = RAISE

    error_messages = {"unknown": "Unknown parameter"}

    type = Text(load_default=None, validate=one_of("type", TEMPLATE_TYPES))
    format = Text(load_default=None, validate=validate.OneOf(FORMAT_NAMES, error=INVALID_FORMAT))
    search = Text(load_default=None)
