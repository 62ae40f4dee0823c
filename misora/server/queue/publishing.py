"""Review and publication: two states beside the job's own; a report hides at once; it knows nothing of HTTP."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection
from typing import Any

from sqlalchemy import delete, insert, select, update

from misora.server.accounts.keys import note
from misora.server.queue.job import COMPLETED, Job
from misora.server.store.database import Store
from misora.server.store.tables import blocked_files, keys, reports, videos

GONE = {"published_at": None, "featured_at": None}
SEEN = (videos.c.published_at.is_not(None), videos.c.hidden_at.is_(None), videos.c.deleted_at.is_(None), videos.c.folder.is_not(None))


def waiting(store: Store, limit: int) -> list[Job]:
    """The finished videos that a person has to look at, oldest first."""
    query = select(videos).where(videos.c.review == "waiting", videos.c.status == COMPLETED, videos.c.deleted_at.is_(None))
    with store.read() as db:
        return [Job.of(row) for row in db.execute(query.order_by(videos.c.seq).limit(limit)).mappings()]


def reasons(store: Store, names: Collection[str]) -> dict[str, list[str]]:
    """What was said against each of these videos."""
    found: dict[str, list[str]] = defaultdict(list)
    with store.read() as db:
        for row in db.execute(select(reports).where(reports.c.video_id.in_(names)).order_by(reports.c.seq)).mappings():
            found[row["video_id"]].append(row["reason"])
    return found


def decide(store: Store, video_id: str, decision: str, actor: str, reason: str = "") -> bool:
    """Approve or refuse; a refused video is no longer published, and approval lifts a report. False when there is none to decide on."""
    assert decision in ("approved", "refused"), decision
    values: dict[str, Any] = {"review": decision} | (GONE if decision == "refused" else {"hidden_at": None})
    with store.write() as db:
        done = db.execute(update(videos).where(videos.c.id == video_id, videos.c.deleted_at.is_(None)).values(**values))
        if done.rowcount and decision == "approved":
            db.execute(delete(blocked_files).where(blocked_files.c.video_id == video_id))
        if done.rowcount:
            note(db, actor, f"review.{decision}", video_id, {"reason": reason} if reason else {})
    return done.rowcount == 1


def publish(store: Store, job: Job, actor: str, *, shown: bool) -> None:
    """Put a video into the public feed, or take it out."""
    with store.write() as db:
        values = {"published_at": int(time.time())} if shown else GONE
        db.execute(update(videos).where(videos.c.id == job.id).values(**values))
        note(db, actor, "published" if shown else "unpublished", job.id, {})


def feature(store: Store, job: Job, actor: str, *, chosen: bool) -> None:
    """An operator puts a published video in front of the others, or back among them."""
    with store.write() as db:
        db.execute(update(videos).where(videos.c.id == job.id, *SEEN).values(featured_at=int(time.time()) if chosen else None))
        note(db, actor, "featured" if chosen else "unfeatured", job.id, {})


def feed(store: Store, *, limit: int, before: int | None = None, featured: bool = False) -> tuple[list[Job], bool]:
    """What everybody may see, newest first: published, not hidden, made with a key that was not revoked; or of that what was chosen.

    A page of ``limit`` and whatever else is of its last second, since the next page begins before that; and whether there is one.
    """
    when = videos.c.featured_at if featured else videos.c.published_at
    query = select(videos).join(keys, keys.c.id == videos.c.key_id).where(*SEEN, keys.c.state != "revoked", when.is_not(None))
    if before is not None:
        query = query.where(when < before)
    query, more = query.order_by(when.desc(), videos.c.seq.desc()), False
    with store.read() as db:
        rows = list(db.execute(query.limit(limit)).mappings())
        if len(rows) == limit:
            last = rows[-1][when.name]
            rows = [row for row in rows if row[when.name] > last] + list(db.execute(query.where(when == last)).mappings())
            more = db.execute(query.where(when < last).limit(1)).first() is not None
    return [Job.of(row) for row in rows], more


def published(store: Store, video_id: str) -> Job | None:
    """One video of the feed."""
    query = select(videos).join(keys, keys.c.id == videos.c.key_id).where(*SEEN, keys.c.state != "revoked", videos.c.id == video_id)
    with store.read() as db:
        row = db.execute(query).mappings().first()
    return Job.of(row) if row is not None else None


def report(store: Store, video_id: str, digest: str | None, reason: str, *, at: float | None = None, actor: str = "public") -> float:
    """Somebody objects: the video is hidden now, and its file may not be uploaded again; when. The same report counts once."""
    when = time.time() if at is None else at
    with store.write() as db:
        said = select(reports.c.seq).where(reports.c.video_id == video_id, reports.c.at == when)
        if db.execute(said).first() is None:
            db.execute(insert(reports).values(video_id=video_id, reason=reason, at=when))
            db.execute(update(videos).where(videos.c.id == video_id).values(hidden_at=int(time.time()), review="waiting"))
            note(db, actor, "reported", video_id, {})
        if digest and db.execute(select(blocked_files.c.sha256).where(blocked_files.c.sha256 == digest)).first() is None:
            db.execute(insert(blocked_files).values(sha256=digest, video_id=video_id, at=when))
    return when


def unblock(store: Store, video_id: str) -> None:
    """The file of this video may be uploaded again."""
    with store.write() as db:
        db.execute(delete(blocked_files).where(blocked_files.c.video_id == video_id))


def barred(store: Store, digest: str) -> bool:
    """Whether a file of this hash was reported."""
    with store.read() as db:
        return db.execute(select(blocked_files.c.sha256).where(blocked_files.c.sha256 == digest)).first() is not None
