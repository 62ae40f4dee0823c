"""Named trades of likeness for time; what each costs is measured by ``python -m bench.speed``; it knows nothing of networks."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from misora.flow.generate import Sampling


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trade:
    """What is given up. ``steps``: so much of the steps are taken; ``guided``: guidance only above this level; see ``Sampling``."""

    steps: float = 1.0
    guided: float = 0.0
    every: int = 1
    cache: float = 0.0


NAMES = ("exact", "balanced", "fast")
# Few steps with a window that slides leave nothing to reuse: the weights in the package take fewer steps.
OURS = {"exact": Trade(), "balanced": Trade(steps=0.8), "fast": Trade(steps=0.6)}
# Tens of steps over one clip: neighbours are alike.
WAN = {"exact": Trade(), "balanced": Trade(cache=0.12), "fast": Trade(steps=0.4, every=2)}


def at_speed(how: Sampling, trade: Trade) -> Sampling:
    """``how`` with a trade made."""
    interval = max(how.interval[0], trade.guided), how.interval[1]
    return dataclasses.replace(how, steps=max(1, round(how.steps * trade.steps)), interval=interval, every=trade.every, cache=trade.cache)
