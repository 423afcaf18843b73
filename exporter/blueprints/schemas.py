"""The marshmallow schemas of requests: shapes only; services check names against what there is."""

from datetime import datetime
from typing import Any
from uuid import UUID

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from exporter.audit import MOMENT_RULE, moment
from exporter.configuration import INVALID_FORMAT
from exporter.formats import registry
from exporter.model import Action, JobStatus, TemplateType
from exporter.naming import MAX_NAME, NAME_RULE
from exporter.outbox import JOB_EVENTS, DeliveryStatus
from exporter.query.schema import FiltersSchema
from exporter.storage.jobs import ORDERINGS

FORMAT_NAMES = ("csv", "json", "parquet", "excel")
STATUSES = tuple(status.value for status in JobStatus)
ACTIONS = tuple(action.value for action in Action)
EVENTS = tuple(event.value for event in JOB_EVENTS)
TEMPLATE_TYPES = tuple(kind.value for kind in TemplateType)
MAX_PAGE = 10**12  # the rows before it are still a 64-bit number
MAX_PAGE_SIZE = 100
Name = validate.And(
    validate.Length(min=1, max=MAX_NAME, error=NAME_RULE), validate.Predicate("isprintable", error=NAME_RULE)
)


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
        "nul": "Must not hold the character NUL",
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **settings: Any) -> str:
        """Refuse NUL, which PostgreSQL takes in no text."""
        text = super()._deserialize(value, attr, data, **settings)
        if "\0" in text:
            raise self.make_error("nul")
        return text


class Whole(fields.Integer):
    """A whole number, not true or false, not 1.5."""

    default_error_messages = {"invalid": "Must be a whole number"}

    def __init__(self, **settings: Any) -> None:
        super().__init__(strict=True, **settings)


class Id(Text):
    """An id of ours, whatever the case of its letters."""

    default_error_messages = {"uuid": "Must be an id, such as 123e4567-e89b-12d3-a456-426614174000"}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **settings: Any) -> str:
        try:
            return str(UUID(super()._deserialize(value, attr, data, **settings)))
        except ValueError as exc:
            raise self.make_error("uuid") from exc


class Moment(Text):
    """One end of a span of time; the day of a `last` one is meant whole."""

    def __init__(self, *, last: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        self.last = last

    def _deserialize(self, value: Any, attr: str | None, data: Any, **settings: Any) -> datetime:  # type: ignore[override]
        try:
            return moment(super()._deserialize(value, attr, data, **settings), last=self.last)
        except ValueError as exc:
            raise ValidationError(MOMENT_RULE) from exc


class Opened(fields.Dict):
    """An object that a service reads by one of `schemas`, once a template has been laid under it."""

    default_error_messages = {"invalid": "Must be an object"}

    def __init__(self, *schemas: type[Schema], **settings: Any) -> None:
        super().__init__(keys=fields.String(), **settings)
        self.schemas = schemas


def filters_field() -> Opened:
    return Opened(FiltersSchema)


def options_field() -> Opened:
    says = "Those of the format; what is left out takes its default"
    return Opened(*(entry.options for entry in registry.FORMATS.values()), metadata={"description": says})


def page_fields() -> dict[str, fields.Field[Any]]:
    def up_to(most: int) -> validate.Range:
        return validate.Range(min=1, max=most, error=f"Must be 1 to {most}")

    return {
        "page": fields.Integer(load_default=1, validate=up_to(MAX_PAGE)),
        "page_size": fields.Integer(load_default=20, validate=up_to(MAX_PAGE_SIZE)),
    }


class LoginSchema(Strict):
    username = Text(required=True)
    password = Text(required=True)


class TokenRequestSchema(Strict):
    name = Text(required=True, validate=Name)
    expires_in_days = Whole(
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=1, max=36500, error="Must be 1 to 36500"),
    )


class DatasourceRequestSchema(Strict):
    name = Text(required=True, validate=Name)
    url = Text(required=True, validate=validate.Length(min=1, error="Must not be empty"))
    table = Text(load_default=None, allow_none=True)
    query = Text(load_default=None, allow_none=True)
    date_column = Text(load_default=None, allow_none=True)
    is_shared = fields.Boolean(load_default=False, truthy={True}, falsy={False})
    snapshot_copy = fields.Boolean(
        load_default=False,
        truthy={True},
        falsy={False},
        metadata={"description": "Exports read a copy of a SQLite file that would keep its writers waiting"},
    )


class DatasourceChangeSchema(DatasourceRequestSchema):
    url = Text(load_default=None, validate=validate.Length(min=1, error="Must not be empty"))


class ColumnsQuerySchema(Strict):
    error_messages = {"unknown": "Unknown parameter"}

    table = Text(load_default=None, metadata={"description": "A table or view"})


