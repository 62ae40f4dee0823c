"""Files that accounts keep here to name them later: their rows; it knows nothing of what is in them."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import func, or_, select

from misora.server.store import places
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
    """The account's files that have not expired, in no order."""
    query = select(files).where(files.c.account_id == account_id, or_(files.c.expires_at.is_(None), files.c.expires_at > time.time()))
    query = query if purpose is None else query.where(files.c.purpose == purpose)
    with store.read() as db:
        return [dict(row) for row in db.execute(query).mappings()]


def count(store: Store, account_id: str) -> int:
    """How many files an account has."""
    with store.read() as db:
        return db.execute(select(func.count()).select_from(files).where(files.c.account_id == account_id)).scalar_one()


def expired(store: Store) -> list[str]:
    """The files whose time is over."""
    with store.read() as db:
        return list(db.execute(select(files.c.id).where(files.c.expires_at <= time.time())).scalars())


def delete(store: Store, file_id: str) -> None:
    """Forget a file, all but its place in the list."""
    with store.write() as db:
        places.leave(db, files, [file_id])
