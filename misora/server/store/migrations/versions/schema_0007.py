"""The seventh schema: where deleted files and webhook endpoints stood in their lists."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the new table."""
    op.create_table(
        "places",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.Column("gone_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
