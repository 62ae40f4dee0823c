"""From a request to a canvas and the shots that its frames become; it knows nothing of sampling, of painting or of files."""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from misora.canvas import fills
from misora.canvas.canvas import Canvas, pixel_frames
from misora.client.errors import UsageError
from misora.model.autoencoder import GROUP, SPACE
from misora.model.weights import Weights
from misora.render.cut import Shot
from misora.render.footage import TAIL, Footage, Notice, at_pace, feathered, fitted, mask_to_native, to_native
from misora.render.parts import Part, Role, cast
from misora.render.request import FRAME_RATE, NATIVE_RATE, Request

LOOKED_AT = 13  # native frames of a reference: one S and three G
MIDST = GROUP // 2  # native frames of its first group that a ring begins behind: its frames flow better than its groups
BEYOND = 2  # groups of a looped clip's beginning that are seen behind its end


@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """What is to be done: a canvas, the text of each of its cards, and what becomes of the frames that are drawn on it."""

    canvas: Canvas
    prompts: tuple[str, ...]
    shots: tuple[Shot, ...]
    rate: float  # delivered frames per second
    run_in: str = ""  # kinds of what a ring is decoded behind


def compose(request: Request, weights: Weights) -> Work:
    """Lay out what ``request`` asks for. Raises UsageError where it cannot be laid out."""
    parts, rate = brought(request)
    roles = cast(parts, loop=request.loop)
    if len(roles) == 2 and roles[0].part.given and roles[1].part.clip is None:
        roles[0] = _kept(roles[0], request, weights)
    prompts = tuple(dict.fromkeys(prompt for part in parts for prompt in part.prompts(request.prompt)))
    pieces = []
    for role in roles:
        piece = _piece(role, request, weights)
        pieces.append(dataclasses.replace(piece, cards=cards_of(role.part, role.kinds, request.prompt, prompts)))
    canvas = fills.join(*pieces)
    run_in = fills.run_in(canvas.kinds) if request.loop and parts[0].clip is None and canvas.kinds[0] == "G" else ""
    if request.loop:
        canvas = _closed(canvas, parts[0], request, weights)
    for shown in request.references:
        canvas = fills.reference(canvas, _reference(shown, request, weights))
    skip = pixel_frames(run_in) + MIDST if run_in else 0
    return Work(
        canvas=canvas.to(weights.device),
        prompts=prompts,
        shots=tuple(_shots(roles, request, weights, rate, skip)),
        rate=rate,
        run_in=run_in,
    )


def brought(request: Request) -> tuple[tuple[Part, ...], float]:
    """The parts of a request with their clips at the video's size and frame rate, and that rate. Raises UsageError."""
    parts = tuple(_fit(part, request) for part in request.parts) or (Part(seconds=max(request.seconds, 1e-9)),)
    rate = next((part.clip.rate for part in parts if part.clip and len(part.clip.frames) > 1), FRAME_RATE)
    if request.loop and parts[-1].given:
        raise UsageError("A loop cannot end on a given clip; put a stretch to be invented after it.")
    return tuple(_at_rate(part, rate) for part in parts), rate


