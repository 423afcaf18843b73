"""An app database as an older version left it: its tables made by the migrations of then, a few rows in each."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from alembic.script import ScriptDirectory
from flask_migrate import upgrade
from sqlalchemy import JSON, DateTime, MetaData, Table, insert, select

import exporter
from exporter.storage.secrets import Vault, hash_password, token_digest

MIGRATIONS = Path(exporter.__file__).parent / "migrations"
PASSWORD = "ada's password"
TOKEN = "exp_an-old-token"
KEY = "the key of then"
FILE = b"id\n1\n"
LONG_AGO = datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=UTC)

# As the first version kept them, complete.
OPTIONS = {
    "file_name": "{datasource}-{date}", "compression": "none", "delimiter": ",", "quoting": "text", "encoding": "utf-8",
    "line_terminator": "\n", "null_value": "", "encoding_errors": "strict", "escape_formulas": False,
}  # fmt: skip

USER, MEMBER, SOURCE, TEMPLATE, SCHEDULE, HOOK, DELIVERY = (
    f"00000000-0000-4000-8000-00000000000{n}" for n in range(7)
)
DONE, FAILED, WAITING = (f"00000000-0000-4000-9000-00000000000{n}" for n in range(3))


def versions():
    """Give every version of the schema so far, oldest first."""
    script = ScriptDirectory(str(MIGRATIONS))
    return [each.revision for each in reversed(list(script.walk_revisions()))]


def user(identity, name, role):
    return {
        "id": identity, "username": name, "role": role, "password_hash": hash_password(PASSWORD), "is_active": True,
        "session_key": "s", "created_at": LONG_AGO,
    }  # fmt: skip


def job(identity, status, **more):
    ended = status != "pending"
    blank = {
        "name": None, "progress": 0, "template_id": None, "template_name": None, "rows_total": None,
        "rows_total_kind": None, "row_count": None, "file_size": None, "file_name": None, "checksum": None,
        "artifact": None, "receipt": None, "error_code": None, "error_message": None, "worker": None,
        "started_at": LONG_AGO if ended else None, "completed_at": LONG_AGO if ended else None,
        "stopped_at": LONG_AGO if ended else None, "expires_at": None,
    }  # fmt: skip
    return {
        **blank, "id": identity, "owner_id": USER, "status": status, "phase": "done" if ended else "queued", "format": "csv",
        "datasource_id": SOURCE, "datasource_name": "shop", "filters": {"table": "orders"}, "options": OPTIONS, "warnings": [],
        "attempt": int(ended), "crashes": 0, "beat": 0, "created_at": LONG_AGO, "queued_at": LONG_AGO, **more,
    }  # fmt: skip


def rows(shop, sha256):
    """Give rows for each table that any version had, in the order in which they may go in."""
    configuration = {"format": "csv", "filters": {"columns": ["id"]}, "options": {"delimiter": ";"}}
    return {
        "users": [user(USER, "ada", "admin"), user(MEMBER, "Zoë 🙂", "member")],
        "datasources": [{
            "id": SOURCE, "name": "shop", "kind": "sqlite", "url_encrypted": Vault(KEY).encrypt(f"sqlite:///{shop}"),
            "table_name": None, "query": None, "date_column": None, "is_shared": True, "warnings": ["a warning"],
            "created_at": LONG_AGO,
        }],
        "templates": [{
            "id": TEMPLATE, "owner_id": USER, "name": "mine", "description": "", "template_type": "user",
            "format": "csv", "configuration": configuration, "is_active": False, "usage_count": 7,
            "created_at": LONG_AGO, "updated_at": LONG_AGO + timedelta(days=1),
        }],
        "tokens": [{
            "id": TEMPLATE, "user_id": USER, "name": "script", "digest": token_digest(TOKEN), "created_at": LONG_AGO,
            "expires_at": None, "last_used_at": None,
        }],
        "jobs": [
            job(
                DONE, "completed", name="the old one", progress=100, row_count=1, rows_total=1, rows_total_kind="exact",
                file_size=len(FILE), file_name="orders.csv", checksum=sha256, artifact=f"{DONE}-1",
                receipt={"rows_in_file": 1, "sql": 'SELECT "id"'}, warnings=[{"code": "x", "count": 1, "message": "m"}],
            ),
            job(FAILED, "failed", error_code="disk_full", error_message="The disk is full", row_count=2**40),
            job(WAITING, "pending"),
        ],
        "attempts": [{
            "job_id": FAILED, "number": 1, "started_at": LONG_AGO, "ended_at": LONG_AGO, "outcome": "failed",
            "error_code": "disk_full", "error_message": "The disk is full", "row_count": 2**40,
        }],
        "idempotency_keys": [
            {"user_id": USER, "key": "k", "digest": "d", "job_id": DONE, "created_at": LONG_AGO},
        ],
        "audit_log": [{
            "at": LONG_AGO, "user_id": USER, "username": "ada", "address": "127.0.0.1", "action": "export.create",
            "outcome": "done", "reason": None, "object_kind": "export", "object_id": DONE, "object_name": "the old one",
            "request_id": "r",
        }],
        "login_failures": [{"digest": "d", "failures": 3, "last_at": LONG_AGO, "told": True}],
        "schedules": [{
            "id": SCHEDULE, "owner_id": USER, "name": "nightly", "cron": "0 3 * * *", "timezone": "Europe/Zurich",
            "catch_up": True, "export": {"datasource": SOURCE, "format": "csv", "filters": {"table": "orders"}},
            "is_active": False, "next_run_at": None, "created_at": LONG_AGO, "updated_at": LONG_AGO,
        }],
        "schedule_runs": [{
            "schedule_id": SCHEDULE, "due_at": LONG_AGO, "started_at": LONG_AGO, "outcome": "submitted", "job_id": DONE,
            "error": None,
        }],
        "webhooks": [{
            "id": HOOK, "owner_id": USER, "name": "chat", "url_encrypted": Vault(KEY).encrypt("https://chat.example/x"),
            "secret_encrypted": Vault(KEY).encrypt("whsec_c2VjcmV0"), "events": ["job.failed"], "schedule_id": SCHEDULE,
            "template_id": None, "datasource_id": None, "is_active": False, "created_at": LONG_AGO,
            "updated_at": LONG_AGO,
        }],
        "webhook_deliveries": [{
            "id": DELIVERY, "webhook_id": HOOK, "event": "job.failed", "job_id": FAILED, "body": '{"event": "job.failed"}',
            "status": "delivered", "attempt": 1, "tries": 1, "next_at": None, "created_at": LONG_AGO,
            "ended_at": LONG_AGO,
        }],
        "webhook_attempts": [{
            "delivery_id": DELIVERY, "number": 1, "started_at": LONG_AGO, "status_code": 204, "error": None,
            "milliseconds": 12,
        }],
    }  # fmt: skip


def make_old(app, version, shop, sha256):
    """Bring the app's empty database to `version`, fill its tables, and give their content. Needs the app's context."""
    engine = app.extensions["exporter"].database.engine
    upgrade(directory=str(MIGRATIONS), revision=version)
    tables = reflected(engine)
    content = rows(shop, sha256)
    assert set(tables) <= set(content), "a table without rows: give it some"
    with engine.begin() as connection:
        for name in content:
            if name in tables:
                connection.execute(insert(tables[name]), content[name])
    return everything(engine, tables)


def reflected(engine):
    metadata = MetaData()
    metadata.reflect(engine)
    return {name: typed(table) for name, table in metadata.tables.items() if name != "alembic_version"}


def typed(table: Table) -> Table:
    """Give JSON and times their types, as every version has read them."""
    for column in table.columns:
        if isinstance(column.type, DateTime):
            column.type = DateTime(timezone=True)
        elif isinstance(column.type, JSON):
            column.type = JSON(none_as_null=True)
    return table


def everything(engine, tables):
    """Give each table's rows as sets of (column, value), in the columns that `tables` have."""
    with engine.connect() as connection:
        return {
            name: {
                tuple((key, repr(value)) for key, value in row.items())
                for row in connection.execute(select(*table.columns)).mappings()
            }
            for name, table in tables.items()
        }
