"""Backup and restore of a server's data; a restore replays the deletions and revocations that came later; it knows nothing of HTTP.

What must never come back is also written to ``gone.jsonl``, beside the database and outside every backup: names, never prompts.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from misora.client.errors import UsageError
from misora.server.accounts import keys
from misora.server.files import Files, in_use
from misora.server.queue import cast, jobs, uploads
from misora.server.settings import Settings
from misora.server.store import migrate
from misora.server.store.database import Store
from misora.server.store.tables import keys as keys_table
from misora.server.store.tables import videos

GONE = "gone.jsonl"
DATABASE = "misora.sqlite"
ENDED = {"revoked": "key", "retired": "retired"}  # a key's state and what it is called in that file
KEPT = ("videos", "characters", "files", "signing", "server.secret")


def note_gone(store: Store, data: Path) -> int:
    """Write down every deletion and revocation that is not written down yet; how many there are in all."""
    path = data / GONE
    known = set(path.read_text("utf-8").splitlines()) if path.exists() else set()
    with store.read() as db:
        deleted = db.execute(select(videos.c.id).where(videos.c.deleted_at.is_not(None))).scalars().all()
        ended = db.execute(select(keys_table.c.id, keys_table.c.state).where(keys_table.c.state.in_(tuple(ENDED)))).all()
    lines = {json.dumps({"video": name}) for name in deleted} | {json.dumps({ENDED[state]: name}) for name, state in ended}
    if new := sorted(lines - known):
        with path.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in new)
            file.flush()
            os.fsync(file.fileno())
    return len(lines | known)


def remember(data: Path, gone: list[dict[str, str]]) -> None:
    """Write down deletions and revocations as they happen; a round of upkeep adds what was missed."""
    with (data / GONE).open("a", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(each)}\n" for each in gone)
        file.flush()
        os.fsync(file.fileno())


def remember_end(data: Path, action: str, names: list[str]) -> None:
    """Write down keys that were revoked or retired, which is for good; other actions are not."""
    if told := {"revoke": "key", "retire": "retired"}.get(action):
        remember(data, [{told: name} for name in names])


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
    """Bring a backup back, then delete and revoke again what was gone; how many. The server must not run. Raises UsageError."""
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
    _remember(settings)
    _swap(settings.data, folder)
    store = Store(settings.database())
    try:
        migrate.upgrade(store, backups=settings.data / "backups")
        return _replay(store, settings.data)
    finally:
        store.close()


def _remember(settings: Settings) -> None:
    """What the database that is about to go still knows of deletions; a damaged one knows nothing, and that is why ``GONE`` exists."""
    if (settings.data / DATABASE).exists():
        store = Store(settings.database())
        with contextlib.suppress(SQLAlchemyError):
            note_gone(store, settings.data)
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


def _replay(store: Store, data: Path) -> int:
    path, files, count = data / GONE, Files(data), 0
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        gone = json.loads(line)
        if "key" in gone:
            count += len(keys.revoke(store, key_id=gone["key"], actor="restore"))
        elif "retired" in gone:
            count += len(keys.change(store, "retired", key_id=gone["retired"], actor="restore"))
        elif "character" in gone:
            cast.delete(store, gone["character"])
            files.erase_folder(f"characters/{gone['character']}")
        elif "file" in gone:
            uploads.delete(store, gone["file"])
            files.path(f"files/{gone['file']}").unlink(missing_ok=True)
        elif (job := jobs.get(store, gone["video"], pictures=True)) is not None:
            jobs.delete(store, job.id, job.account_id, pictures=True)
            count += 1
        if "video" in gone:
            files.erase(gone["video"])
    return count
