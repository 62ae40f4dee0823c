"""The fourth schema: what a worker draws on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the new column."""
    op.add_column("workers", sa.Column("device", sa.String(length=120), nullable=False, server_default=""))
