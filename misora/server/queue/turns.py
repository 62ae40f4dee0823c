"""Whose turn it is: how many jobs go before one, by the order in which ``lease.claim`` takes them; it knows nothing of workers."""

from __future__ import annotations

from typing import Any

from sqlalchemy import case, func, or_, select

from misora.server.queue.job import QUEUED, Job
from misora.server.queue.lease import SUSPECT, WORKING_KEYS
from misora.server.store.database import Store
from misora.server.store.tables import accounts, keys, videos


def place(store: Store, job: Job) -> int:
    """How many jobs will be begun before this one as things stand: 0 is next, or already begun.

    By priority, and among equals the keys take turns: of another key's jobs no more go first than this key has waiting before the job,
    and one more where the other key waited longer.
    """
    if job.status != QUEUED:
        return 0
    suspect = job.attempts >= SUSPECT
    held = videos.c.attempts >= SUSPECT
    peers = videos.c.priority == job.priority
    sooner, equal = videos.c.priority > job.priority, peers & (held if suspect else ~held)
    if suspect:
        sooner = or_(sooner, peers & ~held)
    before = func.sum(case((videos.c.seq < job.seq, 1), else_=0))
    with store.read() as db:
        first = db.execute(_queued(func.count()).where(sooner)).scalar_one()
        query = _queued(videos.c.key_id, keys.c.served, func.min(videos.c.seq), func.count(), before).where(equal)
        rows = {row[0]: row[1:] for row in db.execute(query.group_by(videos.c.key_id, keys.c.served)).all()}
    served, oldest, _, mine = rows.pop(job.key_id, (0, job.seq, 0, 0))  # no row: its own key is suspended
    return int(first + mine + sum(min(count, mine + ((when, seq) < (served, oldest))) for when, seq, count, _ in rows.values()))


def _queued(*columns: Any) -> Any:
    query = select(*columns).select_from(videos).join(keys, keys.c.id == videos.c.key_id)
    query = query.join(accounts, accounts.c.id == videos.c.account_id)
    return query.where(
        videos.c.status == QUEUED, videos.c.deleted_at.is_(None), keys.c.state.in_(WORKING_KEYS), accounts.c.state == "active"
    )
