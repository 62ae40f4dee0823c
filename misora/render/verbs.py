"""The verbs as requests: each says what its clip is made of; it knows nothing of how that is drawn.

Every function takes a request with the prompt and the common wishes and gives one with parts. They take footage that is in memory.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import torch
from torch import Tensor

from misora.client.errors import UsageError
from misora.render.footage import Footage, fitted, trimmed
from misora.render.parts import Part
from misora.render.request import FRAME_RATE, NATIVE_RATE, Request

IMAGE = 1 / NATIVE_RATE  # seconds that a given image stands
STRENGTHS = {"subtle": 0.6, "mild": 0.8, "strong": 0.9}  # same things; other things, same scenery; all of it (LOG.md)
OVERLAPS = {"short": 0.5, "normal": 1.0, "full": 0.0}  # seconds of a clip's end that are made anew; full: all but its first moment
LOOP = "a seamless loop"  # the prompt of a clip that is looped without one and does not say what it shows
FULL = 0.8  # strength of a full overlap
LEADS = 1.0  # seconds before its end from which a full overlap has nothing of the clip


def animate(request: Request, image: Footage | None, last: Footage | None = None) -> Request:
    """``request.seconds`` that begin with ``image`` and end with ``last``, or with one of them do that alone."""
    if image is None and last is None:
        raise UsageError("There is no picture to animate; give the first one, the last one, or both.")
    first, end = ([Part(clip=given)] if given else [] for given in (image, last))
    moving = Part(seconds=max(IMAGE, request.seconds - IMAGE * len(first + end)))
    return dataclasses.replace(request, parts=(*first, moving, *end))


def extend(request: Request, clip: Footage, *, backward: bool = False) -> Request:
    """The clip with ``request.seconds`` more after it or before it; 0 seconds are none."""
    given, more = Part(clip=clip), [Part(seconds=request.seconds)] if request.seconds else []
    return dataclasses.replace(request, parts=(*more, given) if backward else (given, *more))


def connect(request: Request, one: Footage, other: Footage) -> Request:
    """Two clips with ``request.seconds`` between them; the second takes the first one's size and frame rate."""
    return dataclasses.replace(request, parts=(Part(clip=one), Part(seconds=request.seconds), Part(clip=other)))


def loop(request: Request, clip: Footage | None = None, overlap: str = "normal") -> Request:
    """A clip without an end: from the prompt, or a given one whose end is made anew so that it flows into its beginning."""
    if overlap not in OVERLAPS:
        raise UsageError(f"The overlap {overlap!r} is not known; choose {', '.join(OVERLAPS)}.")
    if clip is None:
        if request.seconds == 0:
            raise UsageError("In 0 seconds nothing moves; give --seconds above 0.")
        return dataclasses.replace(request, loop=True)
    if clip.seconds < 2 * IMAGE:
        raise UsageError(f"{clip.name} is a picture; animate it first, or give a clip to loop.")
    start = (1 + (clip.native_frames() - 1) % 4) * IMAGE  # whole groups of frames are left
    if overlap == "full" and start < clip.seconds:
        stop = max(clip.seconds - LEADS, start)  # what leads back is forgotten: half remembered, it shows both where things are and were
        head, *rest = _recut(clip, stop, clip.seconds) if stop > start else (Part(clip=clip),)
        span = (start, stop if rest else clip.seconds)
        return dataclasses.replace(request, parts=(dataclasses.replace(head, strength=FULL, span=span), *rest), loop=True)
    anew = OVERLAPS[overlap] if 0 < OVERLAPS[overlap] < clip.seconds - IMAGE else clip.seconds - IMAGE
    return dataclasses.replace(request, parts=_recut(clip, clip.seconds - anew, clip.seconds), loop=True)


def _recut(clip: Footage, start: float, stop: float) -> tuple[Part, ...]:
    """The clip with what lies between two seconds invented anew."""
    first, last = round(start * clip.rate), round(stop * clip.rate)
    head, tail = (dataclasses.replace(clip, frames=frames, latents=None) for frames in (clip.frames[:first], clip.frames[last:]))
    anew = Part(seconds=(last - first) / clip.rate)
    return (*([Part(clip=head)] if first else []), anew, *([Part(clip=tail)] if last < len(clip.frames) else []))


def remix(request: Request, clip: Footage, strength: float | str = "mild") -> Request:
    """The clip reworked: 0 or ``subtle``, ``mild``, ``strong``, 1 made anew."""
    return dataclasses.replace(request, parts=(Part(clip=clip, strength=strength_of(strength)),))


