"""Connections to SQLite or PostgreSQL with the promises that the queue needs; it knows no table.

A read sees one moment. A write holds the database's one write lock (SQLite: BEGIN IMMEDIATE, durable when it returns: WAL with
synchronous FULL) or locks the rows that it names (PostgreSQL).
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from misora.client.errors import MisoraError, MissingExtraError, UsageError

T = TypeVar("T")
BUSY_MS = 30_000  # how long a write waits for another process's


@dataclasses.dataclass
class _Part:
    """Somebody's part of a shared transaction and what came of it."""

    work: Callable[[Connection], Any]
    done: bool = False
    result: Any = None
    error: Exception | None = None


class StoreFullError(MisoraError):
    """The disk under the database has no room; nothing was changed."""


class Store:
    """One database: ``with store.read() as db`` and ``with store.write() as db``; a write that raises changes nothing."""

    def __init__(self, url: str | Path) -> None:
        self.url = address(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _engine(self.url, self.sqlite)
        self._turn = threading.Lock() if self.sqlite else contextlib.nullcontext()  # waiting for a lock is fairer than SQLite's polling
        self._waiting: list[_Part] = []
        self._door = threading.Lock()

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one moment of the database."""
        with self.engine.connect() as db:
            yield db

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction, durable when the block ends. Raises StoreFullError when the disk is full."""
        with self._turn, self._transaction() as db:
            yield db

    def together(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` returns, durable: those who wait for the disk at the same moment share one transaction, and so one sync.

        ``work`` may be called twice, since somebody else's error undoes the whole; then each is done alone. Raises as ``write`` does.
        """
        if not self.sqlite:
            with self.write() as db:
                return work(db)
        part = _Part(work)
        with self._door:
            self._waiting.append(part)
        with self._turn:
            if not part.done:
                with self._door:
                    parts, self._waiting = self._waiting, []
                self._do(parts)
        if part.error is not None:
            raise part.error
        return part.result  # type: ignore[no-any-return]

    def _do(self, parts: list[_Part]) -> None:
        try:
            with self._transaction() as db:
                for part in parts:
                    part.result = part.work(db)
        except Exception as error:
            if len(parts) == 1:
                parts[0].error = error
            else:
                for part in parts:
                    self._do([part])
        for part in parts:
            part.done = True

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self.engine.connect().execution_options(misora_write=True) as db, db.begin():
                yield db
        except DBAPIError as error:
            if "full" in str(error.orig) or "No space left" in str(error.orig):
                raise StoreFullError("The disk is full; free some space, then try again.") from None
            raise

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def address(url: str | Path) -> URL:
    """What SQLAlchemy calls the database: a path is SQLite, ``postgresql://`` speaks through psycopg 3. Raises UsageError."""
    if isinstance(url, Path):
        return URL.create("sqlite", database=str(url))
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UsageError("The database's address cannot be read; write it as postgresql://user@host/name or sqlite:///file.") from None
    if parsed.drivername in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise UsageError(f"{parsed.get_backend_name()} is no database known here; give postgresql:// or sqlite:///.")
    return parsed


def _engine(url: URL, sqlite: bool) -> Engine:
    if not sqlite:
        try:
            return create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20, hide_parameters=True)
        except ModuleNotFoundError:
            raise MissingExtraError("PostgreSQL needs psycopg; install it with: pip install 'misora[postgres]'.") from None
    told = {"check_same_thread": False, "timeout": BUSY_MS / 1000}
    engine = create_engine(url, connect_args=told, pool_size=10, max_overflow=30, hide_parameters=True)  # prompts stay out of every log

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # the driver would begin and commit where it likes
        try:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_MS}", "foreign_keys=ON", "cache_size=-8000"):
                connection.execute(f"PRAGMA {pragma}").close()
        except Exception:  # no database: nobody else would close it
            connection.close()
            raise

    @event.listens_for(engine, "begin")
    def begin(db: Connection) -> None:
        db.exec_driver_sql("BEGIN IMMEDIATE" if db.get_execution_options().get("misora_write") else "BEGIN")

    return engine
