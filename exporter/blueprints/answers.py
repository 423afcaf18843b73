"""The shapes of answers, for the API's description; the tests hold every answer against them.

A client must expect further fields: they may be added without notice, none is renamed or dropped.
"""

from marshmallow import fields, validate

from exporter.blueprints.envelope import Answer, Pagination, always, many, maybe, word
from exporter.blueprints.schemas import ACTIONS as ACTIONS_NOTED
from exporter.blueprints.schemas import FORMAT_NAMES, STATUSES, TEMPLATE_TYPES, ConfigurationSchema, Opened
from exporter.formats import registry
from exporter.jobs.documents import ACTIONS
from exporter.model import AuditOutcome, Phase, Role, RunOutcome
from exporter.query.schema import FiltersSchema

OUTCOMES = ("completed", "failed", "cancelled", "worker_lost", "released")


class Nothing(Answer):
    """An empty object."""


class Named(Answer):
    """What is pointed at; `id` is null once it was deleted."""

    id = maybe(fields.UUID)
    name = always(fields.String)


class Person(Answer):
    id = always(fields.UUID)
    username = always(fields.String)


class Me(Answer):
    """The signed-in user."""

    id = always(fields.UUID)
    username = always(fields.String)
    role = always(word(*Role))


class Token(Answer):
    id = always(fields.UUID)
    name = always(fields.String)
    created_at = always(fields.DateTime)
    expires_at = maybe(fields.DateTime)
    last_used_at = maybe(fields.DateTime)


class NewToken(Token):
    token = always(fields.String, says="The secret. It is shown here and nowhere else")


class Tokens(Answer):
    tokens = many(Token)


class Datasource(Answer):
    """A registered database. Its URL is never shown."""

    id = always(fields.UUID)
    name = always(fields.String)
    kind = always(word("sqlite", "postgresql"))
    table = maybe(fields.String, says="The one table or view that is exported")
    date_column = maybe(fields.String)
    is_shared = always(fields.Boolean)
    snapshot_copy = always(fields.Boolean)
    created_at = always(fields.DateTime)
    query = fields.String(allow_none=True, metadata={"description": "The saved SELECT; admins only"})
    warnings = fields.List(fields.String(), metadata={"description": "Admins only"})


class Datasources(Answer):
    datasources = many(Datasource)


class Connection(Answer):
    """What a connection test saw."""

    server_version = always(fields.String)
    milliseconds = always(fields.Float)
    warnings = fields.List(fields.String(), metadata={"description": "Admins only"})


class Table(Answer):
    name = always(fields.String)
    schema = maybe(fields.String)
    kind = always(word("table", "view"))
    estimated_rows = maybe(fields.Integer)


class Tables(Answer):
    tables = many(Table)


class Column(Answer):
    name = always(fields.String)
    database_type = always(fields.String)
    nullable = always(fields.Boolean)
    exported_type = always(fields.String)


class Columns(Answer):
    columns = many(Column)


class PreviewColumn(Answer):
    name = always(fields.String)
    type = always(fields.String, says="The type in the database")
    exported_type = always(fields.String)


class ColumnProfile(Answer):
    """A column in the first rows; `min` and `max` where all values are numbers, or all are texts."""

    name = always(fields.String)
    nulls = always(fields.Integer)
    distinct = always(fields.Integer)
    min = maybe(fields.Raw)
    max = maybe(fields.Raw)


class Preview(Answer):
    """The first rows, with values as a JSON export spells them."""

    columns = many(PreviewColumn)
    rows = always(fields.List, fields.List(fields.Raw(allow_none=True)))
    rows_total = maybe(fields.Integer)
    rows_total_kind = maybe(word("exact", "estimate"))
    sql = always(fields.String)
    profile = many(ColumnProfile)


class Estimate(Answer):
    """What an export will probably be."""

    rows = maybe(fields.Integer)
    rows_kind = maybe(word("exact", "estimate"))
    bytes = maybe(fields.Integer)
    seconds = maybe(fields.Float)


class Checksum(Answer):
    algorithm = always(word("sha256"))
    value = always(fields.String)


class JobWarning(Answer):
    """A counted fact about values or rows that the reader of the file should know."""

    code = always(fields.String)
    count = maybe(
        fields.Integer, says="Values, characters or sheets; null where nobody counted, as of rows cut"
    )
    message = always(fields.String)


class Job(Answer):
    """An export job. What is not known yet is null."""

    id = always(fields.UUID)
    name = maybe(fields.String)
    owner = always(fields.Nested, Person)
    status = always(word(*STATUSES))
    phase = always(word(*Phase))
    format = always(word(*FORMAT_NAMES))
    progress = always(
        fields.Integer,
        validate=validate.Range(0, 100),
        says="Never falls within an attempt; 100 only when completed",
    )
    rows_total = maybe(fields.Integer)
    rows_total_kind = maybe(word("exact", "estimate"))
    row_count = maybe(fields.Integer, says="So far, then final")
    rows_per_second = maybe(fields.Integer)
    eta_seconds = maybe(fields.Integer)
    queue_position = maybe(fields.Integer)
    file_size = maybe(fields.Integer)
    file_name = maybe(fields.String)
    checksum = maybe(fields.Nested, Checksum)
    warnings = many(JobWarning)
    error_code = maybe(fields.String)
    error_message = maybe(fields.String, says="What went wrong and what to do")
    attempt = always(fields.Integer)
    allowed_actions = always(
        fields.List, fields.String(validate=validate.OneOf(sorted(set().union(*ACTIONS.values()))))
    )
    datasource = always(fields.Nested, Named)
    template = maybe(fields.Nested, Named)
    filters = always(Opened, FiltersSchema)
    options = always(
        Opened, *(entry.options for entry in registry.FORMATS.values()), says="Complete, those of its format"
    )
    created_at = always(fields.DateTime)
    started_at = maybe(fields.DateTime)
    completed_at = maybe(fields.DateTime)
    stopped_at = maybe(fields.DateTime, says="When the worker had let go of the database")
    expires_at = maybe(fields.DateTime)
    download_url = maybe(fields.String, says="An absolute path")


