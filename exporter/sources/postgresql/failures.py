"""What PostgreSQL and libpq say, in our own words. No text made here holds a password."""

import psycopg

from exporter.failures import (
    ExportFailed,
    QueryFailed,
    SourceBusy,
    SourceCorrupt,
    SourceRefused,
    SourceUnavailable,
)
from exporter.sources.watch import Watch

QUERY_CANCELED = "57014"
LOCK_NOT_AVAILABLE = "55P03"
CORRUPT = frozenset({"XX001", "XX002"})
AWAY = frozenset(
    {
        "08000",
        "08003",
        "08006",
        "25P03",
        "25P04",
        "40001",
        "40P01",
        "53300",
        "57P01",
        "57P02",
        "57P03",
        "57P05",
    }
)
REFUSALS = (
    ("certificate", "its certificate is not accepted"),
    ("authentication failed", "the user name or the password is wrong"),
    ("no password supplied", "it asks for a password and the URL has none"),
    ("no pg_hba.conf entry", "it does not let this user connect from here"),
    ("does not exist", "there is no such user or database"),
    ("permission denied for database", "this user may not connect to this database"),
    ("is not permitted to log in", "this user may not log in"),
    ("does not accept connections", "the database does not accept connections"),
    ("does not support SSL", "it does not speak TLS, which sslmode asks for"),
    ("sslmode", "the sslmode of the URL is not valid"),
)
ABSENCES = (
    ("timeout expired", "it did not answer in time"),
    ("timed out", "it did not answer in time"),
    ("refused", "nothing answers on that host and port"),
    ("resolve", "its host name is not known"),
    ("translate host", "its host name is not known"),
    ("too many", "it has too many connections already"),
    ("starting up", "it is starting up"),
    ("shutting down", "it is shutting down"),
    ("recovery", "it is in recovery"),
)


def connecting(exc: psycopg.Error) -> ExportFailed:
    """Translate a failed connection; libpq tells such failures by their sentence only."""
    text = str(exc)
    for words, reason in REFUSALS:
        if words in text:
            return SourceRefused(reason=reason)
    reason = next((reason for words, reason in ABSENCES if words in text), "nothing answers there")
    return SourceUnavailable(reason=reason)


def running(exc: psycopg.Error, watch: Watch) -> ExportFailed:
    """Translate a failed statement. 57014 is ours only if the watch says so."""
    state = exc.sqlstate or ""
    reason = exc.diag.message_primary or str(exc).strip().splitlines()[0]
    if watch.over and (state in {"", QUERY_CANCELED}):
        return watch.failure()
    if state == LOCK_NOT_AVAILABLE:
        return SourceBusy(reason=reason)
    if state in AWAY or (not state and isinstance(exc, psycopg.OperationalError)):
        return SourceUnavailable(reason=reason)
    return SourceCorrupt(reason=reason) if state in CORRUPT else QueryFailed(reason=reason)
