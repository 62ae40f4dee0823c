"""What goes over the wire, in plain types that both ends share: the video object, sizes, lengths; it knows nothing of HTTP."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

SIDES = (64, 4096)  # pixels
PIXELS = 8_900_000
WIDEST = 21 / 9
SECONDS = (4, 20)  # of one request
OFFICIAL_SIZES = ("720x1280", "1280x720", "1024x1792", "1792x1024")
DEFAULT_SIZE, DEFAULT_SECONDS, DEFAULT_MODEL = "720x1280", 4, "sora-2"


def parse_size(size: str) -> tuple[int, int]:
    """Width and height of ``WIDTHxHEIGHT``. Raises ValueError, in one sentence that says what to do."""
    match = re.fullmatch(r"([1-9][0-9]{1,3})x([1-9][0-9]{1,3})", size)
    if not match:
        raise ValueError(f"Write the size as WIDTHxHEIGHT, for example {', '.join(OFFICIAL_SIZES)}.")
    width, height = int(match[1]), int(match[2])
    if min(width, height) < SIDES[0] or max(width, height) > SIDES[1] or width * height > PIXELS:
        raise ValueError(f"Keep each side within {SIDES[0]} to {SIDES[1]} pixels and {PIXELS:,} pixels in all.")
    if width % 2 or height % 2:
        raise ValueError("Both sides must be even.")
    if max(width, height) / min(width, height) > WIDEST + 0.01:
        raise ValueError("Stay between 9:21 and 21:9.")
    return width, height


@dataclasses.dataclass(frozen=True, kw_only=True)
class Video:
    """A job as the API shows it; ``raw`` is the whole object that came."""

    id: str
    status: str  # queued | in_progress | completed | failed
    progress: int
    model: str
    seconds: str
    size: str
    created_at: int
    completed_at: int | None = None
    expires_at: int | None = None
    prompt: str | None = None
    remixed_from_video_id: str | None = None
    error: Mapping[str, Any] | None = None
    raw: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Video:
        """The video that a JSON object describes; keys that are not known here are kept in ``raw``."""
        names = {field.name for field in dataclasses.fields(cls)} - {"raw"}
        return cls(**{name: value for name, value in raw.items() if name in names}, raw=raw)

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status not in ("queued", "in_progress")
