"""Characters: named clips that videos may show again; it knows nothing of files."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import select

from misora.server.store.database import Store
from misora.server.store.tables import characters


def add(store: Store, character_id: str, account_id: str, name: str, file: str) -> dict[str, Any]:
    """Keep a character; its row."""
    row = {"id": character_id, "account_id": account_id, "name": name, "file": file, "created_at": int(time.time())}
    with store.write() as db:
        db.execute(characters.insert().values(**row))
    return row


def get(store: Store, character_id: str, account_id: str) -> dict[str, Any] | None:
    """The character's row, or None when it is not there or another account's."""
    mine = (characters.c.id == character_id) & (characters.c.account_id == account_id)
    with store.read() as db:
        row = db.execute(select(characters).where(mine)).mappings().first()
    return dict(row) if row is not None else None


def listing(store: Store, account_id: str) -> list[dict[str, Any]]:
    """The account's characters, newest first."""
    query = select(characters).where(characters.c.account_id == account_id).order_by(characters.c.created_at.desc()).limit(500)
    with store.read() as db:
        return [dict(row) for row in db.execute(query).mappings()]


def delete(store: Store, character_id: str) -> None:
    """Forget a character."""
    with store.write() as db:
        db.execute(sql_delete(characters).where(characters.c.id == character_id))
