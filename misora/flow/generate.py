"""How noise becomes video: the one sampler, which only ever lowers noise to zero; it knows nothing of prompts, pixels or files."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from misora.canvas.canvas import Canvas
from misora.flow import path
from misora.flow.guidance import guided, scale_at
from misora.flow.schedule import schedule
from misora.flow.solvers import SOLVERS, Step
from misora.model.transformer import Transformer


@torch.inference_mode()
def generate(
    transformer: Transformer,
    canvas: Canvas,
    text: Tensor,
    null_text: Tensor,
    *,
    steps: int = 10,
    guidance: float = 3.0,
    seed: int = 0,
    interval: tuple[float, float] = (0.0, 1.0),
    shift: float = 3.0,
    lag: float = 0.0,
    solver: str = "euler",
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Fill ``canvas``: latents [b, c, t, h, w], under ``text`` [b, l, d] and away from ``null_text`` [b or 1, l, d].

    Clip i of a batch starts from noise of seed ``seed + i`` and is the same clip alone. ``interval``: the noise levels at which
    guidance is on. ``progress`` hears (steps done, steps in all) and may raise to cancel.
    """
    levels = schedule(steps, len(canvas.kinds), shift=shift, lag=lag).to(canvas.level)  # s t
    noise = seeded_noise(canvas.given, seed)  # b c t h w
    x = path.mix(canvas.given, noise, canvas.level)  # b c t h w
    before: Step | None = None
    for step in range(len(levels) - 1):
        level, after = (canvas.level * levels[step + i][:, None, None] for i in (0, 1))  # b t h w
        scale = scale_at(float(levels[step].max()), guidance, interval)
        prediction = guided(_network(transformer, canvas), x, level, text, null_text, scale)  # b c t h w
        velocity = path.velocity(prediction, x, level, transformer.config.prediction)  # b c t h w
        change = (after - level)[:, None]  # b 1 t h w
        x = SOLVERS[solver](x, velocity, change, before)  # b c t h w
        x = torch.where(canvas.level[:, None] == 0, canvas.given, x)  # b c t h w
        before = (velocity, change)
        if progress is not None:
            progress(step + 1, len(levels) - 1)
    return x


def seeded_noise(like: Tensor, seed: int) -> Tensor:
    """Noise [b, c, t, h, w] drawn on the CPU, so that every device starts from the same; clip i has seed ``seed + i``."""
    clips = [torch.randn(like.shape[1:], generator=torch.Generator().manual_seed(seed + i)) for i in range(len(like))]  # c t h w
    return torch.stack(clips).to(like)  # b c t h w


def _network(transformer: Transformer, canvas: Canvas) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    def predict(x: Tensor, level: Tensor, text: Tensor) -> Tensor:
        rows = len(x)  # b, or twice that under guidance
        kinds, times, roles = (part.expand(rows, -1) for part in (canvas.kind_indices(), canvas.times, canvas.roles))  # b t
        return transformer(x, canvas.token_level(level), text, kinds, times, roles).to(x.dtype)  # type: ignore[no-any-return]

    return predict
