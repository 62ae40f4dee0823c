"""Delivers events to webhook endpoints: signed, to a checked address, again and again for three days; it knows nothing of routes."""

from __future__ import annotations

import base64
import concurrent.futures
import hashlib
import hmac
import http.client
import logging
import time

from sqlalchemy import RowMapping, delete, select, update

from misora.client.errors import MisoraError
from misora.server import fetch
from misora.server.secret import Secret
from misora.server.store.database import Store
from misora.server.store.tables import deliveries, endpoints

FIRST, SLOWEST, GIVE_UP = 5.0, 6 * 3600.0, 72 * 3600.0  # seconds: the pause doubles from the first to the slowest
SECONDS, AT_ONCE = 10.0, 20
log = logging.getLogger("misora.server")


def signature(secret: str, event_id: str, timestamp: int, body: str) -> str:
    """The ``webhook-signature`` that the SDK verifies: HMAC-SHA256 over id, time and body."""
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    return "v1," + base64.b64encode(hmac.digest(key, f"{event_id}.{timestamp}.{body}".encode(), hashlib.sha256)).decode()


def send(url: str, secrets: list[str], event_id: str, body: str, *, private: bool = False) -> int:
    """POST one event; the status of the answer. Redirects are not followed. Raises FetchError."""
    timestamp = int(time.time())
    connection, target = fetch.connect(url, time.monotonic() + SECONDS, private=private)
    headers = {"content-type": "application/json", "user-agent": "misora", "webhook-id": event_id, "webhook-timestamp": str(timestamp)}
    headers["webhook-signature"] = " ".join(signature(secret, event_id, timestamp, body) for secret in secrets)
    try:
        connection.request("POST", target, body.encode(), headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError):
        raise fetch.FetchError("The endpoint could not be reached.") from None
    finally:
        connection.close()


def deliver_due(store: Store, secret: Secret, *, private: bool = False) -> int:
    """Send what is due now; how many were tried. Each is put off before it is sent, so that two servers do not send it together."""
    now = time.time()
    with store.read() as db:
        if db.execute(select(deliveries.c.seq).where(deliveries.c.next_at <= now).limit(1)).first() is None:
            return 0
    with store.write() as db:
        due = select(deliveries).where(deliveries.c.next_at <= now).order_by(deliveries.c.next_at).limit(AT_ONCE)
        rows = db.execute(due.with_for_update(skip_locked=True)).mappings().all()
        for row in rows:
            pause = min(SLOWEST, FIRST * 2 ** row["attempts"])
            db.execute(update(deliveries).where(deliveries.c.seq == row["seq"]).values(attempts=row["attempts"] + 1, next_at=now + pause))
    if rows:  # side by side, since a slow endpoint must not keep the others waiting
        with concurrent.futures.ThreadPoolExecutor(len(rows)) as pool:
            done = list(pool.map(lambda row: _deliver(store, secret, row, private) or row["created_at"] < now - GIVE_UP, rows))
        settled = [row["seq"] for row, over in zip(rows, done, strict=True) if over]
        with store.write() as db:
            db.execute(delete(deliveries).where(deliveries.c.seq.in_(settled)))
    return len(rows)


def _deliver(store: Store, secret: Secret, row: RowMapping, private: bool) -> bool:
    """Whether the event is settled: taken, or nobody wants it any more."""
    endpoint_id = row["endpoint_id"]
    with store.read() as db:
        endpoint = db.execute(select(endpoints).where(endpoints.c.id == endpoint_id)).mappings().first()
    if endpoint is None:
        return True
    sealed = [endpoint["secret"]]
    if endpoint["old_secret"] and (endpoint["old_until"] or 0) > time.time():
        sealed.append(endpoint["old_secret"])
    try:
        status = send(endpoint["url"], [secret.open(each) for each in sealed], row["event_id"], row["body"], private=private)
    except MisoraError as error:
        log.warning("webhook: %s", error, extra={"endpoint": endpoint_id})
        return False
    return 200 <= status < 300
