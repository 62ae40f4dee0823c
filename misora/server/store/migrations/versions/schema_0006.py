"""The sixth schema: which published videos an operator chose."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the new column."""
    op.add_column("videos", sa.Column("featured_at", sa.Integer()))
