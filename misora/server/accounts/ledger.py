"""Seconds of video per month: reserved when a job is taken in, settled when it is done, refunded when it is not; it knows no plan.

What is counted is what is made anew: an extension reserves its new part, not what it goes on from.
"""

from __future__ import annotations

import time

from sqlalchemy import Connection, func, select

from misora.server.store.tables import ledger

NEW = ledger.insert()


def month(at: float | None = None) -> str:
    """The month of a moment, UTC, as the ledger writes it: ``2026-11``."""
    return time.strftime("%Y-%m", time.gmtime(at))


def used(db: Connection, account_id: str) -> float:
    """Seconds that an account has used or reserved this month."""
    mine = (ledger.c.account_id == account_id) & (ledger.c.month == month())
    return float(db.execute(select(func.coalesce(func.sum(ledger.c.seconds), 0.0)).where(mine)).scalar_one())


def reserve(db: Connection, account_id: str, video_id: str, seconds: float) -> None:
    """Set ``seconds`` aside for a job."""
    _write(db, account_id, video_id, "reserve", seconds, month())


def settle(db: Connection, account_id: str, video_id: str) -> None:
    """The job is done: what was reserved is spent."""
    _write(db, account_id, video_id, "settle", 0.0, month())


def refund(db: Connection, account_id: str, video_id: str) -> None:
    """The job failed or was cancelled: as many seconds come back as were reserved, in the month in which they were."""
    reserved = select(ledger.c.seconds, ledger.c.month).where(ledger.c.video_id == video_id, ledger.c.entry == "reserve")
    if (row := db.execute(reserved).first()) is not None:
        _write(db, account_id, video_id, "refund", -row.seconds, row.month)


def _write(db: Connection, account_id: str, video_id: str, entry: str, seconds: float, in_month: str) -> None:
    row = {"account_id": account_id, "video_id": video_id, "entry": entry, "seconds": seconds, "month": in_month, "at": time.time()}
    db.execute(NEW, row)
