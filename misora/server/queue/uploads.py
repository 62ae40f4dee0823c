"""Files that accounts keep here to name them later: their rows; it knows nothing of what is in them."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import func, select

from misora.server.store.database import Store
from misora.server.store.tables import files


def add(store: Store, row: dict[str, Any]) -> dict[str, Any]:
    """Keep a file's row."""
    with store.write() as db:
        db.execute(files.insert().values(**row))
    return row


def get(store: Store, file_id: str, account_id: str) -> dict[str, Any] | None:
    """The file's row, or None when it is not there, expired or another account's."""
    with store.read() as db:
        row = db.execute(select(files).where(files.c.id == file_id, files.c.account_id == account_id)).mappings().first()
    return dict(row) if row is not None and (row["expires_at"] is None or row["expires_at"] > time.time()) else None


def listing(store: Store, account_id: str, purpose: str | None = None) -> list[dict[str, Any]]:
    """The account's files, newest first."""
    query = select(files).where(files.c.account_id == account_id)
    query = query if purpose is None else query.where(files.c.purpose == purpose)
    with store.read() as db:
        return [dict(row) for row in db.execute(query.order_by(files.c.created_at.desc(), files.c.id)).mappings()]


def count(store: Store, account_id: str) -> int:
    """How many files an account has."""
    with store.read() as db:
        return db.execute(select(func.count()).select_from(files).where(files.c.account_id == account_id)).scalar_one()


def expired(store: Store) -> list[str]:
    """The files whose time is over."""
    with store.read() as db:
        return list(db.execute(select(files.c.id).where(files.c.expires_at <= time.time())).scalars())


def delete(store: Store, file_id: str) -> None:
    """Forget a file."""
    with store.write() as db:
        db.execute(sql_delete(files).where(files.c.id == file_id))
