"""A request drawn with weights of the Wan family, at their own rate and the size that is asked for; it knows nothing of files.

What these weights learned decides what may be asked of them: ``LEARNED`` is the whole table.
"""

from __future__ import annotations

import dataclasses
import json
import math
import warnings
from collections.abc import Callable, Collection, Iterator
from typing import Any

import torch
from torch import Tensor

from misora.canvas import fills
from misora.canvas.canvas import Canvas
from misora.client.errors import GenerationError, UsageError
from misora.flow.generate import Peek, Sampling, generate
from misora.model.weights import WanWeights, Weights
from misora.render.cut import Cut, Shot, at_rate
from misora.render.footage import Footage, Notice
from misora.render.native import Progress, completed
from misora.render.request import FRAME_RATE, SECONDS, Request
from misora.render.video import enlarge

NATIVE, APPROXIMATE = "native", "approximate"
# verb -> what weights learned of it that were (True) or were not (False) trained with a clean first frame; all other verbs are refused.
LEARNED = {
    "generate": {True: NATIVE, False: NATIVE},
    "image": {True: NATIVE, False: NATIVE},
    "animate": {True: NATIVE, False: APPROXIMATE},
}
LONGEST = 3 * SECONDS  # seconds: what these weights were trained on is five


@dataclasses.dataclass(frozen=True, kw_only=True)
class Film(Cut):
    """Frames of the size and rate that the network drew, enlarged and repeated only where something else was asked for."""

    drawn_rate: float

    def stream(self) -> Iterator[Tensor]:
        """The delivered frames [h, w, 3] uint8 RGB."""
        frames = (enlarge(frame, self.request.delivered()) for frame in self.native)
        return at_rate(frames, self.drawn_rate, self.rate, self.shots[0].count)

    def notes(self) -> dict[str, str]:
        """What the file says of itself."""
        made: dict[str, Any] = json.loads(super().notes()["comment"])
        height, width = next(iter(self.native)).shape[1:]
        told = json.dumps(made | {"native": f"{width}x{height}", "native_rate": self.drawn_rate}, ensure_ascii=False)
        return super().notes() | {"comment": told}


@torch.inference_mode()
def render_wan(request: Request, weights: WanWeights, progress: Progress, peek: Peek | None = None) -> Film:
    """Draw a checked request. Raises UsageError (not learned), GenerationError (failed half-way)."""
    verb = verb_of(request)
    if LEARNED[verb][weights.given_first] == APPROXIMATE:
        warnings.warn(f"These weights never learned to {verb}: what comes out is approximate; wan2.2-ti2v-5b did.", Notice, stacklevel=2)
    with completed():
        canvas = lay_out(request, weights)
        progress("reading", 0, 1)
        told, negative = weights.text.encode([request.prompt, request.negative])[:, None].unbind(0)  # 1 l d
        how = Sampling(steps=request.steps, guidance=request.guidance, seed=request.seed, shift=weights.shift, solver=weights.solver)
        said: Callable[[int, int], None] = lambda done, of: progress("drawing", done, of)
        latents = generate(weights.transformer, canvas, told, negative, how, said, peek)
        frames = []
        for pixels in weights.autoencoder.decode_stream(latents, canvas.kinds):
            if not pixels.isfinite().all():
                raise GenerationError(
                    "The clip could not be completed (the weights gave no numbers); fetch them again or lower --guidance."
                )
            frames.append(pixels[0].transpose(0, 1).float())  # 1|4 3 h w
            progress("decoding", len(frames), len(canvas.kinds))
    native = torch.cat(frames)  # t 3 h w
    shot = Shot(count=request.frames(), drawn=len(native))
    return Film(request=request, native=native, shots=(shot,), rate=FRAME_RATE, drawn_rate=weights.rate)


def suited(request: Request, weights: Weights | WanWeights, said: Collection[str]) -> Request:
    """The request with the steps and the guidance that Wan's weights want, where the person ``said`` neither."""
    if not isinstance(weights, WanWeights):
        return request
    steps = request.steps if "steps" in said else weights.steps
    return dataclasses.replace(request, steps=steps, guidance=request.guidance if "guidance" in said else weights.guidance)


def verb_of(request: Request) -> str:
    """Which verb a request comes of, if it is one that Wan's weights can draw. Raises UsageError."""
    parts, can = request.parts, ", ".join(LEARNED)
    if request.seconds > LONGEST:
        raise UsageError(f"These weights draw at most {LONGEST:g} seconds at once; ask for fewer, or use the embedded ones.")
    if request.loop or request.references or any(part.prompt is not None for part in parts):
        raise UsageError(f"Wan's weights have learned {can} and nothing else here; use --model embedded for the other verbs.")
    if not parts:
        return "generate" if request.seconds else "image"
    first = parts[0].clip
    if len(parts) == 2 and parts[0].given and first and len(first.frames) == 1 and parts[1].clip is None:
        return "animate"
    raise UsageError(f"Wan's weights have learned {can} and nothing else here; use --model embedded for the other verbs.")


def lay_out(request: Request, weights: WanWeights) -> Canvas:
    """The canvas of a request: all to be invented, or a first frame given."""
    space = weights.autoencoder.space
    height, width = drawn_size(request, weights)
    count = math.ceil((request.frames() / FRAME_RATE * weights.rate - 1) / 4) if request.frames() > 1 else 0
    blank = fills.text(kinds="S" + "G" * count, channels=weights.autoencoder.channels, height=height // space, width=width // space)
    if not request.parts or request.parts[0].clip is None:
        return blank
    first = fills.given(weights.autoencoder.encode(picture(request.parts[0].clip, (height, width)), "S"), "S")
    return fills.join(first, fills.like(first, "G" * count)) if count else first


def drawn_size(request: Request, weights: WanWeights) -> tuple[int, int]:
    """Height and width that the network draws: those asked for, made up to whole tokens."""
    cell = 2 * weights.autoencoder.space
    height, width = request.delivered()
    return math.ceil(height / cell) * cell, math.ceil(width / cell) * cell


def picture(image: Footage, size: tuple[int, int]) -> Tensor:
    """The first frame of footage as pixels [1, 3, 1, h, w] in -1..1 that cover ``size``."""
    frame = image.frames[0].permute(2, 0, 1).float() / 127.5 - 1  # 3 h w
    return enlarge(frame, size).permute(2, 0, 1)[None, :, None].float() / 127.5 - 1
