"""From a request to a canvas for weights of the Wan family and the shots that its frames become; it knows nothing of sampling or files.

Unlike the embedded weights these draw the size that is asked for, at a rate of their own, so footage is read at that size and rate.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from misora.canvas import fills
from misora.canvas.canvas import Canvas, pixel_frames
from misora.model.wan_weights import WanWeights
from misora.render.compose import Work, brought, cards_of, soft
from misora.render.cut import Shot
from misora.render.footage import Footage
from misora.render.parts import Part
from misora.render.request import NATIVE_RATE, Request
from misora.render.video import enlarge

SEEN = 6  # G frames of a given clip that what is invented beside it can see, beside an S


def lay_out(request: Request, weights: WanWeights) -> Work:
    """Lay out what ``request`` asks for. Raises UsageError where it cannot be laid out."""
    parts, rate = brought(request)
    prompts = tuple(dict.fromkeys(prompt for part in parts for prompt in part.prompts(request.prompt)))
    pieces, shots, clock, made = [], [], 0.0, 0  # seconds and frames so far
    for i, part in enumerate(parts):
        clock += part.clip.seconds if part.clip else part.seconds
        count = len(part.clip.frames) if part.clip else max(1, round(clock * rate) - made)
        made += count
        leading = i == 0 and part.clip is None and len(parts) > 1 and parts[1].given
        piece, shot = _piece(part, count, rate, drawn_size(request, weights), weights, fresh=i == 0 or part.cut, leading=leading)
        cards = cards_of(part, piece.kinds, request.prompt, prompts, weights.rate)
        pieces.append(dataclasses.replace(piece, cards=cards))
        shots.append(shot)
    shots = [_arriving(shot, after, request, weights) for shot, after in zip(shots, [*shots[1:], None], strict=True)]
    canvas = fills.join(*pieces)
    if request.loop:
        opening = parts[0].clip if parts[0].given else None
        canvas = fills.loop(canvas, _encoded(opening, range(1), drawn_size(request, weights), weights) if opening else None)
    return Work(canvas=canvas, prompts=prompts, shots=tuple(shots), rate=rate)


def _arriving(shot: Shot, after: Shot | None, request: Request, weights: WanWeights) -> Shot:
    """A drawn shot that knows the given frame after it, as it is and as the network sees it."""
    if shot.own is not None or after is None or after.own is None or not after.given or after.cut:
        return shot
    one = _encoded(Footage(frames=after.own[:1]), range(1), drawn_size(request, weights), weights)
    seen = weights.autoencoder.decode(one.given, "S")[0, :, 0].float().cpu()  # 3 h w
    return dataclasses.replace(shot, arrives=seen, arrives_at=after.own[0])


def drawn_size(request: Request, weights: WanWeights) -> tuple[int, int]:
    """Height and width that the network draws: those asked for, made up to whole tokens."""
    cell = 2 * weights.autoencoder.space
    height, width = request.delivered()
    return math.ceil(height / cell) * cell, math.ceil(width / cell) * cell


def _piece(
    part: Part, count: int, rate: float, size: tuple[int, int], weights: WanWeights, *, fresh: bool, leading: bool
) -> tuple[Canvas, Shot]:
    """A part's stretch of the canvas, and what ``count`` delivered frames show of it."""
    needed = max(1, math.ceil(count * weights.rate / rate - 1e-6))
    if part.clip is None:
        kinds = "S" * fresh + "G" * math.ceil((needed - fresh) / 4)
        cells = {"height": size[0] // weights.autoencoder.space, "width": size[1] // weights.autoencoder.space}
        skip = pixel_frames(kinds) - needed if leading else 0
        drawn = pixel_frames(kinds) - skip
        return fills.text(kinds=kinds, channels=weights.autoencoder.channels, **cells), Shot(
            count=count, drawn=drawn, skip=skip, cut=part.cut
        )
    if part.given:
        groups = min(SEEN, (needed - 1) // 4) if len(part.clip.frames) > round(rate / NATIVE_RATE) else 0
        frames = range(needed - 1 - 4 * groups, needed) if fresh else range(1 + 4 * groups)
        clip = _encoded(part.clip, frames, size, weights)
        return clip, Shot(count=count, drawn=len(frames), own=part.clip.frames, cut=part.cut)
    groups = math.ceil((needed - 1) / 4)
    clip = _encoded(part.clip, range(1 + 4 * groups), size, weights)
    where = _where(part, clip.kinds, size, weights)
    shown = soft(part, part.clip)
    return fills.inpaint(clip, where, part.strength), Shot(count=count, drawn=1 + 4 * groups, own=part.clip.frames, mask=shown)


def _encoded(clip: Footage, frames: range, size: tuple[int, int], weights: WanWeights) -> Canvas:
    """Frames of footage, counted at the network's rate, as given latents."""
    kinds = "S" + "G" * ((len(frames) - 1) // 4)
    places = [min(round(i * clip.rate / weights.rate), len(clip.frames) - 1) for i in frames]
    pixels = torch.stack([_picture(clip.frames[place], size) for place in places], 1)[None]  # 1 3 t h w
    return fills.given(weights.autoencoder.encode(pixels, kinds), kinds)


def _picture(frame: Tensor, size: tuple[int, int]) -> Tensor:
    """A frame [h, w, 3] as pixels [3, h, w] in -1..1 that cover ``size``."""
    return enlarge(frame.permute(2, 0, 1).float() / 127.5 - 1, size).permute(2, 0, 1).float() / 127.5 - 1


def _where(part: Part, kinds: str, size: tuple[int, int], weights: WanWeights) -> Tensor:
    """Which latents are reworked, [t, h, w]: those that the mask touches, in those frames that the span touches."""
    space = weights.autoencoder.space
    where, start = [], 0
    for kind in kinds:
        stop = start + pixel_frames(kind)
        seconds = start / weights.rate, stop / weights.rate
        inside = part.span is None or (seconds[0] < part.span[1] - 1e-6 and seconds[1] > part.span[0] + 1e-6)
        row = torch.ones(size[0] // space, size[1] // space)
        if part.mask is not None and part.clip is not None:
            places = sorted({min(round(i / weights.rate * part.clip.rate), len(part.mask) - 1) for i in range(start, stop)})
            mask = part.mask[places].amax(0)[None, None]  # 1 1 h w
            row = torch.nn.functional.adaptive_max_pool2d(mask, (size[0] // space, size[1] // space))[0, 0]
        where.append(row * inside)
        start = stop
    return torch.stack(where)
