"""Every error that a caller can meet, one class per case; `exporter.failures` has those that end an export.

A class's docstring is its message, `code` is its stable name and the keyword arguments are its facts. An error
knows no HTTP status: `exporter.blueprints.errors` maps classes to statuses.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class ExporterError(Exception):
    """Something went wrong"""

    code: ClassVar[str] = "error"

    def __init__(self, message: str | None = None, **facts: object) -> None:
        template = message or (type(self).__doc__ or "").strip()
        super().__init__(template.format_map(facts) if facts and message is None else template)
        self.facts = facts

    @property
    def message(self) -> str:
        return str(self.args[0])

    @property
    def line(self) -> str:
        """What is said of it where there is one line: the message, or each fault of a request after its path."""
        return self.message


class SettingInvalid(ExporterError):
    """{name}={value!r} is not valid: {expected}"""

    code = "setting_invalid"


class Invalid(ExporterError):
    """The request is not valid"""

    code = "invalid"

    def __init__(self, errors: Mapping[str, Any]) -> None:
        """Take `errors` nested like the request: {field: sentence | {field or index: ...}}."""
        super().__init__()
        self.errors = dict(errors)

    @property
    def line(self) -> str:
        """Spell a path as `filters.columns: …`."""
        return "; ".join(_sentences(self.errors))


def _sentences(errors: Mapping[str, Any], path: str = "") -> list[str]:
    found: list[str] = []
    for name, fault in errors.items():
        place = f"{path}.{name}" if path else str(name)
        found += _sentences(fault, place) if isinstance(fault, Mapping) else [f"{place}: {fault}"]
    return found


class BadRequest(ExporterError):
    """The request is not valid"""

    code = "bad_request"


class BodyTooLarge(ExporterError):
    """The request body is larger than the {limit} bytes allowed"""

    code = "body_too_large"


class WrongMediaType(ExporterError):
    """The request body must be JSON: send Content-Type: application/json"""

    code = "wrong_media_type"


class RangeUnsatisfiable(ExporterError):
    """The file has {size} bytes; the requested range lies outside of it"""

    code = "range_unsatisfiable"


class NotSignedIn(ExporterError):
    """You are not signed in"""

    code = "not_signed_in"


class BadToken(NotSignedIn):
    """This token is unknown, expired or revoked"""

    code = "bad_token"


class WrongCredentials(NotSignedIn):
    """The username or the password is wrong"""

    code = "wrong_credentials"


class Forbidden(ExporterError):
    """You do not have permission to do this"""

    code = "forbidden"


class TemplateForbidden(Forbidden):
    """You do not have permission to modify this template"""

    code = "template_forbidden"


class CrossSite(Forbidden):
    """This request came from another site and was refused"""

    code = "cross_site"


class NotFound(ExporterError):
    """Not found"""

    code = "not_found"


class JobNotFound(NotFound):
    """Export job not found"""

    code = "job_not_found"


class TemplateNotFound(NotFound):
    """Export template not found"""

    code = "template_not_found"


class DatasourceNotFound(NotFound):
    """Datasource not found"""

    code = "datasource_not_found"


class TokenNotFound(NotFound):
    """Token not found"""

    code = "token_not_found"


class ScheduleNotFound(NotFound):
    """Schedule not found"""

    code = "schedule_not_found"


class WebhookNotFound(NotFound):
    """Webhook not found"""

    code = "webhook_not_found"


class DeliveryNotFound(NotFound):
    """Delivery not found"""

    code = "delivery_not_found"


class UserNotFound(NotFound):
    """User not found"""

    code = "user_not_found"


class Conflict(ExporterError):
    """The present state forbids this"""

    code = "conflict"


class JobProcessing(Conflict):
    """Cannot delete job that is currently processing. Cancel it first."""

    code = "job_processing"


class TransitionRefused(Conflict):
    """Cannot {action} a job that is {status}"""

    code = "transition_refused"


class JobNotCompleted(Conflict):
    """This job is {status}; only a completed job has a file"""

    code = "job_not_completed"


class NameTaken(Conflict):
    """There is already a {what} named {name!r}"""

    code = "name_taken"


class LastAdmin(Conflict):
    """This is the only admin who can sign in. Create another one first."""

    code = "last_admin"


class DatasourceInUse(Conflict):
    """Cannot delete a datasource whose jobs are pending or processing. Cancel them first."""

    code = "datasource_in_use"


class DeliveryUnderway(Conflict):
    """This delivery is being sent at this moment. Look at it again in a few seconds."""

    code = "delivery_underway"


class WebhooksFull(Conflict):
    """You have {limit} webhooks already. Delete one that you no longer need."""

    code = "webhooks_full"


class TemplateInactive(Conflict):
    """This template is inactive and cannot be used for a new job"""

    code = "template_inactive"


class ArtifactGone(ExporterError):
    """The file of this export was removed or altered outside of Exporter. Create the export again."""

    code = "artifact_gone"


class ArtifactExpired(ArtifactGone):
    """The file of this export expired and was removed. Create the export again."""

    code = "artifact_expired"


class KeyReused(ExporterError):
    """This Idempotency-Key was used with another request"""

    code = "key_reused"


class Later(ExporterError):
    """Try again later"""

    def __init__(self, message: str | None = None, *, retry_after: int, **facts: object) -> None:
        """Take `retry_after` in whole seconds."""
        super().__init__(message, **facts)
        self.retry_after = retry_after


class TooMany(Later):
    """Too many requests"""

    code = "too_many"


class UserQueueFull(TooMany):
    """You have {limit} exports waiting already. Wait for one to start, or cancel one."""

    code = "user_queue_full"


class TooManyLogins(TooMany):
    """Too many failed log-ins. Wait a moment and try again."""

    code = "too_many_logins"


class Unavailable(Later):
    """The server is not available at the moment"""

    code = "unavailable"


class QueueFull(Unavailable):
    """The server's queue is full. Try again in a moment."""

    code = "queue_full"


class Stopping(Unavailable):
    """The server is stopping. Try again in a moment."""

    code = "stopping"


class DatabaseAway(Unavailable):
    """The server's own database does not answer. Try again in a moment."""

    code = "database_away"


class DatabaseUnreachable(ExporterError):
    """DATABASE_URL: the app database cannot be used: {reason}"""

    code = "database_unreachable"


class StoreAway(Unavailable):
    """The server's store of files does not answer: {reason}. Try again in a moment."""

    code = "store_away"


class StoreRefused(StoreAway):
    """STORAGE_URL: the store of files cannot be used: {reason}"""

    code = "store_refused"


class AddressRefused(ExporterError):
    """The address is refused: {reason}"""

    code = "address_refused"


class StoreNotShared(Unavailable):
    """Worker {worker}: {reason}. Set STORAGE_URL, here and there, to what all machines see."""

    code = "store_not_shared"


class WorkerLeaving(ExporterError):
    """The worker ends and takes no more jobs"""

    code = "worker_leaving"


class OwnerDisabled(ExporterError):
    """The schedule's owner may no longer sign in"""

    code = "owner_disabled"


class DiskLow(ExporterError):
    """The server has too little free disk space for a new export. Delete old exports or ask an admin."""

    code = "disk_low"


class PreviewTooSlow(ExporterError):
    """The first rows took longer than {seconds} s. Narrow the filters, or create the export: it may take longer."""

    code = "preview_too_slow"


class FileDamaged(ExporterError):
    """The file is not whole: {reason}"""

    code = "file_damaged"
