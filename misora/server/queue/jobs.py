"""Jobs as their owners handle them: put in, looked up, listed, deleted; it knows nothing of workers and leases."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select, update
from sqlalchemy import delete as forget
from sqlalchemy.exc import IntegrityError

from misora.client.errors import MisoraError
from misora.server.accounts import ledger
from misora.server.queue import hooks
from misora.server.queue.job import FAILED, QUEUED, RUNNING, UNFINISHED, Job, Order
from misora.server.store.database import Store
from misora.server.store.tables import accounts, idempotency, keys, videos
from misora.trust.coding import payload_of

NEW = insert(videos).returning(*videos.c)  # built once: building it takes longer than running it


class ReusedKeyError(MisoraError):
    """An idempotency key came again with another request."""


class RefusedOrderError(MisoraError):
    """The job would go beyond what the account's plan allows."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Allowance:
    """What a plan lets an account do at once and in a month; 0 is without limit."""

    concurrency: int = 0
    seconds_per_month: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Once:
    """An idempotency key and the hash of the request that it came with."""

    key: str
    body_hash: str


def add(
    store: Store, order: Order, *, once: Once | None = None, allowance: Allowance | None = None, failed: tuple[str, str] | None = None
) -> Job:
    """Put a job in the queue; when this returns, no crash loses it. With ``failed`` (code, message) it is refused from the start.

    Raises ReusedKeyError, RefusedOrderError, StoreFullError.
    """

    def work(db: Connection) -> Job:
        if once is not None and (earlier := _earlier(db, order.account_id, once)) is not None:
            return earlier
        if failed is None:
            _check_allowance(db, order, allowance or Allowance())
        job = _insert(db, order, failed)
        if once is not None:
            row = {"account_id": order.account_id, "key": once.key, "body_hash": once.body_hash, "video_id": job.id}
            db.execute(insert(idempotency).values(**row, created_at=job.created_at))
        return job

    try:
        return store.together(work)
    except IntegrityError:  # PostgreSQL: two requests with one key at the same moment
        if once is None:
            raise
        with store.read() as db:
            earlier = _earlier(db, order.account_id, once)
        assert earlier is not None
        return earlier


def _insert(db: Connection, order: Order, failed: tuple[str, str] | None) -> Job:
    now = int(time.time())
    row = vars(order) | {
        "status": QUEUED,
        "progress": 0,
        "stage": "",
        "created_at": now,
        "facts": {},
        "attempts": 0,
        "fence": 0,
    }
    if failed is not None:
        row |= {"status": FAILED, "completed_at": now, "error_code": failed[0], "error_message": failed[1]}
        hooks.tell(db, order.account_id, "video.failed", order.id)
    else:
        ledger.reserve(db, order.account_id, order.id, order.new_seconds)
    made = db.execute(NEW, row)
    return Job.of(made.mappings().one())


def _earlier(db: Connection, account_id: str, once: Once) -> Job | None:
    mine = (idempotency.c.account_id == account_id) & (idempotency.c.key == once.key)
    found = db.execute(select(idempotency).where(mine)).mappings().first()
    if found is None:
        return None
    if found["body_hash"] != once.body_hash:
        raise ReusedKeyError("This Idempotency-Key was used for another request; send a new key.")
    row = db.execute(_live(pictures=True).where(videos.c.id == found["video_id"])).mappings().first()
    if row is None:  # deleted meanwhile: the key may be used anew
        db.execute(forget(idempotency).where(mine))
        return None
    return Job.of(row)


def _check_allowance(db: Connection, order: Order, allowance: Allowance) -> None:
    if allowance.concurrency or allowance.seconds_per_month:  # two orders at the same moment take turns (PostgreSQL)
        db.execute(select(accounts.c.id).where(accounts.c.id == order.account_id).with_for_update())
    if allowance.concurrency:
        mine = (videos.c.account_id == order.account_id) & videos.c.status.in_(UNFINISHED) & videos.c.deleted_at.is_(None)
        running = db.execute(select(func.count()).select_from(videos).where(mine)).scalar_one()
        if running >= allowance.concurrency:
            raise RefusedOrderError(f"Too many running tasks: your plan allows {allowance.concurrency} at once; wait for one to finish.")
    if allowance.seconds_per_month and ledger.used(db, order.account_id) + order.new_seconds > allowance.seconds_per_month:
        raise RefusedOrderError(f"Your plan's {allowance.seconds_per_month} seconds of video for this month are used up.")


