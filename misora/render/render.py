"""The way of a request: policy, canvas, sampling, decoding; it knows nothing of where the request came from or where the file goes."""

from __future__ import annotations

import torch
from torch import Tensor

from misora.model.weights import WanWeights, Weights
from misora.render.compose import compose
from misora.render.cut import Cut
from misora.render.glimpse import Glimpses, Show, last_frame
from misora.render.native import Native, Progress, completed
from misora.render.request import Request
from misora.render.wan import render_wan
from misora.trust import policy

SHORT = 16  # latent frames: a canvas of up to so many is drawn at once, a longer one while it is delivered


@torch.inference_mode()
def render(
    request: Request,
    weights: Weights | WanWeights,
    progress: Progress = lambda stage, done, total: None,
    show: Show | None = None,
) -> Cut:
    """Make what ``request`` asks for. Raises UsageError (impossible), PolicyError (refused) or GenerationError (failed half-way).

    ``show`` is given a small picture of the work [h, w, 3] uint8 now and then. A long video is drawn while it is delivered, and anew each
    time that it is: its memory does not grow with its length.
    """
    request.check()
    for prompt in request.prompts():
        policy.gate().demand(prompt)
    if isinstance(weights, WanWeights):
        return render_wan(request, weights, progress, Glimpses(show, last_frame(weights)) if show else None)
    with completed():
        work = compose(request, weights)
    peek = Glimpses(show, last_frame(weights), work.canvas) if show else None
    native = Native(request, work, weights, progress, peek)
    frames: Tensor | Native = native
    if len(native.kinds) <= SHORT:
        frames = torch.stack(list(native))[: sum(shot.skip + shot.drawn for shot in work.shots) + 1]  # t 3 h w
    return Cut(request=request, native=frames, painter=weights.painter, shots=work.shots, rate=work.rate, source=native)