def _closed(canvas: Canvas, first: Part, request: Request, weights: Weights) -> Canvas:
    """The canvas closed into a ring, on the clip's own beginning where that is given: what comes sees where it goes, and how fast."""
    if first.clip is None or bool((canvas.level[:, 0] > 0).any()):
        return fills.loop(canvas)
    kinds = "S" + "G" * min(BEYOND, (first.clip.native_frames() - 1) // GROUP)
    seen = to_native(first.clip, request.native(), range(pixel_frames(kinds)))
    return fills.loop(canvas, fills.given(encode(seen, kinds, weights), kinds))


def _kept(role: Role, request: Request, weights: Weights) -> Role:
    """A given clip whose latents are at hand keeps them: what follows goes on from what was drawn, not from what was seen of it."""
    clip = role.part.clip
    assert clip
    size = tuple(side // SPACE for side in request.native())
    if clip.latents is None or clip.latents.shape[3:] != size or clip.code != weights.autoencoder.code():
        return role
    kinds = clip.kinds[-TAIL:]
    if not 0 <= clip.unseen < pixel_frames(kinds):
        return role
    return dataclasses.replace(role, kinds=kinds, frames=range(pixel_frames(kinds) - clip.unseen), kept=True)


def _fit(part: Part, request: Request) -> Part:
    return dataclasses.replace(part, clip=fitted(part.clip, request.delivered())) if part.clip else part


def _at_rate(part: Part, rate: float) -> Part:
    """The part with its clip at the video's frame rate; an image lasts one frame of the network's."""
    clip = part.clip
    if clip is None or (len(clip.frames) > 1 and clip.rate == rate):
        return part
    if len(clip.frames) == 1:
        frames = clip.frames.expand(max(1, round(rate / NATIVE_RATE)), -1, -1, -1)  # t h w 3
        return dataclasses.replace(part, clip=dataclasses.replace(clip, frames=frames, rate=NATIVE_RATE * len(frames)))
    warnings.warn(f"{clip.name} has {clip.rate:g} frames per second; the video has {rate:g}.", Notice, stacklevel=2)
    return dataclasses.replace(part, clip=at_pace(clip, rate))


def cards_of(part: Part, kinds: str, asked: str, prompts: Sequence[str], rate: float = NATIVE_RATE) -> Tensor:
    """Which of ``prompts`` rules each latent frame of a part, [t]: the one that rules the middle of what it shows."""
    numbers = [prompts.index(prompt) for prompt in part.prompts(asked)]
    middles = [(first + stop - 1) / 2 / rate for first, stop in _pixel_spans(kinds)]  # seconds
    return torch.tensor([numbers[sum(start <= middle for start, _ in part.later)] for middle in middles], dtype=torch.long)


def _piece(role: Role, request: Request, weights: Weights) -> Canvas:
    """A part's stretch of the canvas."""
    native, part = request.native(), role.part
    if part.clip is None:
        height, width = (side // SPACE for side in native)
        return fills.text(kinds=role.kinds, channels=weights.autoencoder.config.channels, height=height, width=width)
    if role.kept:
        assert part.clip.latents is not None
        return fills.given(part.clip.latents[:, :, -len(role.kinds) :], role.kinds)
    clip = fills.given(encode(to_native(part.clip, native, role.frames), role.kinds, weights), role.kinds)
    if part.given:
        return clip
    where = torch.ones(clip.level.shape[1:]) if part.mask is None else _latent_mask(part.mask, role, native)  # t h w
    if part.span:
        spans = [(start - role.skip, stop - role.skip) for start, stop in _pixel_spans(role.kinds)]
        inside = [start / 12 < part.span[1] - 1e-6 and stop / 12 > part.span[0] + 1e-6 for start, stop in spans]
        where = where * torch.tensor(inside)[:, None, None]
    return fills.inpaint(clip, where, part.strength)


def encode(pixels: Tensor, kinds: str, weights: Weights) -> Tensor:
    """Native pixels [1, 3, t, h, w] as latents on the CPU, in pieces of no more than a few seconds' memory."""
    return weights.autoencoder.encode(pixels.to(weights.device, weights.dtype), kinds).float().cpu()


def _pixel_spans(kinds: str) -> list[tuple[int, int]]:
    lengths = [GROUP if kind == "G" else 1 for kind in kinds]
    ends = list(itertools.accumulate(lengths))
    return [(end - length, end) for end, length in zip(ends, lengths, strict=True)]


def _latent_mask(mask: Tensor, role: Role, native: tuple[int, int]) -> Tensor:
    """Which latents a mask [t or 1, h, w] of the delivered frames touches, [t, h/8, w/8]."""
    assert role.part.clip
    rows = []
    for start, stop in _pixel_spans(role.kinds):
        places = {min(round(i * role.part.clip.rate / 12), len(mask) - 1) for i in role.frames[start:stop]}
        seen = torch.stack([mask_to_native(mask[place], native) for place in sorted(places)]).amax(0)  # h w
        rows.append(seen.view(native[0] // SPACE, SPACE, native[1] // SPACE, SPACE).amax((1, 3)) > 0.05)  # h/8 w/8
    return torch.stack(rows).float()


def _reference(shown: Footage, request: Request, weights: Weights) -> Canvas:
    frames = min(LOOKED_AT, 1 + GROUP * ((shown.native_frames() - 1) // GROUP))
    kinds = "S" + "G" * ((frames - 1) // GROUP)
    pixels = to_native(fitted(shown, request.delivered()), request.native(), range(frames))
    return fills.given(encode(pixels, kinds, weights), kinds)


def _shots(roles: list[Role], request: Request, weights: Weights, rate: float, skip: int) -> Iterator[Shot]:
    """What is delivered of each part; stretches to be invented that go on from each other are one shot. ``skip``: of the ring's run-in."""
    clock, made, done = 0.0, 0, 0  # seconds, frames and roles so far
    ring = [dataclasses.replace(roles[0], frames=range(1))] if request.loop and roles[0].part.clip else []
    while done < len(roles):
        first, end = roles[done], done + 1
        while first.part.clip is None and end < len(roles) and roles[end].part.clip is None and not roles[end].part.cut:
            end += 1
        members, done = roles[done:end], end
        lasting = sum(role.seconds for role in members)
        clock += lasting
        if first.part.clip:
            shot = _own_shot(first)
        else:
            drawn = sum(role.count for role in members)
            pace = drawn / (NATIVE_RATE * lasting) if members[-1].fixed else 1.0
            after = next((role for role in (roles[end : end + 1] or ring) if role.part.begins and not role.part.cut), None)
            seen, at = _arrival(after, request, weights) if after else (None, None)
            count = max(1, round(clock * rate) - made)
            shot = Shot(count=count, drawn=drawn, skip=skip + first.skip, arrives=seen, arrives_at=at, pace=pace, cut=first.part.cut)
        made += shot.count
        yield shot


def _own_shot(role: Role) -> Shot:
    """What is delivered of a clip, as it was brought or reworked."""
    part, clip = role.part, role.part.clip
    assert clip
    if part.given:
        return Shot(count=len(clip.frames), drawn=role.count, own=clip.frames, cut=part.cut)
    if part.span and part.mask is None:
        first, last = (min(round(second * clip.rate), len(clip.frames)) for second in part.span)
        return Shot(count=len(clip.frames), drawn=role.count, skip=role.skip, own=clip.frames, span=(first, last))
    return Shot(count=len(clip.frames), drawn=role.count, skip=role.skip, own=clip.frames, mask=soft(part, clip), cut=part.cut)


def _arrival(role: Role, request: Request, weights: Weights) -> tuple[Tensor, Tensor]:
    """The first native frame of a given part as the network sees it, [3, h, w], and as it is, [h, w, 3]."""
    assert role.part.clip
    latent = encode(to_native(role.part.clip, request.native(), role.frames[:1]), "S", weights)
    seen = weights.autoencoder.decode(latent.to(weights.device, weights.dtype), "S")[0, :, 0].float().cpu()  # 3 h w
    return seen, role.part.clip.frames[0]


def soft(part: Part, clip: Footage) -> Tensor:
    """Where the drawn frames are shown instead of the clip's own, [t or 1, h, w]."""
    mask = torch.ones(1, 1, 1) if part.mask is None else torch.stack([feathered(frame) for frame in part.mask])  # t|1 h|1 w|1
    if part.span is None:
        return mask
    first, last = (round(second * clip.rate) for second in part.span)
    index = torch.arange(len(clip.frames))  # n
    inside = ((index >= first) & (index < last)).float()[:, None, None]  # n 1 1
    return mask[index.clamp_max(len(mask) - 1)] * inside  # the last of a mask that is too short stays