class Attempt(Answer):
    """One run of a job; `outcome` is null while it runs."""

    number = always(fields.Integer)
    started_at = always(fields.DateTime)
    ended_at = maybe(fields.DateTime)
    outcome = maybe(word(*OUTCOMES))
    error_code = maybe(fields.String)
    error_message = maybe(fields.String)
    row_count = maybe(fields.Integer)


class JobDetail(Job):
    attempts = many(Attempt)


class Jobs(Answer):
    export_jobs = many(Job)
    pagination = always(fields.Nested, Pagination)


class LimitApplied(Answer):
    limit = always(fields.Integer)
    source = always(word("request", "setting"))


class Snapshot(Answer):
    kind = always(word("one transaction"))
    time = always(fields.DateTime)
    id = maybe(fields.String, says="PostgreSQL's; null on SQLite")
    copied = always(fields.Boolean)


class ReceiptColumn(Answer):
    name = always(fields.String)
    database_type = always(fields.String)
    exported_type = always(fields.String)
    nulls = always(fields.Integer)


class Receipt(Answer):
    """The proof that comes with every file: what was asked, read and written."""

    job_id = always(fields.UUID)
    attempt = always(fields.Integer)
    datasource = always(fields.Nested, Named)
    format = always(word(*FORMAT_NAMES))
    options = always(Opened, *(entry.options for entry in registry.FORMATS.values()))
    include_headers = always(fields.Boolean)
    sql = always(fields.String, says="As it was run")
    sql_parameters = always(fields.Dict)
    row_count = always(fields.Integer, says="Rows read")
    rows_in_file = always(fields.Integer, says="Counted again from what was written")
    limit_applied = maybe(fields.Nested, LimitApplied)
    columns = many(ReceiptColumn)
    file_size = always(fields.Integer)
    checksum = always(fields.Nested, Checksum)
    snapshot = always(fields.Nested, Snapshot)
    started_at = always(fields.DateTime)
    completed_at = always(fields.DateTime)
    server_version = always(fields.String)


class Template(Answer):
    id = always(fields.UUID)
    name = always(fields.String)
    description = always(fields.String)
    template_type = always(word(*TEMPLATE_TYPES))
    format = always(word(*FORMAT_NAMES))
    usage_count = always(fields.Integer)
    has_filters = always(fields.Boolean)
    is_active = always(fields.Boolean)
    owner = maybe(fields.String)
    created_at = always(fields.DateTime)
    updated_at = always(fields.DateTime)


class TemplateDetail(Template):
    configuration = always(fields.Nested, ConfigurationSchema)


class Templates(Answer):
    templates = many(Template)
    total_count = always(fields.Integer)
    pagination = always(fields.Nested, Pagination)


class AuditObject(Answer):
    """What it was done to; null where it is not known, or was never made."""

    kind = always(fields.String)
    id = maybe(fields.UUID)
    name = maybe(fields.String)


class AuditEntry(Answer):
    """One deed. `user` is null where nobody known did it, and on the machine's own command line."""

    id = always(fields.Integer)
    time = always(fields.DateTime)
    user = maybe(fields.Nested, Person)
    address = always(fields.String, says="A network address, or `cli:` and an account of the machine")
    action = always(word(*ACTIONS_NOTED))
    outcome = always(word(*AuditOutcome))
    reason = maybe(fields.String, says="The code of the error that refused it")
    object = always(fields.Nested, AuditObject)
    request_id = maybe(fields.String)


class AuditLog(Answer):
    entries = many(AuditEntry)
    pagination = always(fields.Nested, Pagination)


class Schedule(Answer):
    id = always(fields.UUID)
    name = always(fields.String)
    cron = always(fields.String)
    timezone = always(fields.String)
    catch_up = always(fields.Boolean)
    is_active = always(fields.Boolean)
    export = always(fields.Dict, says="The request for an export")
    owner = always(fields.String)
    next_run_at = maybe(fields.DateTime)
    created_at = always(fields.DateTime)
    updated_at = always(fields.DateTime)


class Schedules(Answer):
    schedules = many(Schedule)
    pagination = always(fields.Nested, Pagination)


class ScheduledJob(Answer):
    id = always(fields.UUID)
    status = maybe(word(*STATUSES))


class ScheduleRun(Answer):
    due_at = always(fields.DateTime)
    started_at = always(fields.DateTime)
    outcome = always(word(*RunOutcome))
    job = maybe(fields.Nested, ScheduledJob)
    error = maybe(fields.String)


class ScheduleRuns(Answer):
    runs = many(ScheduleRun)
