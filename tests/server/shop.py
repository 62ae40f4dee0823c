"""A small server for tests: a fresh store with keys and orders; it knows nothing of what is asserted."""

from __future__ import annotations

from pathlib import Path

from misora.server.accounts import keys
from misora.server.queue import jobs
from misora.server.queue.job import Job, Order
from misora.server.store.database import Store
from misora.server.store.tables import metadata


def fresh_store(folder: Path) -> Store:
    """An empty database with the newest schema; made without Alembic, which has its own tests."""
    store = Store(folder / "misora.sqlite")
    with store.write() as db:
        metadata.create_all(db)
    return store


def new_key(store: Store, name: str = "someone", **given: str) -> keys.NewKey:
    """A key with its own account."""
    return keys.create(store, name, **given)


def put(store: Store, key: keys.NewKey, **given: object) -> Job:
    """A job of that key in the queue."""
    values: dict[str, object] = {"account_id": key.account_id, "key_id": key.id, "prompt": "a red ball"}
    return jobs.add(store, Order(**(values | given)))  # type: ignore[arg-type]
