"""Jobs as workers handle them: claimed under a lease, kept by a heartbeat, finished once; it knows nothing of accounts or files.

A lease carries a fencing number that grows with each change of hands. A worker that was stopped, paused or forgotten finds its number
out of date, and nothing that it says counts any more: so a job is finished once, whoever woke up late.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from sqlalchemy import Connection, and_, or_, select, update
from sqlalchemy.engine import CursorResult

from misora.server.accounts import ledger
from misora.server.queue import hooks
from misora.server.queue.job import COMPLETED, FAILED, QUEUED, RUNNING, Job
from misora.server.store.database import Store
from misora.server.store.tables import accounts, keys, videos, workers

LEASE = 20.0  # seconds without a heartbeat after which a job goes to another worker
SUSPECT = 3  # after so many lost workers other jobs go first
ATTEMPTS = 50  # after so many, whatever ended them, the job fails
LOST = ("worker_lost", "The worker ended unexpectedly while it made this video; ask for fewer seconds or a smaller size.")
LATE = ("deadline_exceeded", "The video was not finished within the time that your plan allows.")
WORKING_KEYS = ("active", "retired")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to finish one job, valid while ``fence`` is the job's newest number."""

    job: Job
    worker: str
    fence: int
    seconds: float = LEASE


def claim(store: Store, worker: str, *, lease: float = LEASE) -> Lease | None:
    """The next job, now leased to ``worker``, or None when nothing waits.

    By priority, then the key that waited longest, then age; a job that lost several workers goes last.
    """
    while True:
        now = time.time()
        with store.read() as db:
            if db.execute(_waiting(now)).first() is None:
                return None
        with store.write() as db:
            row = db.execute(_waiting(now).with_for_update(of=videos, skip_locked=True)).mappings().first()
            if row is None:
                return None
            job = Job.of(row)
            reason = LOST if job.attempts >= ATTEMPTS else LATE if job.deadline is not None and job.deadline < now else None
            if reason is None:
                return _take(db, job, worker, now, lease)
            end(db, job, FAILED, error_code=reason[0], error_message=reason[1])


def end_late(store: Store) -> None:
    """Fail what waits beyond its deadline, though no worker comes to it: whoever polls for it must not wait for ever."""
    now = time.time()
    late = (_free(now), videos.c.deleted_at.is_(None), videos.c.deadline < now)
    with store.read() as db:
        if db.execute(select(videos.c.id).where(*late).limit(1)).first() is None:
            return
    with store.write() as db:
        for row in db.execute(select(videos).where(*late).limit(1000).with_for_update(skip_locked=True)).mappings().all():
            end(db, Job.of(row), FAILED, error_code=LATE[0], error_message=LATE[1])


def _free(now: float) -> Any:
    return or_(videos.c.status == QUEUED, and_(videos.c.status == RUNNING, videos.c.lease_until < now))


def _waiting(now: float) -> Any:
    query = select(videos).join(keys, keys.c.id == videos.c.key_id).join(accounts, accounts.c.id == videos.c.account_id)
    query = query.where(_free(now), videos.c.deleted_at.is_(None), keys.c.state.in_(WORKING_KEYS), accounts.c.state == "active")
    return query.order_by(videos.c.priority.desc(), videos.c.attempts >= SUSPECT, keys.c.served, videos.c.seq).limit(1)


def _take(db: Connection, job: Job, worker: str, now: float, seconds: float) -> Lease:
    holder = {"status": RUNNING, "worker": worker, "lease_until": now + seconds, "started_at": job.started_at or int(now)}
    fence = job.fence + 1
    state = {"fence": fence, "attempts": job.attempts + 1, "progress": 0, "stage": "loading", "facts": {}}
    row = db.execute(update(videos).where(videos.c.id == job.id).values(**holder, **state).returning(*videos.c)).mappings().one()
    db.execute(update(keys).where(keys.c.id == job.key_id).values(served=int(now * 1e6)))
    return Lease(job=Job.of(row), worker=worker, fence=fence, seconds=seconds)


def beat(store: Store, lease: Lease) -> bool:
    """Hold the job for another term; False when it is no longer this worker's: stop at once."""
    with store.write() as db:
        return _changed(db.execute(update(videos).where(_held(lease)).values(lease_until=time.time() + lease.seconds)))


def holds(store: Store, lease: Lease) -> bool:
    """Whether the job is still this worker's and its key still works; a read, cheap enough for twice a second."""
    query = select(videos.c.id).join(keys, keys.c.id == videos.c.key_id).where(_held(lease), keys.c.state != "revoked")
    with store.read() as db:
        return db.execute(query).first() is not None


def progress(store: Store, lease: Lease, percent: int, stage: str, preview: int = 0) -> bool:
    """Say how far the job is, and which preview is the newest; also a heartbeat. False when it is no longer this worker's."""
    values: dict[str, Any] = {"progress": max(0, min(percent, 99)), "stage": stage, "lease_until": time.time() + lease.seconds}
    values |= {"facts": {"preview": preview}} if preview else {}
    with store.write() as db:
        return _changed(db.execute(update(videos).where(_held(lease)).values(**values)))


def finish(store: Store, lease: Lease, folder: str, facts: dict[str, Any], *, expires_at: int | None = None, review: bool = False) -> bool:
    """The job is done and its files are in ``folder``; False when it was someone else's by now, and then the files must go.

    With ``review`` a person must see it before its owner does.
    """
    waiting = {"review": "waiting"} if review else {}
    with store.write() as db:
        if not _still(db, lease):
            return False
        end(db, lease.job, COMPLETED, progress=100, folder=folder, facts=facts, expires_at=expires_at, **waiting)
        return True


def fail(store: Store, lease: Lease, code: str, message: str) -> bool:
    """The job cannot be done; False when it was someone else's by now."""
    with store.write() as db:
        if not _still(db, lease):
            return False
        end(db, lease.job, FAILED, error_code=code, error_message=message)
        return True


def seen(store: Store, worker: str, started_at: float, video_id: str | None, device: str = "") -> None:
    """Note that a worker lives, what it works on and with what."""
    values = {"seen_at": time.time(), "video_id": video_id, "device": device[:120]}
    with store.write() as db:
        if not _changed(db.execute(update(workers).where(workers.c.id == worker).values(**values))):
            db.execute(workers.insert().values(id=worker, started_at=started_at, **values))


def _held(lease: Lease) -> Any:
    return and_(videos.c.id == lease.job.id, videos.c.fence == lease.fence, videos.c.status == RUNNING, videos.c.deleted_at.is_(None))


def _still(db: Connection, lease: Lease) -> bool:
    query = select(videos.c.id).join(keys, keys.c.id == videos.c.key_id).where(_held(lease), keys.c.state != "revoked")
    return db.execute(query.with_for_update(of=videos)).first() is not None


def end(db: Connection, job: Job, status: str, **values: Any) -> None:
    """Nothing more happens to the job: its owner is told and its seconds are settled, in the caller's transaction."""
    ended = {"status": status, "completed_at": int(time.time()), "lease_until": None, "worker": None, "stage": ""}
    db.execute(update(videos).where(videos.c.id == job.id).values(**ended, **values, fence=videos.c.fence + 1))
    hooks.tell(db, job.account_id, f"video.{status}", job.id)
    if status == COMPLETED:
        ledger.settle(db, job.account_id, job.id)
    else:
        ledger.refund(db, job.account_id, job.id)


def _changed(result: CursorResult[Any]) -> bool:
    return result.rowcount == 1
