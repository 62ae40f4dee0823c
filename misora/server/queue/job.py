"""One job as the queue and the API read it; it knows nothing of how it is stored or rendered."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Mapping
from typing import Any

QUEUED, RUNNING, COMPLETED, FAILED = "queued", "in_progress", "completed", "failed"
UNFINISHED = (QUEUED, RUNNING)
BETWEEN = 2.0  # seconds that lead from one video to another unless it is said


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """A row of ``videos``: one request, what became of it, and who holds it."""

    seq: int
    id: str
    account_id: str
    key_id: str
    verb: str
    model: str
    prompt: str | None
    seconds: int
    size: str
    request: dict[str, Any]
    remixed_from: str | None
    status: str
    progress: int
    stage: str
    created_at: int
    started_at: int | None
    completed_at: int | None
    expires_at: int | None
    error_code: str | None
    error_message: str | None
    folder: str | None
    facts: dict[str, Any]
    priority: int
    attempts: int
    fence: int
    worker: str | None
    lease_until: float | None
    deadline: float | None
    deleted_at: int | None
    review: str
    published_at: int | None
    hidden_at: int | None
    featured_at: int | None

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> Job:
        """The job that a row of the table is."""
        return cls(**{field.name: row[field.name] for field in dataclasses.fields(cls)})

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status not in UNFINISHED


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    """What is asked for: everything of a job that its maker decides."""

    account_id: str
    key_id: str
    prompt: str
    id: str = dataclasses.field(default_factory=lambda: new_id("video"))
    verb: str = "generate"
    model: str = "sora-2"
    seconds: int = 4
    size: str = "720x1280"
    request: dict[str, Any] = dataclasses.field(default_factory=dict)
    remixed_from: str | None = None
    priority: int = 0
    deadline: float | None = None
    review: str = "none"

    @property
    def new_seconds(self) -> float:
        """What is made anew, which is what the account pays for; the rest of a longer video is taken over as it is."""
        return made_anew(self.verb, self.seconds, self.request)


def made_anew(verb: str, seconds: int, asked: dict[str, Any]) -> float:
    """How many of a video's seconds are invented or reworked: of an extension and a connection only what is added to what was given."""
    added = {"extend": asked.get("new_seconds"), "connect": asked.get("gap", BETWEEN)}.get(verb)
    return float(seconds if added is None else added)


def new_id(kind: str) -> str:
    """A name that nobody can guess: ``video_`` and 32 hexadecimal digits."""
    return f"{kind}_{secrets.token_hex(16)}"
