"""Video without end: the sampler behind a window that slides, from which frames leave as they become clean; it knows no pixels or files.

The levels rise along time (``Sampling.lag``), so only some frames are under way at once. The network sees those, a few clean ones before
them, given ones close behind them, and all references: what a second of video costs does not depend on how long the video is.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from misora.canvas.canvas import REFERENCE, Canvas
from misora.flow.generate import PLAIN, Peek, Progress, Sampling, sample, turning
from misora.model.transformer import Transformer

PAST = 4  # clean latent frames that the network still sees: 1.3 seconds
AHEAD = 12  # latent frames behind those under way within which a given one is seen coming: a last image is known from the start


@torch.inference_mode()
def stream(
    transformer: Transformer,
    canvas: Canvas,
    text: Tensor,
    null_text: Tensor,
    how: Sampling = PLAIN,
    progress: Progress | None = None,
    peek: Peek | None = None,
) -> Iterator[Tensor]:
    """The clip's latent frames [b, c, h, w] in order, each as soon as it is clean; arguments as those of ``generate``."""
    waiting, work = canvas.shown(), canvas.work()
    for x, level in sample(transformer, canvas, text, null_text, how, turning() if canvas.ring else sliding, progress, peek):
        while waiting and (level[waiting[0]] == 0 or not work[waiting[0]]):
            yield x[:, :, waiting.pop(0)]


def sliding(canvas: Canvas, level: Tensor, after: Tensor) -> list[int]:
    """The frames that the network sees while levels go from ``level`` [t] to ``after`` [t]; none where nothing changes."""
    moving = ((level != after) & canvas.work()).nonzero().flatten().tolist()
    if not moving:
        return []
    first, last = min(_steady(canvas, moving)), max(_steady(canvas, moving))
    clean = ((level == 0) | ~canvas.work()).nonzero().flatten().tolist()  # given, or tied to what is done
    near = [i for i in (*clean, *moving) if last < i <= last + AHEAD]  # of tied frames far off only the first is drawn
    seen = {*range(max(0, first - PAST), last + 1), *near}
    return sorted(seen | {i for i, role in enumerate(canvas.roles.tolist()) if role == REFERENCE})


def _steady(canvas: Canvas, moving: list[int]) -> list[int]:
    """The moving frames without those that move early only because they are tied to a first one."""
    late = {b for _, b in canvas.tied}
    return [i for i in moving if i not in late] or moving
