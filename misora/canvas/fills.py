"""The fills: each verb's way to fill a canvas, and the noise levels of its frames; it knows nothing of networks or of files.

A fill takes canvases and gives a canvas, so that any two compose: ``loop(storyboard([animate(...), text(...)]))``. The parts of a clip
are ``given`` latents and ``text`` to be invented; most verbs only ``join`` them. Serving (``render/compose.py``) joins them too, part by
part, and training (``draw.py``) draws from the same levels: tests hold both to what each verb's function here gives.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from misora.canvas.canvas import PATCH, REFERENCE, SHOWN, Canvas, taken, times_of

AWAY = 16.0  # latent frames between a reference and the clip, at least
WHOLE = 13  # latent frames that the network sees at once without going beyond what it learned: a ring of more slides
LEANS = 2  # latent frames that a frame's decoder leans on


def text(*, kinds: str, channels: int, height: int, width: int, batch: int = 1) -> Canvas:
    """Text to video: everything is to be invented. ``height`` and ``width`` are in latents, both even."""
    frames = len(kinds)
    return Canvas(
        given=torch.zeros(batch, channels, frames, height, width),  # b c t h w
        level=torch.ones(batch, frames, height, width),  # b t h w
        kinds=kinds,
        times=times_of(kinds),  # t
        roles=torch.full((frames,), SHOWN),  # t
        cards=torch.zeros(frames, dtype=torch.long),  # t
    )


def image(*, channels: int, height: int, width: int, batch: int = 1) -> Canvas:
    """Text to image: a video of one frame."""
    return text(kinds="S", channels=channels, height=height, width=width, batch=batch)


def given(latents: Tensor, kinds: str) -> Canvas:
    """Latents [b, c, t, h, w] that stay what they are."""
    batch, channels, _, height, width = latents.shape
    blank = text(kinds=kinds, channels=channels, height=height, width=width, batch=batch)
    return dataclasses.replace(blank, given=latents.float(), level=torch.zeros_like(blank.level))


def like(canvas: Canvas, kinds: str) -> Canvas:
    """A stretch to be invented, as large as ``canvas``."""
    batch, channels, _, height, width = canvas.given.shape
    return text(kinds=kinds, channels=channels, height=height, width=width, batch=batch)


def join(*parts: Canvas) -> Canvas:
    """Parts one after the other in time; each keeps its levels and cards."""
    starts = [sum(len(part.kinds) for part in parts[:i]) for i in range(len(parts))]
    kinds = "".join(part.kinds for part in parts)
    return Canvas(
        given=torch.cat([part.given for part in parts], 2),  # b c t h w
        level=torch.cat([part.level for part in parts], 1),  # b t h w
        kinds=kinds,
        times=times_of(kinds),  # t
        roles=torch.cat([part.roles for part in parts]),  # t
        cards=torch.cat([part.cards for part in parts]),  # t
        tied=tuple((a + start, b + start) for part, start in zip(parts, starts, strict=True) for a, b in part.tied),
    )


def animate(first: Canvas, kinds: str, last: Canvas | None = None) -> Canvas:
    """``kinds`` of frames to be invented between a first image and, where there is one, a last."""
    return join(first, like(first, kinds), *([last] if last else []))


def extend(clip: Canvas, kinds: str) -> Canvas:
    """The clip and what comes after it. ``kinds`` of G alone go on without a seam."""
    return join(clip, like(clip, kinds))


def extend_backward(clip: Canvas, kinds: str) -> Canvas:
    """What led to the clip, and the clip, which begins with an S."""
    return join(like(clip, kinds), clip)


def connect(one: Canvas, other: Canvas, kinds: str) -> Canvas:
    """Two clips and a way from the one to the other."""
    return join(one, like(one, kinds), other)


def loop(canvas: Canvas, again: Canvas | None = None) -> Canvas:
    """The canvas closed into a ring.

    Where it begins with an S, that follows its end once more, not to be shown: ``again`` where it is given, else a copy that is tied to
    it. Where it begins with a G it is a ring that has no beginning: the sampler looks at it from another frame on in each step. One that is
    too long for that comes behind a run-in, not to be shown: an S, and its own last two frames, tied to them. What is decoded then repeats
    for ever, and a whole number of G lasts exactly as long as was asked.
    """
    if again is None and canvas.kinds[0] == "G":
        count, kinds = len(canvas.kinds), run_in(canvas.kinds)
        if count <= WHOLE:
            return dataclasses.replace(canvas, ring=True)
        last = dataclasses.replace(like(canvas, kinds), cards=canvas.cards[-1:].expand(len(kinds)))
        return dataclasses.replace(join(last, canvas), tied=tuple((i, i + count) for i in range(1, len(kinds))))
    again = again or taken(canvas, [0])
    joined = join(canvas, dataclasses.replace(again, cards=canvas.cards[-1:].expand(len(again.kinds))))
    ends = ((0, len(canvas.kinds)),) if bool((again.level > 0).any()) else ()
    return dataclasses.replace(joined, tied=canvas.tied + ends)


def run_in(kinds: str) -> str:
    """What a ring of these kinds is decoded behind: an S to start from, and its last frames, which its first one leans on."""
    return "S" + kinds[-LEANS:]


def loop_clip(clip: Canvas, frames: int, strength: float = 1.0, again: Canvas | None = None) -> Canvas:
    """A given clip whose last ``frames`` latent frames are reworked so that it flows into its beginning: its first frame, or ``again``."""
    keep = len(clip.kinds) - frames
    head, tail = taken(clip, range(keep)), taken(clip, range(keep, len(clip.kinds)))
    return loop(join(head, remix(tail, strength)), again)


def remix(clip: Canvas, strength: float) -> Canvas:
    """The whole clip reworked: 0 leaves it, 1 forgets it (SDEdit, arXiv:2108.01073)."""
    return dataclasses.replace(clip, level=torch.full_like(clip.level, strength))


def inpaint(clip: Canvas, mask: Tensor, strength: float = 1.0) -> Canvas:
    """Only what the mask [t, h, w] of latents covers is reworked, in whole tokens; a mask of whole frames is a re-cut."""
    covered = mask.reshape(*mask.shape[:1], mask.shape[1] // PATCH, PATCH, mask.shape[2] // PATCH, PATCH).amax((2, 4)) > 0  # t h/2 w/2
    whole = covered.repeat_interleave(PATCH, 1).repeat_interleave(PATCH, 2)  # t h w
    return dataclasses.replace(clip, level=within(torch.full_like(clip.level, strength), whole))


def storyboard(cards: Sequence[Canvas]) -> Canvas:
    """One canvas for each card, in order; each card's text rules its own frames."""
    numbered = [dataclasses.replace(card, cards=torch.full_like(card.cards, number)) for number, card in enumerate(cards)]
    return join(*numbered)


