"""The way of a request: canvas, sampling, decoding; it knows nothing of where the request came from or where the file goes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from misora.canvas import fills
from misora.client.errors import GenerationError
from misora.flow.generate import Sampling, generate
from misora.model.autoencoder import GROUP, SPACE
from misora.model.weights import Weights
from misora.render.request import Request
from misora.render.video import Video
from misora.trust import policy

LAG = 0.1  # of its steps: how much later each latent frame begins than the one before, so that it can lean on it (measured: LOG.md)
Progress = Callable[[str, int, int], None]  # stage, done, in all; it may raise to cancel


@torch.inference_mode()
def render(request: Request, weights: Weights, progress: Progress = lambda stage, done, total: None) -> Video:
    """Make what ``request`` asks for. Raises UsageError (impossible), PolicyError (refused) or GenerationError (failed half-way)."""
    request.check()
    policy.gate().demand(request.prompt)
    kinds = kinds_for(request.native_frames())
    height, width = (side // SPACE for side in request.native())
    canvas = fills.text(kinds=kinds, channels=weights.autoencoder.config.channels, height=height, width=width)
    try:
        prompt, negative = weights.text.encode([request.prompt, request.negative]).chunk(2)  # 1 l d
        latents = generate(
            weights.transformer,
            canvas,
            prompt,
            negative,
            Sampling(steps=request.steps, guidance=request.guidance, seed=request.seed, lag=LAG * request.steps),
            progress=lambda done, total: progress("drawing", done, total),
        )  # 1 c t h w
        native = decode(latents, kinds, weights, progress)[: request.native_frames() + 1]  # t 3 h w, one to move towards at the end
    except (RuntimeError, MemoryError) as error:
        raise GenerationError(f"The clip could not be completed ({error}); ask for fewer seconds or a smaller size.") from error
    if not native.isfinite().all():
        raise GenerationError("The clip could not be completed (the weights gave no numbers); fetch them again or lower --guidance.")
    return Video(request=request, native=native, painter=weights.painter)


def kinds_for(frames: int) -> str:
    """The latent kinds of a clip of at least ``frames`` pixel frames: one S, then as many G as it takes."""
    return "S" + "G" * -((1 - frames) // GROUP)


def decode(latents: Tensor, kinds: str, weights: Weights, progress: Progress) -> Tensor:
    """Latents [1, c, t, h, w] as frames [t, 3, h, w], float32, about -1..1."""
    pieces = []
    for done, pixels in enumerate(weights.autoencoder.decode_stream(latents.to(weights.dtype), kinds)):
        progress("decoding", done + 1, len(kinds))
        pieces.append(pixels[0].transpose(0, 1).float())  # 1|4 3 h w
    return torch.cat(pieces)
