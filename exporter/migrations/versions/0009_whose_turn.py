"""An index for whose turn it is: each user's oldest pending job.

Revision ID: 0009
Revises: 0008
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_jobs_status_owner_id_queued_at", "jobs", ["status", "owner_id", "queued_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_jobs_status_owner_id_queued_at", table_name="jobs")
