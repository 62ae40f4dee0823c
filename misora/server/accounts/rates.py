"""Requests per minute, counted in memory; it knows nothing of plans."""

from __future__ import annotations

import dataclasses
import math
import threading
import time


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rate:
    """Where an account stands: what the rate headers show."""

    allowed: bool
    limit: int
    remaining: int
    reset: float  # seconds until the whole limit is there again
    wait: float  # seconds until the next request is allowed

    def headers(self) -> dict[str, str]:
        """The rate headers of the API."""
        shown = {"limit": str(self.limit), "remaining": str(self.remaining), "reset": f"{self.reset:.2f}s"}
        headers = {f"x-ratelimit-{name}-requests": value for name, value in shown.items()}
        return (
            headers
            if self.allowed
            else headers | {"retry-after": str(math.ceil(self.wait)), "retry-after-ms": str(math.ceil(self.wait * 1000))}
        )


class Rates:
    """A bucket for each account that fills evenly: a minute's worth at once, then one by one."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}  # account: what is in it, when
        self._lock = threading.Lock()

    def take(self, account_id: str, per_minute: int, now: float | None = None) -> Rate:
        """Count one request."""
        now = time.monotonic() if now is None else now
        each = 60 / per_minute
        with self._lock:
            level, then = self._buckets.get(account_id, (float(per_minute), now))
            level = min(per_minute, level + (now - then) / each)
            allowed = level >= 1
            level -= allowed
            self._buckets[account_id] = (level, now)
        wait = 0.0 if allowed else (1 - level) * each
        return Rate(allowed=allowed, limit=per_minute, remaining=int(level), reset=(per_minute - level) * each, wait=wait)
