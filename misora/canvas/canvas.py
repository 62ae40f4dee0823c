"""A canvas: a latent video and how noisy each of its tokens is to begin with; it knows nothing of networks or of sampling."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

SHOWN, REFERENCE = 0, 1  # roles of a latent frame: part of the clip, or only to be looked at
FRAMES = {"S": 1, "G": 4}  # pixel frames in a latent frame
PATCH = 2  # rows and columns of latents in one token


@dataclasses.dataclass(frozen=True, kw_only=True)
class Canvas:
    """What is given and what is to be invented. Noise level 1: invent; 0: given; between: rework.

    A task is a value of this type and never a branch: see ``fills.py`` for how each verb fills one.
    """

    given: Tensor  # [b, c, t, h, w] latents; anything finite where the level is 1
    level: Tensor  # [b, t, h, w] noise levels at the start, equal inside each patch of 2x2
    kinds: str  # one letter for each latent frame: S (one pixel frame, starts afresh) or G (four, leans on the past)
    times: Tensor  # [t] float positions in latent frames; only differences matter
    roles: Tensor  # [t] SHOWN or REFERENCE
    cards: Tensor  # [t] which of the texts rules each latent frame
    tied: tuple[tuple[int, int], ...] = ()  # pairs of latent frames of one kind that are to become the same picture
    ring: bool = False  # whether its first shown frame follows its last

    def __post_init__(self) -> None:
        batch, _, frames, height, width = self.given.shape
        assert self.level.shape == (batch, frames, height, width), "one noise level for every latent position"
        assert len(self.kinds) == frames, "one kind for every latent frame"
        assert set(self.kinds) <= {"S", "G"}, "only the kinds S and G"
        assert self.times.shape == self.roles.shape == self.cards.shape == (frames,), "a time, a role and a card for every latent frame"
        assert all(self.kinds[a] == self.kinds[b] for a, b in self.tied), "only frames of one kind can be the same"
        assert height % PATCH == width % PATCH == 0, "whole tokens"

    def to(self, device: torch.device) -> Canvas:
        """The canvas on another device."""
        moved = {name: getattr(self, name).to(device) for name in ("given", "level", "times", "roles", "cards")}
        return dataclasses.replace(self, **moved)

    def kind_indices(self) -> Tensor:
        """The kinds as the transformer reads them: 0 for S, 1 for G, [t]."""
        return kind_indices(self.kinds, self.given.device)

    def order(self) -> Tensor:
        """How many frames that need work come before each, [t]: given ones keep nobody waiting, tied ones take their turn together."""
        work = self.work().long()  # t
        order = work.cumsum(0) - work  # t
        for a, b in self.tied:
            order[[a, b]] = order[[a, b]].min()
        return order

    def work(self) -> Tensor:
        """Whether anything of a latent frame is to be invented or reworked, [t]."""
        return (self.level > 0).flatten(2).any(2).any(0)

    def opens(self) -> Tensor:
        """Which frames are to be invented as the first of a shot, [t]: what stands where is settled in them. Tied ones are alike."""
        last = len(self.kinds) - 1
        first = torch.tensor([kind == "S" and (i == 0 or i < last) for i, kind in enumerate(self.kinds)], device=self.level.device)  # t
        for a, b in self.tied:
            first[[a, b]] = first[[a, b]].any()
        return first & self.work()

    def shown(self) -> list[int]:
        """The latent frames that are part of the clip."""
        return [i for i, role in enumerate(self.roles.tolist()) if role == SHOWN]

    def token_level(self, level: Tensor) -> Tensor:
        """``level`` [b, t, h, w] as the transformer takes it: one for each frame [b, t] where that says it all, else each token's."""
        tokens = level[:, :, ::PATCH, ::PATCH]  # b t h/2 w/2
        frames = tokens[:, :, 0, 0]  # b t
        return frames if bool((tokens == frames[:, :, None, None]).all()) else tokens


def kind_indices(kinds: str, device: torch.device | None = None) -> Tensor:
    """A string of S and G as indices 0 and 1, [t]."""
    return torch.tensor(["SG".index(kind) for kind in kinds], device=device)  # t


def taken(canvas: Canvas, frames: Sequence[int]) -> Canvas:
    """Some latent frames of a canvas, where they were in time; pairs that are tied to others outside come loose.

    Of a ring they may go over its end: they are then as far apart in time as if it began with the first of them.
    """
    keep = list(frames)
    return Canvas(
        given=canvas.given[:, :, keep],
        level=canvas.level[:, keep],
        kinds="".join(canvas.kinds[i] for i in keep),
        times=_onward(canvas, keep),
        roles=canvas.roles[keep],
        cards=canvas.cards[keep],
        tied=tuple((keep.index(a), keep.index(b)) for a, b in canvas.tied if a in keep and b in keep),
    )


def _onward(canvas: Canvas, keep: list[int]) -> Tensor:
    """The times of some frames, [k], in their order."""
    times = canvas.times[keep]
    if not canvas.ring or bool((times.diff() > 0).all()):
        return times
    shown = canvas.roles[keep] == SHOWN  # k
    anew = times_of("".join(canvas.kinds[i] for i in keep if canvas.roles[i] == SHOWN)).to(times)
    times[shown] = anew - anew[0] + times[shown].min()
    return times


def pixel_frames(kinds: str) -> int:
    """How many pixel frames these latent frames stand for."""
    return sum(FRAMES[kind] for kind in kinds)


def times_of(kinds: str) -> Tensor:
    """Where each latent frame stands, in latent frames, [t]: at its last pixel frame, a quarter each, so that S and G… are 0, 1, 2 …"""
    ends = torch.tensor([FRAMES[kind] for kind in kinds], dtype=torch.float32).cumsum(0)  # t
    return (ends - 1) / FRAMES["G"]
