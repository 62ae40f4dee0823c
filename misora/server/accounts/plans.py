"""Plans: what an account may do, read from a small TOML file; they know nothing of who has which.

The file is the server's. So that a key can be made elsewhere, a server writes the names of its plans into the audit log when it starts.
"""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

from sqlalchemy import select

from misora.client.errors import UsageError
from misora.server.accounts.keys import note
from misora.server.queue.jobs import Allowance
from misora.server.store.database import Store
from misora.server.store.tables import audit

TOLD = ("server.plans", "server")  # action and subject of the line of the audit log that names a server's plans


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """One plan; 0 is without limit. The default plan is unlimited and without review."""

    priority: int = 0
    concurrency: int = 0  # unfinished jobs at once
    requests_per_minute: int = 0
    seconds_per_month: int = 0
    deadline_seconds: int = 0  # a job not done by then fails
    retention_hours: int = 0  # after which a finished video is erased
    review: bool = False  # a person must approve a video before anyone sees it
    require_check: bool = False  # refuse what no policy could check

    @property
    def allowance(self) -> Allowance:
        """What the queue itself has to watch."""
        return Allowance(concurrency=self.concurrency, seconds_per_month=self.seconds_per_month)


class Plans:
    """The plans by name; a name that is not there has the default plan's limits only if it is ``default``."""

    def __init__(self, plans: dict[str, Plan] | None = None) -> None:
        self._plans = {"default": Plan()} | (plans or {})

    def __getitem__(self, name: str) -> Plan:
        return self._plans.get(name) or Plan(
            concurrency=1, requests_per_minute=60, review=True, require_check=True
        )  # a plan that is gone: closed

    def __contains__(self, name: str) -> bool:
        return name in self._plans

    def names(self) -> list[str]:
        """All of them."""
        return list(self._plans)


def load(path: Path | None) -> Plans:
    """The plans of a file: a table each, ``[free]`` with ``concurrency = 1``. Raises UsageError."""
    if path is None:
        return Plans()
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"The plans in {path} cannot be read: {error}.") from None
    return Plans({name: _plan(name, table) for name, table in tables.items()})


def tell(store: Store, plans: Plans) -> None:
    """Write down which plans the server that starts now has, unless the last one had the same."""
    if plans.names() != told(store):
        with store.write() as db:
            note(db, "system", *TOLD, {"plans": plans.names()})


def told(store: Store) -> list[str]:
    """The plans of the server that started last; none where no server ever did."""
    last = select(audit.c.detail).where(audit.c.action == TOLD[0], audit.c.subject == TOLD[1]).order_by(audit.c.seq.desc()).limit(1)
    with store.read() as db:
        detail = db.execute(last).scalar()
    return list(detail["plans"]) if detail else []


def _plan(name: str, table: object) -> Plan:
    kinds: dict[str, type] = {field.name: type(field.default) for field in dataclasses.fields(Plan)}
    if not isinstance(table, dict):
        raise UsageError(f"The plan {name!r} must be a table; write [{name}] and its settings below.")
    for key, value in table.items():
        if key not in kinds or type(value) is not kinds[key] or (key != "priority" and isinstance(value, int) and value < 0):
            raise UsageError(f"The plan {name!r} has no setting {key} = {value!r}; the settings are {', '.join(kinds)}.")
    return Plan(**table)