def reference(canvas: Canvas, shown: Canvas) -> Canvas:
    """The canvas behind latents to look at, of a character or a style: far off in time, given, never part of the clip."""
    count = len(shown.kinds)
    joined = join(shown, canvas)
    roles = torch.cat((torch.full((count,), REFERENCE), canvas.roles))  # t
    times = torch.cat((away(shown.times, canvas.times.min(), AWAY), canvas.times))  # t
    return dataclasses.replace(joined, roles=roles, times=times, ring=canvas.ring)


def keep_ends(frames: int, first: Tensor, last: Tensor) -> Tensor:
    """Levels [b, t] that keep the ``first`` [b] and the ``last`` [b] latent frames and invent what lies between.

    One frame at the start animates an image, more extend a clip; frames at the end extend backward; both ends connect two clips.
    """
    index = torch.arange(frames)  # t
    invented = (index >= first[:, None]) & (index < frames - last[:, None])  # b t
    return invented.float()


def staircase(frames: int, start: Tensor, rise: Tensor) -> Tensor:
    """Levels [b, t] that rise along the clip from ``start`` [b] by ``rise`` [b] in all, cut to 0..1: a window that slides."""
    slope = torch.linspace(0, 1, frames)  # t
    return (start[:, None] + rise[:, None] * slope).clamp(0, 1)


def within(level: Tensor, mask: Tensor) -> Tensor:
    """Levels [b, t, h, w] inside a mask [t, h, w] or [b, t, h, w], and 0, given, outside."""
    return level * mask


def box(frames: int, height: int, width: int, corners: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Masks [b, t, h, w] of boxes from frame ``first`` [b] up to and without ``last`` [b].

    ``corners`` [b, t, 4] are left, top, right and bottom in shares of the picture; a cell belongs to a box that covers its middle.
    """
    index = torch.arange(frames)  # t
    rows, columns = ((torch.arange(side) + 0.5) / side for side in (height, width))  # h, w
    left, top, right, bottom = (edge[..., None] for edge in corners.unbind(-1))  # b t 1 each
    inside = ((rows >= top) & (rows < bottom))[..., None] & ((columns >= left) & (columns < right))[:, :, None]  # b t h w
    lasting = (index >= first[:, None]) & (index < last[:, None])  # b t
    return inside & lasting[:, :, None, None]


def away(times: Tensor, before: Tensor, distance: Tensor | float) -> Tensor:
    """Times [.., t] moved so that the last of them lies ``distance`` before ``before``."""
    return times - times.amax(-1, keepdim=True) + torch.as_tensor(before - distance)[..., None]
