"""What a clip is made of along time, and the latent frames that this takes; it knows nothing of networks.

Every verb is a row of parts: given footage, stretches to be invented, footage to be reworked. ``cast`` says how many latent frames of
which kind each of them needs, so that what is asked for lies where it was asked for.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from misora.canvas.canvas import pixel_frames
from misora.client.errors import UsageError
from misora.render.request import FRAME_RATE, LONGEST, NATIVE_RATE

if TYPE_CHECKING:
    from torch import Tensor

    from misora.render.footage import Footage

CONTEXT = 25  # native frames of a given clip that what is invented before or after it can see: one S and six G


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """A stretch of a clip: ``seconds`` to be invented under ``prompt`` (None: the request's), or ``clip``, given or reworked.

    ``strength`` says how much of the clip is reworked (0: nothing, it is shown as it is), ``mask`` [t or 1, h, w] where (1 inside) and
    ``span`` from which second to which. ``later``: the prompts that take over within it, each behind the clip's second from which it
    rules. ``cut``: it does not go on from what was before.
    """

    seconds: float = 0.0
    prompt: str | None = None
    clip: Footage | None = None
    strength: float = 0.0
    mask: Tensor | None = None
    span: tuple[float, float] | None = None
    cut: bool = False
    later: tuple[tuple[float, str], ...] = ()

    def check(self) -> None:
        """Raise UsageError unless the part can be meant."""
        if not 0 <= self.strength <= 1:  # refuses nan too
            raise UsageError(f"The strength {self.strength:g} is out of range; give a number from 0, unchanged, to 1, made anew.")
        if self.clip is None and not 0 < self.seconds <= LONGEST:
            raise UsageError(f"A stretch of {self.seconds:g} seconds cannot be made; ask for more than 0 and at most {LONGEST:g}.")

        if self.clip and self.span and not 0 <= self.span[0] < self.span[1] <= self.clip.seconds + 0.05:
            raise UsageError(
                f"{self.clip.name} lasts {self.clip.seconds:.2f} s; give --from and --to inside it, the first before the second."
            )

    def prompts(self, asked: str) -> list[str]:
        """The texts that rule it, in order, where ``asked`` is the request's prompt."""
        return [asked if self.prompt is None else self.prompt, *(prompt for _, prompt in self.later)]

    @property
    def given(self) -> bool:
        """Whether it is shown as it was brought."""
        return self.clip is not None and self.strength == 0

    @property
    def begins(self) -> bool:
        """Whether its first frame is shown as it was brought."""
        return self.given or (self.clip is not None and self.mask is None and self.span is not None and self.span[0] > 0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Role:
    """A part's place on the canvas: the kinds of its latent frames and which native frames of its clip they hold."""

    part: Part
    kinds: str
    frames: Sequence[int] = ()  # of the clip, at the native rate; none where the part is invented
    skip: int = 0  # drawn native frames at its start that are not shown
    seconds: float = 0.0  # what is shown of it; 0: one frame
    fixed: bool = False  # whether what follows is given: all that is drawn is then shown within those seconds
    kept: bool = False  # whether the clip's own latents are used

    @property
    def count(self) -> int:
        """Drawn native frames that it has after those it skips, and needs."""
        if self.frames:
            return len(self.frames) - self.skip
        if self.fixed:
            return pixel_frames(self.kinds)
        return min(native_frames(self.seconds), pixel_frames(self.kinds) - self.skip)


def native_frames(seconds: float) -> int:
    """How many frames the network must draw for so many seconds of delivered ones."""
    return max(1, math.ceil(round(seconds * FRAME_RATE) * NATIVE_RATE / FRAME_RATE))


def cast(parts: Sequence[Part], *, loop: bool = False) -> list[Role]:
    """The place of every part. An invented stretch ends where its seconds do: exactly at the clip's ends and before what is given, else to
    the nearest latent frame. A ring of invented parts is of G alone: ``fills.loop`` gives it its start."""
    roles: list[Role] = []
    ring = loop and not any(part.clip for part in parts)
    late = 0.0  # native frames by which the parts so far are shorter than they were asked to be
    for i, part in enumerate(parts):
        first, last = i == 0, i == len(parts) - 1 and not loop
        if part.clip:
            roles.append(_given_role(part, part.clip, first=first, last=last))
        elif first and not loop and len(parts) > 1 and parts[1].given:
            roles.append(_leading_role(part))
        else:
            late += part.seconds * NATIVE_RATE
            fixed = parts[i + 1].given if i + 1 < len(parts) else loop
            fresh = part.cut or (first and not ring)
            roles.append(_invented_role(part, late, fresh=fresh, last=last, fixed=fixed, least=2 if loop and len(parts) == 1 else 1))
            late -= roles[-1].seconds * NATIVE_RATE
    return roles


def _given_role(part: Part, clip: Footage, *, first: bool, last: bool) -> Role:
    """All of a clip that is reworked or stands in the middle; of one at an end, what its neighbour can see."""
    whole = clip.native_frames()
    groups = -((1 - whole) // 4)
    lacking = 1 + 4 * groups - whole  # frames that whole groups need and the clip has not
    if part.span and (part.span[0] * NATIVE_RATE + lacking > 5 - 1e-6 or not lacking):  # its first group is given: there it waits
        frames = [max(0, i) for i in range(-lacking, whole)]
        return Role(part=part, kinds="S" + "G" * groups, frames=frames, skip=lacking, seconds=clip.seconds)
    if not part.given:
        return Role(part=part, kinds="S" + "G" * groups, frames=range(1 + 4 * groups), seconds=clip.seconds)
    if (first or last) and whole > CONTEXT:
        groups = (CONTEXT - 1) // 4
        return Role(part=part, kinds="S" + "G" * groups, frames=_seen(whole, groups, first=first, last=last), seconds=clip.seconds)
    groups = max(1, round((whole - 1) / 4)) if whole > 1 else 0
    return Role(part=part, kinds="S" + "G" * groups, frames=_seen(whole, groups, first=first, last=last), seconds=clip.seconds)


def _seen(whole: int, groups: int, *, first: bool, last: bool) -> list[int]:
    """The frames of a given clip that an S and whole groups show: of the first part its end, of the last its beginning, else all of it.

    Where the clip has fewer it stands still at its far end, where it has more they are left out there. (A run of S, one for each frame too
    much, would say that every frame is a cut.)
    """
    if last:
        return [min(i, whole - 1) for i in range(1 + 4 * groups)]
    frames = [max(0, i) for i in range(whole - 1 - 4 * groups, whole)]
    return frames if first else [0, *frames[1:]]


def _leading_role(part: Part) -> Role:
    """Invented before given footage: what is too much is left out at the start."""
    needed = native_frames(part.seconds)
    kinds = "S" + "G" * math.ceil((needed - 1) / 4)
    return Role(part=part, kinds=kinds, skip=pixel_frames(kinds) - needed, seconds=part.seconds)


def _invented_role(part: Part, frames: float, *, fresh: bool, last: bool, fixed: bool, least: int) -> Role:
    if fixed:
        groups = max(least, math.ceil((frames - fresh) / 4 - 1e-6))
        return Role(part=part, kinds="S" * fresh + "G" * groups, seconds=max(frames, 0.0) / NATIVE_RATE, fixed=True)
    if last:
        needed = max(native_frames(part.seconds), native_frames(frames / NATIVE_RATE))
        return Role(part=part, kinds="S" * fresh + "G" * math.ceil((needed - fresh) / 4), seconds=max(frames, 0.0) / NATIVE_RATE)
    kinds = "S" * fresh + "G" * max(0 if fresh else 1, round((frames - fresh) / 4))
    return Role(part=part, kinds=kinds, seconds=pixel_frames(kinds) / NATIVE_RATE)
