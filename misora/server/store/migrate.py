"""The schema brought up to date, after a copy was put aside, and refused where it is newer; it knows no table by name."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from misora.client.errors import UsageError
from misora.server.store.database import Store
from misora.server.store.tables import metadata

TURN = 0x6D69736F7261  # any number that nobody else locks
MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(store: Store, *, backups: Path | None = None, to: str = "head") -> None:
    """Make the schema the newest (or ``to``); with ``backups`` a SQLite file is copied there before it is changed. Raises UsageError."""
    has, known = revision(store), revisions()
    if has is not None and has not in known:
        raise UsageError(f"The database was written by a newer Misora (schema {has}); update Misora, or restore a backup.")
    if has == (known[-1] if to == "head" else to):
        return
    if has is not None and backups is not None and store.sqlite and store.url.database:
        backups.mkdir(parents=True, exist_ok=True)
        copy(Path(store.url.database), backups / f"before-{known[-1]}-{time.strftime('%Y%m%d-%H%M%S')}.sqlite")
    if has is None and to == "head" and _made(store, known[-1]):
        return
    _run_alembic(store, to)


def _made(store: Store, newest: str) -> bool:
    """An empty database gets the newest tables as they are (a test holds them to the migrations), which saves the first start Alembic."""
    with _turn(store) as db:
        if "alembic_version" in inspect(db).get_table_names():
            return False
        metadata.create_all(db)
        db.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        db.execute(text("INSERT INTO alembic_version VALUES (:newest)"), {"newest": newest})
    return True


@contextlib.contextmanager
def _turn(store: Store) -> Iterator[Connection]:
    """A transaction that changes the schema: servers that start together take turns."""
    with store.engine.connect().execution_options(misora_write=True) as db, db.begin():
        if not store.sqlite:  # SQLite's write lock does that by itself
            db.execute(text(f"SELECT pg_advisory_xact_lock({TURN})"))
        yield db


def revision(store: Store) -> str | None:
    """The schema's revision, or None for an empty database."""
    with store.read() as db:
        if "alembic_version" not in inspect(db).get_table_names():
            return None
        return db.execute(text("SELECT version_num FROM alembic_version")).scalar()


def revisions() -> list[str]:
    """Every revision known here, oldest first: the names of the files hold them."""
    return sorted(found[1] for path in (MIGRATIONS / "versions").glob("*.py") if (found := re.match(r"schema_(\d{4})", path.name)))


def copy(source: Path, target: Path) -> None:
    """A consistent copy of a SQLite file, also while it is being written."""
    with sqlite3.connect(source) as before, sqlite3.connect(target) as after:
        before.backup(after)
    before.close()
    after.close()


def _run_alembic(store: Store, to: str) -> None:
    from alembic import command  # only where something is to be done: it costs the web process memory and time
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with _turn(store) as db:
        config.attributes["connection"] = db
        command.upgrade(config, to)
