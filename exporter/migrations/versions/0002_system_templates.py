"""The system templates that ship with the server. An admin may change or delete them: they are inserted once.

Revision ID: 0002
Revises: 0001
"""

from datetime import UTC, datetime
from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SHIPPED = (
    ("Excel workbook", "Typed cells, one sheet per 1,048,576 rows", {"format": "excel"}),
    (
        "CSV for Excel",
        "Opens in Excel with a double click; formulas are disarmed",
        {"format": "csv", "options": {"preset": "spreadsheet"}},
    ),
    (
        "CSV for Excel, Europe",
        "The same with semicolons, for systems with a decimal comma",
        {"format": "csv", "options": {"preset": "spreadsheet-eu"}},
    ),
    (
        "CSV for PostgreSQL",
        "Loads back with COPY … CSV HEADER",
        {"format": "csv", "options": {"preset": "postgres-copy"}},
    ),
    ("CSV for pandas", "Reads back with plain read_csv", {"format": "csv", "options": {"preset": "pandas"}}),
    (
        "JSON lines, compressed",
        "One object a line, for BigQuery and other loaders",
        {"format": "json", "options": {"preset": "bigquery", "compression": "gzip"}},
    ),
    ("Parquet", "Typed columns for data tools, compressed with zstd", {"format": "parquet"}),
)
TEMPLATES = sa.table(
    "templates",
    *(sa.column(name) for name in ("id", "owner_id", "name", "description", "template_type", "format")),
    sa.column("configuration", sa.JSON()),
    sa.column("is_active", sa.Boolean()),
    sa.column("usage_count", sa.Integer()),
    sa.column("created_at", sa.DateTime(timezone=True)),
    sa.column("updated_at", sa.DateTime(timezone=True)),
)


def upgrade() -> None:
    now = datetime.now(UTC)
    rows = [
        {
            "id": str(uuid4()),
            "owner_id": None,
            "name": name,
            "description": description,
            "template_type": "system",
            "format": configuration["format"],
            "configuration": configuration,
            "is_active": True,
            "usage_count": 0,
            "created_at": now,
            "updated_at": now,
        }
        for name, description, configuration in SHIPPED
    ]
    op.bulk_insert(TEMPLATES, rows)


def downgrade() -> None:
    templates = TEMPLATES.c
    op.execute(TEMPLATES.delete().where(templates.template_type == "system", templates.owner_id.is_(None)))
