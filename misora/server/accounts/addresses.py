"""How many client addresses use one key, counted in memory: many at once are how a leaked key shows; it knows nothing of requests."""

from __future__ import annotations

import threading
import time

HOUR = 3600.0
KEPT = 1000  # addresses remembered of one key


class Addresses:
    """``seen`` says once an hour that a key is used from more than ``most`` addresses."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._seen: dict[str, dict[str, float]] = {}  # key: address: when last
        self._told: dict[str, float] = {}
        self._lock = threading.Lock()

    def seen(self, key_id: str, address: str, now: float | None = None) -> int | None:
        """Note one request; how many addresses there were within an hour, when that is too many and was not said within an hour."""
        now = time.monotonic() if now is None else now
        with self._lock:
            mine = self._seen.setdefault(key_id, {})
            new = address not in mine
            mine[address] = now
            if not new or len(mine) <= self.most:
                return None
            self._seen[key_id] = mine = dict([pair for pair in mine.items() if pair[1] > now - HOUR][-KEPT:])
            if len(mine) <= self.most or now - self._told.get(key_id, -HOUR) < HOUR:
                return None
            self._told[key_id] = now
            return len(mine)
