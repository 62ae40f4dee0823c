"""What has to be done from time to time: end what is late, erase what expired, sweep up after crashes; it knows no HTTP."""

from __future__ import annotations

import time

from sqlalchemy import delete, select, update

from misora.server.files import Files
from misora.server.journal import note_gone
from misora.server.queue import jobs, lease, uploads
from misora.server.store import places
from misora.server.store.database import Store
from misora.server.store.tables import idempotency, videos

REMEMBER = 24 * 3600  # seconds that an idempotency key is good for
SETTLED = 3600  # seconds after which a folder that no job knows is a crash's remains


def round_once(store: Store, files: Files) -> None:
    """Do all of it once."""
    now = int(time.time())
    lease.end_late(store)
    with store.read() as db:
        late = (videos.c.expires_at <= now) & videos.c.folder.is_not(None) & videos.c.deleted_at.is_(None)
        expired = db.execute(select(videos.c.id).where(late).limit(1000)).scalars().all()
    for name in expired:
        with store.write() as db:
            db.execute(update(videos).where(videos.c.id == name).values(folder=None, facts={}, published_at=None))
        files.erase(name)
    with store.write() as db:
        db.execute(delete(idempotency).where(idempotency.c.created_at < now - REMEMBER))
        places.forget(db)
    for name in uploads.expired(store):
        uploads.delete(store, name)
        files.path(f"files/{name}").unlink(missing_ok=True)
    _forget_pictures(store, files, now)
    _sweep(store, files, now)
    note_gone(store, files.data)


def _forget_pictures(store: Store, files: Files, now: int) -> None:
    """Pictures are gone once they are answered; what a server left behind that died meanwhile goes now."""
    with store.read() as db:
        left = (videos.c.verb == "image") & (videos.c.created_at < now - SETTLED) & videos.c.deleted_at.is_(None)
        rows = db.execute(select(videos.c.id, videos.c.account_id).where(left).limit(1000)).all()
    for name, account_id in rows:
        jobs.delete(store, name, account_id, pictures=True)
        files.erase(name)


def _sweep(store: Store, files: Files, now: int) -> None:
    folders = files.data / "videos"
    if not folders.is_dir():
        return
    for folder in folders.iterdir():
        if folder.stat().st_mtime < now - SETTLED and not _known(store, folder.name):
            files.erase(folder.name)
        elif (folder / "previews").is_dir() and (job := jobs.get(store, folder.name, pictures=True)) and job.finished:
            files.erase_previews(job.id, job.fence, folder=True)  # its worker died, and then its key was revoked


def _known(store: Store, name: str) -> bool:
    with store.read() as db:
        return db.execute(select(videos.c.id).where(videos.c.id == name, videos.c.deleted_at.is_(None))).first() is not None
