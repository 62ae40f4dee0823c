"""Misora: an open, self-hosted Sora. ``misora.load().generate("a red ball bounces").save("ball.mp4")``; it loads nothing until asked."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

warnings.filterwarnings("ignore", message="Failed to initialize NumPy")  # torch says so where numpy is absent; here nothing needs it

__version__ = "0.1.0"

if TYPE_CHECKING:
    from collections.abc import Mapping

    from misora.render.engine import Misora


def load(
    model: str = "embedded",
    loras: Mapping[str, float] | None = None,
    *,
    live: bool = False,
    pack: str | None = None,
    device: str | None = None,
    memory: float | None = None,
) -> Misora:
    """The networks in memory: the embedded weights, or those of ``model``: a name, a hub id, a folder. Raises CheckpointError.

    For weights of the Wan family: ``loras``, LoRA files and how strong each is, merged, or ``live``: then ``.loras`` of what is given back
    holds their strengths, to be changed between two videos; ``pack``, "int8" or "fp8" bytes for the matrices; ``device`` (None: the best
    there is); ``memory``, the gigabytes to take at most (None: what is free).
    """
    from misora.cli.simulate import staged
    from misora.render.engine import load as load_engine

    return load_engine(model, loras, live=live, pack=pack, device=device, memory=memory, stage=staged)
