"""Misora: an open, self-hosted Sora. ``misora.load().generate("a red ball bounces").save("ball.mp4")``; it loads nothing until asked."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

warnings.filterwarnings("ignore", message="Failed to initialize NumPy")  # torch says so where numpy is absent; here nothing needs it

__version__ = "0.1.0"

if TYPE_CHECKING:
    from misora.render.engine import Misora


def load(model: str = "embedded") -> Misora:
    """The networks in memory, ready to generate: the embedded weights, or those in the folder ``model``. Raises CheckpointError."""
    from misora.render.engine import load as load_engine

    return load_engine(model)
