"""Canvases for training, drawn so that one network learns every verb; it knows nothing of the data or of the network.

Diffusion forcing (arXiv:2407.01392): a clip's frames may each have their own level.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from misora.canvas import fills
from misora.canvas.canvas import REFERENCE, SHOWN, times_of

SHARES = (0.35, 0.25, 0.25)  # of the clips with one level, independent ones, a staircase; what is left, .15, are the verbs' fills
Shares = tuple[float, float, float]
SPREAD = 1.5  # standard deviation of a level's logit: wide, so that the last steps of sampling are trained too (measured: LOG.md)
MASKED = 0.1  # share of the batches in which only a box of every clip is to be invented
REFERRED = 0.5  # share of the clips with a second S whose shorter side becomes a reference
ARRIVES = 0.75  # share of the clips that end on a second S, and have it shown, that are given it: they must arrive there
LED = 0.75  # share of the windows out of the middle of a clip that begin with clean frames


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawn:
    """How a batch is to be learned from: what a ``Canvas`` says of a clip, for each clip of a batch its own."""

    level: Tensor  # [b, t], or [b, t, h/2, w/2] where a part of each frame is given
    times: Tensor  # [b, t]
    roles: Tensor  # [b, t]

    def __getitem__(self, rows: slice) -> Drawn:
        return Drawn(level=self.level[rows], times=self.times[rows], roles=self.roles[rows])


def draw_canvas(
    batch: int,
    kinds: str,
    height: int,
    width: int,
    generator: torch.Generator,
    *,
    mean: float = 1.2,
    shift: float = 1.0,
    shares: Shares = SHARES,
) -> Drawn:
    """Levels, times and roles for clips of these kinds, ``height`` by ``width`` tokens; no clip is all given.

    A batch has masks in all of its clips or in none, since a level for every token costs more than one for every frame.
    """
    level = draw(batch, len(kinds), generator, mean=mean, shift=shift, shares=shares)  # b t
    if kinds[0] == "G":
        level = _busy(level * draw_lead(batch, len(kinds), generator), level)  # b t
    times = times_of(kinds).expand(batch, -1)  # b t
    roles = torch.full((batch, len(kinds)), SHOWN)  # b t
    if "S" in kinds[1:]:
        level, times, roles = draw_references(level, times, kinds, generator)
        level = draw_arrivals(level, roles, kinds, generator)
    if float(torch.rand((), generator=generator)) < MASKED:
        level = fills.within(level[:, :, None, None], draw_boxes(level * (roles == SHOWN), height, width, generator))  # b t h/2 w/2
    return Drawn(level=level, times=times, roles=roles)


def draw(batch: int, frames: int, generator: torch.Generator, *, mean: float = 1.2, shift: float = 1.0, shares: Shares = SHARES) -> Tensor:
    """Noise levels [b, t] for a batch of clips, each with its own pattern; no clip is all given.

    ``mean`` is that of the levels' logit: high, since layout is decided in the noise (measured: LOG.md). ``shift`` > 1 moves
    levels further towards noise, as ``flow.schedule`` does with steps. What a verb leaves open has one level or a staircase.
    """
    uniform = torch.rand(batch, 1, generator=generator)  # b 1
    one = _level(uniform, mean, shift).expand(-1, frames)  # b t
    each = _level(torch.rand(batch, frames, generator=generator), mean, shift)  # b t
    rising = _level(draw_staircase(batch, frames, generator), mean, shift)  # b t
    given = draw_ends(batch, frames, generator)  # b t
    stairs = torch.rand(batch, 1, generator=generator) < 0.5  # b 1
    verb = _busy(torch.where(stairs, rising, one) * given, one * given)  # b t
    ends = torch.tensor(shares).cumsum(0)  # 3
    pattern = torch.bucketize(torch.rand(batch, generator=generator), ends, right=True)  # b
    return torch.stack((one, each, rising, verb))[pattern, torch.arange(batch)]  # b t


def draw_ends(batch: int, frames: int, generator: torch.Generator) -> Tensor:
    """Fills [b, t] that give frames at the start (1/2), at the end (1/4) or at both ends (1/4) and leave one or more to invent.

    Half of the starts and ends are a single frame: an image to animate, a last image to reach.
    """
    draws = torch.rand(5, batch, generator=generator)  # 5 b
    longest = (frames - 1) // (1 + (draws[0] >= 0.75).long())  # b
    first, last = (_span(draws[1 + 2 * side], draws[2 + 2 * side], longest) for side in (0, 1))  # b and b
    at_start, at_end = (draws[0] < 0.5) | (draws[0] >= 0.75), draws[0] >= 0.5  # b and b
    return fills.keep_ends(frames, first * at_start, last * at_end)


def draw_staircase(batch: int, frames: int, generator: torch.Generator) -> Tensor:
    """Rising levels [b, t] in 0..1 before they are shaped: one frame of each clip is uniform, the others follow its stairs."""
    level, place, slope = torch.rand(3, batch, generator=generator)  # b
    rise = 0.5 + 2.5 * slope  # b
    anchor = (place * frames).floor() / max(frames - 1, 1)  # b
    return fills.staircase(frames, level.clamp_min(1e-3) - rise * anchor, rise)


def draw_lead(batch: int, frames: int, generator: torch.Generator) -> Tensor:
    """Fills [b, t] whose first frames, up to half of them, are given in most clips: the past of a window that slides."""
    led, share = torch.rand(2, batch, generator=generator)  # b and b
    length = 1 + (share * (frames // 2)).long()  # b
    first = length.clamp_max(frames - 1) * (led < LED)  # b
    return fills.keep_ends(frames, first, torch.zeros_like(first))


def draw_references(level: Tensor, times: Tensor, kinds: str, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Levels, times and roles [b, t] in which one side of the second S is, in some clips, only there to be looked at."""
    batch, frames = level.shape
    cut = kinds.index("S", 1)
    side = slice(0, cut) if cut <= frames - cut else slice(cut, frames)
    rest = slice(cut, frames) if cut <= frames - cut else slice(0, cut)
    chosen, distance = torch.rand(2, batch, generator=generator)  # b and b
    chosen = chosen < REFERRED  # b
    far = fills.away(times[:, side], times[:, rest].amin(1), fills.AWAY * (1 + distance))  # b s
    roles = torch.full((batch, frames), SHOWN)  # b t
    roles[:, side] = torch.where(chosen[:, None], REFERENCE, SHOWN)
    moved, kept = times.clone(), level.clone()  # b t
    moved[:, side] = torch.where(chosen[:, None], far, times[:, side])
    kept[:, side] = torch.where(chosen[:, None], 0.0, level[:, side])
    kept[:, rest] = _busy(kept[:, rest], level.amax(1, keepdim=True))
    return kept, moved, roles