def get(store: Store, video_id: str, account_id: str | None = None, *, pictures: bool = False) -> Job | None:
    """The job of that name, unless it was deleted or belongs to another account; pictures only where they are asked for."""
    query = _live(pictures=pictures).where(videos.c.id == video_id)
    with store.read() as db:
        row = db.execute(query if account_id is None else query.where(videos.c.account_id == account_id)).mappings().first()
    return Job.of(row) if row is not None else None


def listing(
    store: Store, account_id: str, *, limit: int, after: str | None = None, newest_first: bool = True
) -> tuple[list[Job], bool] | None:
    """One page of an account's jobs and whether more follow, or None when ``after`` names no job of the account."""
    query = _live().where(videos.c.account_id == account_id)
    with store.read() as db:
        if after is not None:
            # a deleted job still marks its place, so that a caller who deletes while paging goes on
            mark = db.execute(select(videos.c.seq).where(videos.c.id == after, videos.c.account_id == account_id)).scalar()
            if mark is None:
                return None
            query = query.where(videos.c.seq < mark if newest_first else videos.c.seq > mark)
        rows = db.execute(query.order_by(videos.c.seq.desc() if newest_first else videos.c.seq).limit(limit + 1)).mappings().all()
    return [Job.of(row) for row in rows[:limit]], len(rows) > limit


def of_payload(store: Store, account_id: str, payload: int) -> str | None:
    """Which of an account's videos carries this watermark."""
    with store.read() as db:
        names = db.execute(select(videos.c.id).where(videos.c.account_id == account_id, videos.c.deleted_at.is_(None))).scalars()
        return next((name for name in names if payload_of(name) == payload), None)


def delete(store: Store, video_id: str, account_id: str, *, pictures: bool = False) -> Job | None:
    """Take a job away for good: a queued one never starts, a running one is stopped; the prompt is erased. None when there is none."""
    with store.write() as db:
        mine = _live(pictures=pictures).where(videos.c.id == video_id, videos.c.account_id == account_id)
        row = db.execute(mine.with_for_update()).mappings().first()
        if row is None:
            return None
        job = Job.of(row)
        changes: dict[str, Any] = {
            "deleted_at": int(time.time()),
            "prompt": None,
            "request": {},
            "facts": {},
            "folder": None,
            "published_at": None,
        }
        if not job.finished:
            changes |= {"status": FAILED, "error_code": "cancelled", "fence": job.fence + 1, "lease_until": None}
            ledger.refund(db, job.account_id, job.id)
        db.execute(update(videos).where(videos.c.id == video_id).values(**changes))
    return job


def counts(store: Store) -> dict[str, int]:
    """How many jobs wait and run now."""
    query = (
        select(videos.c.status, func.count())
        .where(videos.c.status.in_(UNFINISHED), videos.c.deleted_at.is_(None))
        .group_by(videos.c.status)
    )
    with store.read() as db:
        return {QUEUED: 0, RUNNING: 0} | {row[0]: row[1] for row in db.execute(query)}


def stop_all_of(db: Connection, key_ids: list[str], code: str, message: str) -> list[str]:
    """Fail every unfinished job of these keys, within the caller's transaction; their names. Whoever renders them finds the fence moved."""
    theirs = videos.c.key_id.in_(key_ids) & videos.c.status.in_(UNFINISHED)
    rows = db.execute(select(videos.c.id, videos.c.account_id).where(theirs)).all()
    for video_id, account_id in rows:
        ledger.refund(db, account_id, video_id)
        hooks.tell(db, account_id, "video.failed", video_id)
    end = {"status": FAILED, "error_code": code, "error_message": message, "completed_at": int(time.time()), "lease_until": None}
    db.execute(update(videos).where(theirs).values(**end, fence=videos.c.fence + 1))
    return [row[0] for row in rows]


def key_state(db: Connection, key_id: str) -> str | None:
    """The state of the key that a job was made with."""
    return db.execute(select(keys.c.state).where(keys.c.id == key_id)).scalar()


def _live(*, pictures: bool = False) -> Select[Any]:
    query = select(videos).where(videos.c.deleted_at.is_(None))
    return query if pictures else query.where(videos.c.verb != "image")
