"""What a check says of one thing, in a form that all checks share; it knows nothing of how they come to it."""

from __future__ import annotations

import dataclasses
from typing import Literal

Verdict = Literal["allow", "review", "block"]
SEVERITY: dict[str, int] = {"allow": 0, "review": 1, "block": 2}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decision:
    """What the policy says of one thing. ``rule`` names what spoke; ``unchecked``: checks that could not be made and were let be."""

    verdict: Verdict = "allow"
    category: str = ""
    rule: str = ""
    version: str = ""
    unchecked: tuple[str, ...] = ()
