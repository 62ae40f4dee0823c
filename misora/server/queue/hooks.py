"""Events for webhooks: written down in the transaction that causes them, so that none is lost; it knows nothing of sending."""

from __future__ import annotations

import json
import time
from typing import Any

from sqlalchemy import Connection, select

from misora.server.queue.job import new_id
from misora.server.store.tables import deliveries, endpoints

EVENTS = ("video.completed", "video.failed")


def tell(db: Connection, account_id: str, event: str, video_id: str) -> None:
    """Queue ``event`` for every endpoint of the account that wants it, in the caller's transaction."""
    wanting = db.execute(select(endpoints.c.id, endpoints.c.event_types).where(endpoints.c.account_id == account_id)).all()
    told = [row[0] for row in wanting if event in row[1]]
    if told:
        made = body(event, video_id)
        now = time.time()
        rows = [{"event_id": made["id"], "endpoint_id": name, "body": json.dumps(made)} for name in told]
        db.execute(deliveries.insert(), [row | {"attempts": 0, "next_at": now, "created_at": now} for row in rows])


def body(event: str, video_id: str) -> dict[str, Any]:
    """The event as it is sent: the job's name and nothing else of it."""
    return {"id": new_id("evt"), "object": "event", "created_at": int(time.time()), "type": event, "data": {"id": video_id}}