class ExportRequestSchema(Strict):
    """With `template`, its configuration is the base, the request's own keys win, and `format` may be left out."""

    datasource = Text(
        required=True,
        error_messages={"required": "Required: the id of a datasource"},
        metadata={"description": "Its id"},
    )
    format = Text(validate=validate.OneOf(FORMAT_NAMES, error=INVALID_FORMAT))
    filters = filters_field()
    options = options_field()
    template = Text(allow_none=True, metadata={"description": "Its id"})
    name = Text(allow_none=True, validate=Name)


class JobListSchema(Schema.from_dict(page_fields())):  # type: ignore[misc]
    class Meta:
        unknown = RAISE

    error_messages = {"unknown": "Unknown parameter"}

    status = Text(load_default=None, validate=one_of("status", STATUSES))
    format = Text(load_default=None, validate=validate.OneOf(FORMAT_NAMES, error=INVALID_FORMAT))
    datasource = Id(load_default=None, metadata={"description": "Its id"})
    search = Text(
        load_default=None,
        metadata={"description": "In the datasource's name, the error message and the job's name"},
    )
    ordering = Text(
        load_default="-created_at",
        validate=one_of("ordering", tuple(sign + name for name in ORDERINGS for sign in ("", "-"))),
    )


class ScheduledExportSchema(ExportRequestSchema):
    """A request for an export."""

    class Meta:
        exclude = ("name",)


class ScheduleRequestSchema(Strict):
    name = Text(required=True, validate=Name)
    cron = Text(required=True, metadata={"description": "minute hour day month weekday, as in 0 6 * * 1-5"})
    timezone = Text(load_default="UTC", metadata={"description": "As in Europe/Berlin"})
    catch_up = fields.Boolean(
        load_default=False,
        truthy={True},
        falsy={False},
        metadata={"description": "After a downtime, make once what was missed"},
    )
    is_active = fields.Boolean(load_default=True, truthy={True}, falsy={False})
    export = fields.Nested(ScheduledExportSchema, required=True)


class ScheduleChangeSchema(ScheduleRequestSchema):
    """Only the fields that are given change."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(partial=("name", "cron", "export"), **settings)


class WebhookRequestSchema(Strict):
    name = Text(required=True, validate=Name)
    url = Text(required=True, metadata={"description": "With https, to a public host"})
    events = fields.List(Text(validate=one_of("event", EVENTS)), load_default=lambda: list(EVENTS[:2]))
    schedule = Id(load_default=None, allow_none=True, metadata={"description": "Only jobs of this schedule"})
    template = Id(load_default=None, allow_none=True, metadata={"description": "Only jobs of this template"})
    datasource = Id(
        load_default=None, allow_none=True, metadata={"description": "Only jobs of this datasource"}
    )
    is_active = fields.Boolean(load_default=True, truthy={True}, falsy={False})


class WebhookChangeSchema(WebhookRequestSchema):
    """Only the fields that are given change."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(partial=("name", "url"), **settings)


class PageSchema(Schema.from_dict(page_fields())):  # type: ignore[misc]
    class Meta:
        unknown = RAISE

    error_messages = {"unknown": "Unknown parameter"}


class DeliveryListSchema(PageSchema):
    status = Text(
        load_default=None, validate=one_of("status", tuple(status.value for status in DeliveryStatus))
    )


class ConfigurationSchema(Strict):
    format = Text(required=True, validate=validate.OneOf(FORMAT_NAMES, error=INVALID_FORMAT))
    filters = filters_field()
    options = options_field()


class TemplateRequestSchema(Strict):
    name = Text(required=True, validate=Name)
    description = Text(load_default="")
    configuration = fields.Nested(ConfigurationSchema, required=True)
    template_type = Text(load_default=None, validate=one_of("template_type", TEMPLATE_TYPES))
    is_active = fields.Boolean(load_default=None, truthy={True}, falsy={False})


class TemplateChangeSchema(TemplateRequestSchema):
    """Only the fields that are given change."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(partial=("name", "description", "configuration"), **settings)


class TemplateListSchema(Schema.from_dict(page_fields())):  # type: ignore[misc]
    class Meta:
        unknown = RAISE

    error_messages = {"unknown": "Unknown parameter"}

    type = Text(load_default=None, validate=one_of("type", TEMPLATE_TYPES))
    format = Text(load_default=None, validate=validate.OneOf(FORMAT_NAMES, error=INVALID_FORMAT))
    search = Text(load_default=None, metadata={"description": "In name and description"})


class AuditListSchema(Schema.from_dict(page_fields())):  # type: ignore[misc]
    class Meta:
        unknown = RAISE

    error_messages = {"unknown": "Unknown parameter"}

    user = Text(load_default=None, metadata={"description": "Who did it: a username"})
    action = Text(load_default=None, validate=one_of("action", ACTIONS))
    since = Moment(load_default=None, metadata={"description": "From this day or moment on"})
    until = Moment(
        last=True,
        load_default=None,
        metadata={"description": "To the end of this day, or before this moment"},
    )
