"""Backup and restore of a server's data; what a restore must not undo stands in the journal; it knows nothing of HTTP."""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from misora.client.errors import UsageError
from misora.server import journal
from misora.server.files import in_use
from misora.server.settings import Settings
from misora.server.store import migrate
from misora.server.store.database import Store, address

DATABASE, SECRET = "misora.sqlite", "server.secret"
KEPT = ("videos", "characters", "files", "signing", SECRET)


def sqlite_file(settings: Settings) -> Path | None:
    """The file that is the server's database; None where that is a PostgreSQL. Raises UsageError."""
    if settings.db is None:
        return settings.data / DATABASE
    url = address(settings.db)
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def backup(settings: Settings, target: Path) -> Path:
    """Everything of the server as one archive, also while it runs; it appears whole or not at all. Raises UsageError.

    A PostgreSQL is not in it: ``pg_dump`` has to be done before, so that every file that the dump names is there or was deleted since.
    """
    file = sqlite_file(settings)
    if not (settings.data / SECRET if file is None else file).is_file():
        raise UsageError(f"There is no server's database in {settings.data}; give its folder with --data.")
    if target.exists():
        raise UsageError(f"{target} exists; give another name.")
    with tempfile.TemporaryDirectory(dir=target.absolute().parent, prefix=".backup-") as folder:
        copy, whole = Path(folder) / DATABASE, Path(folder) / "whole.tar"
        if file is not None:
            migrate.copy(file, copy)
        with tarfile.open(whole, "w") as archive:  # the database first: a file that it names is there, or was deleted since
            if file is not None:
                archive.add(copy, DATABASE)
            for name in KEPT:
                if (settings.data / name).exists():
                    archive.add(settings.data / name, name, filter=_finished)
        os.chmod(whole, 0o600)
        os.replace(whole, target)
    return target


def _finished(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if member.name.endswith(".part") or "/." in member.name else member


def _unpack(archive: tarfile.TarFile, folder: str) -> None:
    """Plain files and folders, inside the folder alone; Debian's Python 3.11.2 has no filter that would see to it."""
    for member in archive.getmembers():
        place = Path(member.name)
        if not (member.isfile() or member.isdir()) or place.is_absolute() or ".." in place.parts:
            raise tarfile.TarError(member.name)
        member.mode = 0o700 if member.isdir() else 0o600  # as the server makes them
    how: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    archive.extractall(folder, **how)


def restore(settings: Settings, source: Path) -> int:
    """Bring a backup back, then do again what the journal tells; how many deeds. The server must not run. Raises UsageError.

    A PostgreSQL has to be brought back before, with ``pg_restore``; it is then brought up to date like any other.
    """
    if not source.is_file():
        raise UsageError(f"{source} is no backup; give the file that `misora backup` wrote.")
    file = sqlite_file(settings)
    with tempfile.TemporaryDirectory(dir=settings.data.absolute().parent, prefix=".restore-") as folder:
        try:
            with tarfile.open(source) as archive:
                _unpack(archive, folder)
        except (tarfile.TarError, OSError):
            raise UsageError(f"{source} is damaged; restore another backup.") from None
        _check(source, Path(folder), file)
        with in_use(settings.data, alone=True):
            return _bring_back(settings, Path(folder), file)


def _check(source: Path, folder: Path, file: Path | None) -> None:
    """Raise UsageError unless what was unpacked is a backup of this kind of server."""
    if not (folder / DATABASE).exists() and not (folder / SECRET).exists():
        raise UsageError(f"{source} holds no database; give the file that `misora backup` wrote.")
    if (folder / DATABASE).exists() and file is None:
        raise UsageError(f"{source} holds an SQLite database, which cannot become a PostgreSQL; leave out --db.")
    if not (folder / DATABASE).exists() and file is not None:
        raise UsageError(f"{source} holds no database: its server had a PostgreSQL. Bring that back with pg_restore, then give its --db.")


def _bring_back(settings: Settings, folder: Path, file: Path | None) -> int:
    if file is None:
        _check_postgres(settings)
    else:
        _last_words(settings, file)
    _swap(settings.data, folder, file)
    store = Store(settings.database())
    try:
        migrate.upgrade(store, backups=settings.data / "backups")
        return journal.replay(store, settings.data)
    finally:
        store.close()


def _check_postgres(settings: Settings) -> None:
    """Raise UsageError unless the database was brought back already: nothing is changed before that is known."""
    with contextlib.closing(Store(settings.database())) as store:
        try:
            schema = migrate.revision(store)
        except DBAPIError as error:
            why = str(error.orig).strip().partition("\n")[0][:200]
            raise UsageError(f"The PostgreSQL cannot be asked ({why}); check --db.") from None
    if schema is None:
        raise UsageError("The PostgreSQL is empty; bring its dump back first: pg_restore --clean --if-exists -d URL DUMP")


def _last_words(settings: Settings, file: Path) -> None:
    """What the database that is about to go still knows of deletions; a damaged one knows nothing, and that is why there is a journal."""
    if file.exists():
        store = Store(settings.database())
        with contextlib.suppress(SQLAlchemyError):
            journal.note_gone(store, settings.data)
        store.close()


def _swap(data: Path, folder: Path, file: Path | None) -> None:
    """What was there is put aside, not overwritten."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = data / "backups" / f"before-restore-{time.strftime('%Y%m%d-%H%M%S')}"
    aside.mkdir(parents=True)
    for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
        if file is not None:
            _move(file.with_name(name.replace(DATABASE, file.name)), folder / name, aside / name)
    for name in KEPT:
        _move(data / name, folder / name, aside / name)


def _move(here: Path, new: Path, aside: Path) -> None:
    if here.exists():
        shutil.move(here, aside)
    if new.exists():
        shutil.move(new, here)
