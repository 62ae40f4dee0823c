"""Which noise levels sampling passes through; it knows nothing of what lies at them."""

from __future__ import annotations

import torch
from torch import Tensor


def shifted(level: Tensor, shift: float) -> Tensor:
    """Move levels towards noise, where layout is decided, for ``shift`` > 1 (arXiv:2403.03206); 0 and 1 stay."""
    return shift * level / (1 + (shift - 1) * level)


def schedule(
    steps: int, order: Tensor, *, shift: float = 1.0, lag: float = 0.0, more: Tensor | None = None, stops: tuple[float, ...] = ()
) -> Tensor:
    """Levels [rows, t] from all 1 to all 0; ``steps`` of them bring one frame down. ``order`` [t]: whose turn comes when, from 0 on.

    ``stops``: the levels that a frame's steps begin at, for networks that were taught only these; they rule instead of the other numbers.
    With ``lag`` each frame starts that many steps after the one before it in order, so that later frames lean on clean earlier ones;
    there are then ``ceil(lag * order.max())`` rows more. ``more`` [t]: steps that a frame takes beside those; the frames after it wait.
    """
    if stops:
        return torch.tensor([*stops, 0.0])[:, None].expand(-1, len(order))  # rows t
    extra = torch.zeros_like(order, dtype=torch.float64) if more is None else more.double()  # t
    waited = (extra * (order < order[:, None])).sum(1)  # t
    delay = lag * order.double() + waited  # t
    rows = int(torch.ceil((delay + steps + extra).max())) + 1
    done = (torch.arange(rows, dtype=torch.float64)[:, None] - delay) / (steps + extra)  # rows t
    return shifted(1 - done.clamp(0, 1), shift).float()
