"""Many orders as one: a batch and its lines, which become jobs one after the other; it knows nothing of what an order says."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Row, func, select, update

from misora.server.queue.job import COMPLETED, FAILED, Job
from misora.server.store.database import Store
from misora.server.store.tables import batch_lines, batches, videos

IN_PROGRESS = "in_progress"


def add(store: Store, row: dict[str, Any], lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Keep a batch and its lines (``custom_id`` and ``body``)."""
    with store.write() as db:
        db.execute(batches.insert().values(**row))
        if lines:
            db.execute(batch_lines.insert(), [line | {"batch_id": row["id"], "number": number} for number, line in enumerate(lines)])
    return row


def get(store: Store, batch_id: str, account_id: str) -> dict[str, Any] | None:
    """The batch's row, or None when it is not there or another account's."""
    with store.read() as db:
        row = db.execute(select(batches).where(batches.c.id == batch_id, batches.c.account_id == account_id)).mappings().first()
    return dict(row) if row is not None else None


def listing(store: Store, account_id: str) -> list[dict[str, Any]]:
    """The account's batches, in no order."""
    with store.read() as db:
        return [dict(row) for row in db.execute(select(batches).where(batches.c.account_id == account_id)).mappings()]


def open_ones(store: Store) -> list[dict[str, Any]]:
    """The batches that are not over."""
    with store.read() as db:
        return [dict(row) for row in db.execute(select(batches).where(batches.c.status == IN_PROGRESS)).mappings()]


def unplaced(store: Store, batch_id: str, limit: int) -> list[Row[Any]]:
    """The next lines that are no job yet and were not refused."""
    mine = (batch_lines.c.batch_id == batch_id) & batch_lines.c.video_id.is_(None) & batch_lines.c.refusal.is_(None)
    with store.read() as db:
        return list(db.execute(select(batch_lines).where(mine).order_by(batch_lines.c.number).limit(limit)).all())


def settle(store: Store, batch_id: str, number: int, *, video_id: str | None = None, refusal: dict[str, Any] | None = None) -> None:
    """A line became a job, or was refused."""
    line = (batch_lines.c.batch_id == batch_id) & (batch_lines.c.number == number)
    with store.write() as db:
        db.execute(update(batch_lines).where(line).values(video_id=video_id, refusal=refusal))


def refuse_rest(store: Store, batch_id: str, refusal: dict[str, Any]) -> None:
    """Whatever is no job yet will not be one."""
    rest = (batch_lines.c.batch_id == batch_id) & batch_lines.c.video_id.is_(None) & batch_lines.c.refusal.is_(None)
    with store.write() as db:
        db.execute(update(batch_lines).where(rest).values(refusal=refusal))


def results(store: Store, batch_id: str) -> list[tuple[Row[Any], Job | None]]:
    """Every line with its job, in order; None where it was refused or its job deleted."""
    query = select(batch_lines).where(batch_lines.c.batch_id == batch_id).order_by(batch_lines.c.number)
    of_batch = select(batch_lines.c.video_id).where(batch_lines.c.batch_id == batch_id)
    with store.read() as db:
        lines = db.execute(query).all()
        rows = db.execute(select(videos).where(videos.c.id.in_(of_batch), videos.c.deleted_at.is_(None))).mappings()
        jobs = {row["id"]: Job.of(row) for row in rows}
    return [(line, jobs.get(line.video_id)) for line in lines]


def counts(store: Store, batch_id: str) -> dict[str, int]:
    """How many lines there are, and how many ended well or not."""
    joined = batch_lines.outerjoin(videos, (videos.c.id == batch_lines.c.video_id) & videos.c.deleted_at.is_(None))
    query = select(batch_lines.c.refusal.is_not(None), batch_lines.c.video_id.is_not(None), videos.c.status, func.count())
    query = query.select_from(joined).where(batch_lines.c.batch_id == batch_id)
    query = query.group_by(batch_lines.c.refusal.is_not(None), batch_lines.c.video_id.is_not(None), videos.c.status)
    told = {"total": 0, "completed": 0, "failed": 0}
    with store.read() as db:
        for refused, placed, status, count in db.execute(query):
            told["total"] += count
            told["completed"] += count if status == COMPLETED else 0
            told["failed"] += count if refused or status == FAILED or (placed and status is None) else 0
    return told


def end(store: Store, batch_id: str, status: str, **files: str | None) -> bool:
    """The batch is over; False when it was before."""
    mine = (batches.c.id == batch_id) & (batches.c.status == IN_PROGRESS)
    with store.write() as db:
        ended = db.execute(update(batches).where(mine).values(status=status, ended_at=int(time.time()), **files))
        return bool(ended.rowcount)
