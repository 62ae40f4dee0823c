"""A head that reads colour and shape off the transformer's middle layer while it trains; it is dropped at export.

Measured: it made samples count (see docs/training.md), since the middle of the network learns early what stands where.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from misora.words.graph import COLOURS, SHAPES


class TruthHead(nn.Module):
    """Linear classifiers of every token's colour and shape."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width)
        self.colour = nn.Linear(width, 1 + len(COLOURS))
        self.shape = nn.Linear(width, 1 + len(SHAPES))

    def forward(self, hidden: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy of both readings; ``hidden`` [b, n, d], ``labels`` [b, 2, t, h/2, w/2] as in the shards."""
        normed = self.norm(hidden)  # b n d
        colours, shapes = labels.flatten(2).long().unbind(1)  # b n each
        of_colour = F.cross_entropy(self.colour(normed).float().flatten(0, 1), colours.flatten())
        of_shape = F.cross_entropy(self.shape(normed).float().flatten(0, 1), shapes.flatten())
        return of_colour + of_shape
