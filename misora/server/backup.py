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

from sqlalchemy.exc import SQLAlchemyError

from misora.client.errors import UsageError
from misora.server import journal
from misora.server.files import in_use
from misora.server.settings import Settings
from misora.server.store import migrate
from misora.server.store.database import Store

DATABASE = "misora.sqlite"
KEPT = ("videos", "characters", "files", "signing", "server.secret")


def backup(settings: Settings, target: Path) -> Path:
    """Everything of the server as one archive, also while it runs; it appears whole or not at all. Raises UsageError."""
    if settings.db:
        raise UsageError("A PostgreSQL is backed up with pg_dump; copy the --data folder beside it.")
    if not (settings.data / DATABASE).is_file():
        raise UsageError(f"There is no server's database in {settings.data}; give its folder with --data.")
    if target.exists():
        raise UsageError(f"{target} exists; give another name.")
    with tempfile.TemporaryDirectory(dir=target.absolute().parent, prefix=".backup-") as folder:
        copy, whole = Path(folder) / DATABASE, Path(folder) / "whole.tar"
        migrate.copy(settings.data / DATABASE, copy)
        with tarfile.open(whole, "w") as archive:  # the database first: a file that it names is there, or was deleted since
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
    how: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    archive.extractall(folder, **how)


def restore(settings: Settings, source: Path) -> int:
    """Bring a backup back, then do again what the journal tells; how many deeds. The server must not run. Raises UsageError."""
    if settings.db or not source.is_file():
        raise UsageError(f"{source} is no backup that can be restored here; give the file that `misora backup` wrote.")
    with tempfile.TemporaryDirectory(dir=settings.data.absolute().parent, prefix=".restore-") as folder:
        try:
            with tarfile.open(source) as archive:
                _unpack(archive, folder)
        except (tarfile.TarError, OSError):
            raise UsageError(f"{source} is damaged; restore another backup.") from None
        if not (Path(folder) / DATABASE).exists():
            raise UsageError(f"{source} holds no database; give the file that `misora backup` wrote.")
        with in_use(settings.data, alone=True):
            return _bring_back(settings, Path(folder))


def _bring_back(settings: Settings, folder: Path) -> int:
    _last_words(settings)
    _swap(settings.data, folder)
    store = Store(settings.database())
    try:
        migrate.upgrade(store, backups=settings.data / "backups")
        return journal.replay(store, settings.data)
    finally:
        store.close()


def _last_words(settings: Settings) -> None:
    """What the database that is about to go still knows of deletions; a damaged one knows nothing, and that is why there is a journal."""
    if (settings.data / DATABASE).exists():
        store = Store(settings.database())
        with contextlib.suppress(SQLAlchemyError):
            journal.note_gone(store, settings.data)
        store.close()


def _swap(data: Path, folder: Path) -> None:
    """What was there is put aside, not overwritten."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = data / "backups" / f"before-restore-{time.strftime('%Y%m%d-%H%M%S')}"
    aside.mkdir(parents=True)
    for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", *KEPT):
        if (data / name).exists():
            shutil.move(data / name, aside / name)
        if (folder / name).exists():
            shutil.move(folder / name, data / name)
