"""Misora in Python: load once, generate often; it knows nothing of the command line."""

from __future__ import annotations

from pathlib import Path

from misora.model.weights import Weights, load_weights
from misora.render.render import Progress, render
from misora.render.request import SECONDS, Request
from misora.render.video import Video


class Misora:
    """The networks in memory: ``Misora(weights).generate("a red ball bounces").save("ball.mp4")``."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights

    def generate(
        self,
        prompt: str,
        *,
        negative: str = "",
        seconds: float = SECONDS,
        size: str | None = None,
        aspect: str | None = None,
        seed: int | None = None,
        steps: int = Request.steps,
        guidance: float = Request.guidance,
        progress: Progress = lambda stage, done, total: None,
    ) -> Video:
        """A video from a sentence; without a ``seed`` a new one each time (``video.request.seed``). Raises UsageError, GenerationError."""
        given = {} if seed is None else {"seed": seed}
        request = Request(
            prompt=prompt, negative=negative, seconds=seconds, size=size, aspect=aspect, steps=steps, guidance=guidance, **given
        )
        return render(request, self.weights, progress)


def load(model: str | Path = "embedded") -> Misora:
    """The networks in memory, ready to generate: the embedded weights, or those in the folder ``model``. Raises CheckpointError."""
    return Misora(load_weights(model))
