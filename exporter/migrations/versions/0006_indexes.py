"""Indexes for what is asked often: a user's list, the newest jobs of a kind, and the jobs that still have a file.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

HAS_FILE = sa.text("artifact IS NOT NULL")


def upgrade() -> None:
    op.drop_index("ix_jobs_owner_id_created_at", table_name="jobs")
    op.drop_index("ix_jobs_datasource_id_status", table_name="jobs")
    op.drop_index("ix_jobs_expires_at", table_name="jobs")
    op.create_index("ix_jobs_owner_id_created_at_id", "jobs", ["owner_id", "created_at", "id"])
    op.create_index(
        "ix_jobs_datasource_id_status_format", "jobs", ["datasource_id", "status", "format", "created_at"]
    )
    op.create_index(
        "ix_jobs_with_file",
        "jobs",
        ["expires_at", "artifact"],
        sqlite_where=HAS_FILE,
        postgresql_where=HAS_FILE,
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_with_file", table_name="jobs")
    op.drop_index("ix_jobs_datasource_id_status_format", table_name="jobs")
    op.drop_index("ix_jobs_owner_id_created_at_id", table_name="jobs")
    op.create_index("ix_jobs_expires_at", "jobs", ["expires_at"])
    op.create_index("ix_jobs_datasource_id_status", "jobs", ["datasource_id", "status"])
    op.create_index("ix_jobs_owner_id_created_at", "jobs", ["owner_id", "created_at"])