def draw_arrivals(level: Tensor, roles: Tensor, kinds: str, generator: torch.Generator) -> Tensor:
    """Levels [b, t] with, in most clips that show it, the end from a second S on given where that is the shorter side of it.

    In half of those so is a beginning. Elsewhere a second S begins another shot.
    """
    batch, frames = level.shape
    cut = kinds.index("S", 1)
    if frames - cut >= cut:
        return level
    chosen, led, share = torch.rand(3, batch, generator=generator)  # b each
    first = (1 + share * (cut - 1)).long().clamp_max(cut - 1) * (led < 0.5)  # b
    arriving = level * fills.keep_ends(frames, first, torch.full_like(first, frames - cut))  # b t
    chosen = (chosen < ARRIVES) & (roles == SHOWN).all(1)  # b
    return torch.where(chosen[:, None], _busy(arriving, level), level)


def draw_boxes(level: Tensor, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Masks [b, t, h, w] of a box that moves and, half of the time, lasts for a part of the clip; half of the masks are its outside.

    A box holds the middle of some cell in a frame that ``level`` [b, t] has noise in, or the whole of the frames is left to invent.
    """
    batch, frames = level.shape
    sides = 0.2 + 0.6 * torch.rand(batch, 2, 2, generator=generator)  # b 2 2: at the start and the end, width and height
    corner = torch.rand(batch, 2, 2, generator=generator) * (1 - sides)  # b 2 2
    ends = torch.cat((corner, corner + sides), 2)  # b 2 4
    share = torch.linspace(0, 1, frames)[:, None]  # t 1
    corners = ends[:, :1] * (1 - share) + ends[:, 1:] * share  # b t 4
    start, length, lasting, outside = torch.rand(4, batch, generator=generator)  # b each
    first = (start * frames).long() * (lasting < 0.5)  # b
    last = torch.where(lasting < 0.5, first + 1 + (length * frames).long(), frames)  # b
    mask = fills.box(frames, height, width, corners, first, last)  # b t h w
    mask ^= (outside < 0.5)[:, None, None, None]  # b t h w
    empty = ~(mask & (level > 0)[:, :, None, None]).flatten(1).any(1)  # b
    mask |= empty[:, None, None, None]
    return mask


def _busy(level: Tensor, otherwise: Tensor) -> Tensor:
    """Levels [b, t], but the other ones in clips that would be all given."""
    return torch.where((level == 0).all(1, keepdim=True), otherwise, level)


def _span(single: Tensor, share: Tensor, longest: Tensor) -> Tensor:
    """One frame or, half of the time, up to ``longest``; none where there is no room."""
    length = torch.where(single < 0.5, torch.ones_like(longest), 1 + (share * longest).long())  # b
    return torch.minimum(length, longest)


def _level(uniform: Tensor, mean: float, shift: float) -> Tensor:
    """Logit-normal levels (arXiv:2403.03206) at these quantiles; 0 and 1 stay what they are."""
    level = torch.sigmoid(mean + SPREAD * torch.special.ndtri(uniform))
    return shift * level / (1 + (shift - 1) * level)