def rework(request: Request, clip: Footage, cards: list[dict[str, Any]], strength: float | str = "mild") -> Request:
    """The clip reworked card by card, as a storyboard's are: the first is the request's prompt, ``cut`` says where the clip jumps."""
    clock, shots = 0.0, list[list[tuple[float, str | None]]]()  # for each, its prompts behind the seconds from which they rule
    for number, card in enumerate(cards):
        if card.get("cut") or not number:
            shots.append([])
        shots[-1].append((clock, card["prompt"] if number else None))
        clock += card["seconds"]
    parts = []
    for number, (shot, coming) in enumerate(itertools.zip_longest(shots, shots[1:])):
        start, stop = (math.ceil(second * clip.rate - 1e-6) for second in (shot[0][0], coming[0][0] if coming else clip.seconds))
        start = min(start, len(clip.frames) - 1)  # cards may last a little longer than the clip
        own = dataclasses.replace(clip, frames=clip.frames[start : max(stop, start + 1)], latents=None) if len(shots) > 1 else clip
        later = tuple((second - shot[0][0], prompt) for second, prompt in shot[1:] if prompt)
        parts.append(Part(clip=own, prompt=shot[0][1], strength=strength_of(strength), cut=number > 0, later=later))
    return dataclasses.replace(request, parts=tuple(parts))


def strength_of(text: float | str) -> float:
    """A number from 0 to 1, or one of the named strengths. Raises UsageError."""
    if isinstance(text, str) and text in STRENGTHS:
        return STRENGTHS[text]
    try:
        number = float(text)
    except ValueError:
        raise UsageError(f"The strength {text!r} is not known; give a number from 0 to 1, or {', '.join(STRENGTHS)}.") from None
    if not 0 <= number <= 1:
        raise UsageError(f"The strength {number:g} is out of range; give a number from 0, unchanged, to 1, made anew.")
    return number


def inpaint(
    request: Request,
    clip: Footage,
    *,
    mask: Tensor | None = None,
    box: tuple[int, int, int, int] | None = None,
    span: tuple[float, float] | None = None,
    strength: float = 1.0,
) -> Request:
    """Only a part of the clip is made anew: inside ``mask`` [t or 1, h, w] or ``box`` (left, top, width, height), within ``span``."""
    if mask is None and box is None and span is None:
        raise UsageError("Nothing says what to change; give --mask FILE, --box x,y,w,h, or --from and --to.")
    if box is not None:
        mask = box_mask(box, clip.size)
    part = Part(clip=clip, strength=strength, span=span)
    part.check()
    if span is not None and mask is None and strength == 1 and _divides(clip, *span):
        return dataclasses.replace(request, parts=_recut(clip, *span))
    size = request.delivered() if request.size or request.aspect else dataclasses.replace(request, parts=(Part(clip=clip),)).delivered()
    if mask is not None and tuple(mask.shape[1:]) != size:
        picture = (mask.clamp(0, 1) * 255).to(torch.uint8)[..., None].expand(-1, -1, -1, 3)  # t h w 3
        mask = (fitted(Footage(frames=picture, name="the mask"), size).frames[..., 0] > 127).float()  # t h w
    return dataclasses.replace(request, parts=(dataclasses.replace(part, mask=mask),))


def _divides(clip: Footage, start: float, stop: float) -> bool:
    """Whether something is left beside a span, and on each side either nothing or at least a frame of the network's."""
    sides = (start, max(0.0, clip.seconds - stop))
    return any(round(side * clip.rate) for side in sides) and all(round(side * clip.rate) == 0 or side >= IMAGE - 1e-6 for side in sides)


def box_mask(box: tuple[int, int, int, int], size: tuple[int, int]) -> Tensor:
    """A mask [1, h, w] of a box given by its left, top, width and height in pixels. Raises UsageError."""
    left, top, width, height = box
    if width < 1 or height < 1 or left >= size[1] or top >= size[0] or left + width <= 0 or top + height <= 0:
        raise UsageError(f"The box {left},{top},{width},{height} lies outside the picture of {size[1]}x{size[0]}; write it as x,y,w,h.")
    mask = torch.zeros(1, *size)
    mask[:, max(0, top) : top + height, max(0, left) : left + width] = 1
    return mask


def storyboard(request: Request, cards: list[dict[str, Any]]) -> Request:
    """One clip of several cards in order; a card has ``prompt`` and ``seconds``, and where wanted ``image``, ``clip`` and ``cut``.

    A card begins with what it is given: a clip longer than the card is cut short, and one in a card without ``seconds`` is its length.
    """
    parts: list[Part] = []
    for card in cards:
        prompt, seconds, given = card.get("prompt"), card.get("seconds"), card.get("clip") or card.get("image")
        left = float(seconds or 0.0)
        if given is not None:
            given = given if seconds is None else trimmed(given, 0.0, left)
            parts.append(Part(clip=given, prompt=prompt, cut=bool(card.get("cut"))))
            left = left - given.seconds if len(given.frames) > 1 else max(IMAGE, left - IMAGE)
        if left > (0 if given is None else 1 / FRAME_RATE):
            parts.append(Part(seconds=left, prompt=prompt, cut=bool(card.get("cut")) and given is None))
    return dataclasses.replace(request, parts=tuple(parts))
