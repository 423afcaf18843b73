"""Logging to standard error: one line per event, as text or as JSON, and the request in which it happened."""

import json
import logging
import threading
from contextvars import ContextVar
from datetime import UTC, datetime

FACTS = ("request", "job", "attempt", "datasource", "worker")

_request: ContextVar[str | None] = ContextVar("request", default=None)
log = logging.getLogger(__name__)


def in_request(request_id: str | None) -> None:
    """Name the request that this thread answers from now on; None when it is answered."""
    _request.set(request_id)


class _OfRequest(logging.Filter):
    """Adds the request's id to what is logged while it is answered."""

    def filter(self, record: logging.LogRecord) -> bool:
        if (request_id := _request.get()) is not None and not hasattr(record, "request"):
            record.request = request_id
        return True


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        event |= {name: value for name in FACTS if (value := getattr(record, name, None)) is not None}
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(event, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """Keeps a message on its line, whatever a database put into it; a traceback follows on lines of its own."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        lines = super().formatMessage(record).strip().splitlines()
        request_id = getattr(record, "request", None)
        return " ".join([*lines, *([f"request={request_id}"] if request_id is not None else [])])


def configure(log_format: str) -> None:
    """Send everything from INFO up to standard error: also warnings, and faults that end a thread."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    handler.addFilter(_OfRequest())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    threading.excepthook = _thread_ended


def _thread_ended(told: threading.ExceptHookArgs) -> None:
    if told.exc_type is SystemExit or told.exc_value is None:
        return
    name = told.thread.name if told.thread is not None else "a thread"
    log.critical("%s ended by an unexpected fault", name, exc_info=told.exc_value)
