"""What a person may ask for, checked in one place; it knows nothing of networks or files."""

from __future__ import annotations

import dataclasses
import math
import re
import secrets
import unicodedata
from typing import TYPE_CHECKING

from misora.client.errors import UsageError
from misora.flow.speed import NAMES as SPEEDS

if TYPE_CHECKING:
    from misora.render.footage import Footage
    from misora.render.parts import Part

FRAME_RATE = 24.0  # delivered, frames per second
NATIVE_RATE = 12.0  # what the embedded weights draw
NATIVE_CELL = 16  # native sides are multiples of a token's side in pixels
NATIVE_TOKENS = 66  # per latent frame: what the embedded weights were trained for
DEFAULT_SIZE = (384, 704)  # h w
SECONDS = 4.0  # a clip's length where none is given
LONGEST = 600.0  # seconds; the window slides for as long as one likes, but a mistyped length should not run for days
PROMPT = 2_000  # characters: more is a slip of the clipboard; only the API promises to take more
SIDES = (64, 4096)
PIXELS = 8_900_000
WIDEST = 21 / 9
STEPS = (1, 200)
GUIDANCE = (1.0, 30.0)
SEEDS = 2**63


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """One video, or with ``seconds`` 0 one picture. ``size`` is ``WIDTHxHEIGHT`` and ``aspect`` is ``W:H``; give one of them or neither."""

    prompt: str
    negative: str = ""
    seconds: float = SECONDS
    size: str | None = None
    aspect: str | None = None
    seed: int = dataclasses.field(default_factory=lambda: secrets.randbelow(2**31))
    steps: int = 5
    guidance: float = 2.0
    speed: str = "exact"  # or a trade of likeness for time, by name
    asked: str = ""  # the prompt before it was expanded, where it was
    parts: tuple[Part, ...] = ()  # what the clip is made of, in order; none: ``seconds`` of the prompt
    loop: bool = False
    references: tuple[Footage, ...] = ()  # clips or images of characters or of a style, to be looked at
    longest: int = PROMPT  # characters that a prompt may have; what the text encoder has no slots for has no effect

    def check(self) -> None:
        """Raise UsageError, in one sentence that says what to do, unless the request can be meant."""
        for prompt in self.prompts():
            _check_text("prompt", prompt, self.longest)
        _check_text("negative prompt", self.negative, self.longest)
        if not any(sign.isprintable() and not sign.isspace() for sign in self.prompt):  # nothing that can be seen
            raise UsageError('The prompt is empty; say what to show, for example "a red ball bounces on a wooden floor".')
        if not 0 <= self.seconds <= LONGEST:  # refuses nan too
            raise UsageError(f"A clip of {self.seconds:g} seconds cannot be made; ask for more than 0 and at most {LONGEST:g}.")
        for part in self.parts:
            part.check()
        if not 0 <= self.seed < SEEDS:
            raise UsageError(f"The seed {self.seed} is out of range; give a whole number from 0 to {SEEDS - 1}.")
        if not STEPS[0] <= self.steps <= STEPS[1]:
            raise UsageError(f"{self.steps} steps cannot be taken; give a whole number from {STEPS[0]} to {STEPS[1]}.")
        if not GUIDANCE[0] <= self.guidance <= GUIDANCE[1]:
            raise UsageError(f"Guidance {self.guidance:g} is out of range; give a number from {GUIDANCE[0]:g} to {GUIDANCE[1]:g}.")
        if self.speed not in SPEEDS:
            raise UsageError(f"The speed {self.speed!r} is not known; choose {', '.join(SPEEDS)}.")
        if self.size and self.aspect:
            raise UsageError("Both a size and an aspect were given; give one of them.")
        self.delivered()

    def prompts(self) -> tuple[str, ...]:
        """All texts that are to be drawn: the prompt and those of parts that have their own."""
        return tuple(dict.fromkeys((self.prompt, *(prompt for part in self.parts for prompt in part.prompts(self.prompt)))))

    def delivered(self) -> tuple[int, int]:
        """Height and width of the file in pixels, both even: as asked, else as the first given clip has them. Raises UsageError."""
        clip = next((part.clip for part in self.parts if part.clip), None)
        if self.size:
            height, width = _parse_size(self.size)
            return height + height % 2, width + width % 2
        if clip and not self.aspect:
            return as_given(*clip.size)
        if self.aspect:
            ratio = _parse_aspect(self.aspect)
            height = 8 * round(math.sqrt(DEFAULT_SIZE[0] * DEFAULT_SIZE[1] / ratio) / 8)
            return height, 2 * round(height * ratio / 2)
        return DEFAULT_SIZE

    def notice(self) -> str | None:
        """What was fitted of what was asked, in one sentence. Raises UsageError."""
        height, width = self.delivered()
        if self.size is None or _parse_size(self.size) == (height, width):
            return None
        return f"A video's sides are even, so {self.size} becomes {width}x{height}."

    def native(self) -> tuple[int, int]:
        """Height and width that the network draws: about 16 k pixels, multiples of 16, as near to the delivered aspect as they come."""
        height, width = self.delivered()
        grids = [(h, w) for h in range(1, NATIVE_TOKENS) for w in range(1, NATIVE_TOKENS // h + 1)]

        def distance(grid: tuple[int, int]) -> float:
            off_shape = abs(math.log(grid[1] / grid[0] * height / width))
            return off_shape + 0.5 * math.log(NATIVE_TOKENS / (grid[0] * grid[1]))

        h, w = min(grids, key=distance)
        return h * NATIVE_CELL, w * NATIVE_CELL

    def frames(self) -> int:
        """How many frames the file has where nothing is given: ``round(seconds * 24)``, at least one."""
        return max(1, round(self.seconds * FRAME_RATE))

    def native_frames(self) -> int:
        """How many frames the network must draw for them."""
        return math.ceil(self.frames() * NATIVE_RATE / FRAME_RATE)


def as_given(height: int, width: int) -> tuple[int, int]:
    """The size of a given picture, made even, within what can be delivered."""
    scale = min(1.0, math.sqrt(PIXELS / (height * width)), SIDES[1] / max(height, width))
    scale = max(scale, SIDES[0] / min(height, width)) if min(height, width) < SIDES[0] else scale
    height, width = (2 * max(1, round(side * scale / 2)) for side in (height, width))
    ratio = width / height
    if ratio > WIDEST:
        width = 2 * round(height * WIDEST / 2)
    elif ratio < 1 / WIDEST:
        height = 2 * round(width * WIDEST / 2)
    return height, width


def _check_text(what: str, text: str, longest: int) -> None:
    if len(text) > longest:
        raise UsageError(f"The {what} has {len(text):,} characters; shorten it to {longest:,} or fewer.")
    for letter in text:
        if unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\n\r\t":
            raise UsageError(f"The {what} holds the control character U+{ord(letter):04X}; retype it as plain text.")


def _parse_size(size: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", size.strip().lower())
    if not match:
        raise UsageError(f"The size {size!r} cannot be read; write it as WIDTHxHEIGHT, for example 704x384.")
    width, height = int(match[1]), int(match[2])
    if not (SIDES[0] <= min(width, height) and max(width, height) <= SIDES[1] and width * height <= PIXELS):
        raise UsageError(f"{width}x{height} cannot be made; keep each side within {SIDES[0]} to {SIDES[1]} and {PIXELS:,} pixels in all.")
    _check_ratio(size, width / height)
    return height, width


def _parse_aspect(aspect: str) -> float:
    match = re.fullmatch(r"(\d{1,4}):(\d{1,4})", aspect.strip())
    if not match or not int(match[1]) or not int(match[2]):
        raise UsageError(f"The aspect {aspect!r} cannot be read; write it as W:H, for example 16:9.")
    ratio = int(match[1]) / int(match[2])
    _check_ratio(aspect, ratio)
    return ratio


def _check_ratio(given: str, ratio: float) -> None:
    if not 1 / WIDEST - 0.01 <= ratio <= WIDEST + 0.02:
        raise UsageError(f"{given} is too narrow a shape; stay between 9:21 and 21:9.")
