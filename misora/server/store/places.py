"""Pages of short lists, and where a deleted row stood in its list, so that who deletes while paging goes on; it knows no row's meaning.

A page is what stands behind a row, by time of making and then by name: a place that a row leaves behind when it goes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select

from misora.server.store.database import Store
from misora.server.store.tables import places

KEPT = 24 * 3600  # seconds that a deleted row's place is known
Place = tuple[int, str]


def leave(db: Connection, table: Table, names: Iterable[str]) -> None:
    """Delete rows of ``table`` within the caller's transaction; their places stay for a while."""
    here = table.c.id.in_(list(names))
    rows = db.execute(select(table.c.id, table.c.account_id, table.c.created_at).where(here).with_for_update()).mappings().all()
    db.execute(delete(table).where(here))
    if rows:
        db.execute(insert(places), [dict(row) | {"gone_at": int(time.time())} for row in rows])


def find(store: Store, table: Table, account_id: str, name: str) -> Place | None:
    """Where an account's row stands in its list, or stood lately; None when there is and was none."""
    with store.read() as db:
        for each in (table, places):
            mine = (each.c.id == name) & (each.c.account_id == account_id)
            if (made := db.execute(select(each.c.created_at).where(mine)).scalar()) is not None:
                return made, name
    return None


def behind(rows: Iterable[dict[str, Any]], place: Place | None, *, newest_first: bool) -> list[dict[str, Any]]:
    """The rows of a list in their order, from behind ``place`` on, or from the first."""
    ordered = sorted(rows, key=_standing, reverse=newest_first)
    if place is None:
        return ordered
    return [row for row in ordered if (_standing(row) < place if newest_first else _standing(row) > place)]


def _standing(row: dict[str, Any]) -> Place:
    return row["created_at"], row["id"]


def forget(db: Connection) -> None:
    """Let go of the places that nobody pages from any more."""
    db.execute(delete(places).where(places.c.gone_at < int(time.time()) - KEPT))
