"""What a network's later blocks did, used again while its first block does nearly the same; it knows nothing of steps or noise.

Known as first-block caching: what the first block changes tells well enough how much the others will change their minds.
"""

from __future__ import annotations

from collections.abc import Hashable

import torch
from torch import Tensor


class Reuse:
    """The memory of one generation. ``threshold``: how much the first block's change may differ, relative to itself; 0 never reuses."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.subject: Hashable = None
        self.known: dict[torch.Size, tuple[Tensor, Tensor]] = {}  # what the first block changed, and what the others did after it

    def about(self, subject: Hashable) -> None:
        """Forget everything unless the tokens to come are of the same ``subject`` as the last ones."""
        if subject != self.subject:
            self.known.clear()
        self.subject = subject

    def recalled(self, before: Tensor, after: Tensor) -> Tensor | None:
        """What the other blocks added last time to tokens that the first block made ``after`` of ``before``; None if it did otherwise."""
        if before.shape not in self.known:
            return None
        change, rest = self.known[before.shape]
        off = (after - before - change).abs().mean() / change.abs().mean().clamp_min(1e-9)
        return rest if off < self.threshold else None

    def keep(self, before: Tensor, after: Tensor, last: Tensor) -> None:
        """Tokens before and after the first block, and after the last."""
        self.known[before.shape] = (after - before, last - after)
