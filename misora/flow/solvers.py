"""One step along the flow, from each token's noise level to its next; it knows nothing of where velocities come from.

Both solvers land exactly where the flow is straight, and leave a token alone whose level does not change.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

Step = tuple[Tensor, Tensor]  # a velocity and the change of level that was made with it


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


SOLVERS = {"euler": euler, "adams": adams}
