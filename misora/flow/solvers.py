"""One step along the flow, from each token's noise level to its next; it knows nothing of where velocities come from.

All solvers land exactly where the flow is straight, and leave a token alone whose level does not change. What a solver must remember of
a token's last steps is handed to it and taken back from it; zeros stand for nothing yet.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from misora.flow.unipc import unipc

Memory = tuple[Tensor, ...]  # each [b, c or 1, t, h, w]
Step = tuple[Tensor, Tensor]  # a velocity and the change of level that was made with it
Solver = Callable[[Tensor, Tensor, Tensor, Tensor, Memory], tuple[Tensor, Memory]]  # x, velocity, level, level after, memory -> x, memory


def euler(x: Tensor, velocity: Tensor, change: Tensor, before: Step | None) -> Tensor:
    """Follow ``velocity`` [b, c, t, h, w] for ``change`` (broadcastable, negative towards clean); first order."""
    return x + change * velocity


def adams(x: Tensor, velocity: Tensor, change: Tensor, before: Step | None) -> Tensor:
    """Two-step Adams-Bashforth with steps of any length: second order for one evaluation; a token's first step is Euler's."""
    if before is None:
        return euler(x, velocity, change, None)
    last_velocity, last_change = before
    ratio = torch.where(last_change == 0, 0, change / (2 * torch.where(last_change == 0, 1, last_change)))
    return x + change * (velocity + ratio * (velocity - last_velocity))


def renew(moved: Tensor, noise: Tensor, fresh: Tensor, change: Tensor, after: Tensor, eta: float) -> Tensor:
    """``moved`` with a share ``eta`` of its noise drawn anew, so that later evaluations can mend what earlier ones got wrong.

    ``noise`` is what the step took for it and ``fresh`` what replaces it, so much that their variance stays one (as in arXiv:2010.02502);
    ``after`` is the level come to. A token whose level does not change stays.
    """
    renewed = moved + after * ((math.sqrt(1 - eta**2) - 1) * noise + eta * fresh)  # b c t h w
    return torch.where(change == 0, moved, renewed)


def _euler(x: Tensor, velocity: Tensor, level: Tensor, after: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
    return euler(x, velocity, after - level, None), ()


def _adams(x: Tensor, velocity: Tensor, level: Tensor, after: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
    change = after - level
    return adams(x, velocity, change, (memory[0], memory[1])), (velocity, change)


SOLVERS: dict[str, Solver] = {"euler": _euler, "adams": _adams, "unipc": unipc}
REMEMBERED = {"euler": "", "adams": "x1", "unipc": "xxx11"}  # what each keeps of a step: as many channels as x has, or one


def nothing_yet(solver: str, x: Tensor) -> Memory:
    """The memory of tokens like ``x`` [b, c, t, h, w] before their first step."""
    return tuple(torch.zeros_like(x if width == "x" else x[:, :1]) for width in REMEMBERED[solver])
