"""Scores of judged clips against held-out prompts, row by row; it knows nothing of where the clips come from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import numpy as np

from misora.evals.judge import ATOMS, judge
from misora.evals.parse import parse
from misora.evals.prompts import Item
from misora.evals.takes import Take


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """``right`` answers of ``asked``."""

    right: int
    asked: int

    @property
    def share(self) -> float:
        """The share of right answers; not a number when nothing was asked."""
        return self.right / self.asked if self.asked else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the share (Wilson 1927, JASA 22:209)."""
        return wilson(self.right, self.asked)


def wilson(right: int, asked: int, z: float = 1.959964) -> tuple[float, float]:
    """Bounds between which the true share lies with 95 % confidence."""
    if not asked:
        return 0.0, 1.0
    share, spread = right / asked, z * z / asked
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / asked + spread / asked / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table. ``energy``: motion energy over that of the reference clips; ``takes``: clips per usable one."""

    name: str
    scores: dict[str, Score]
    energy: float
    takes: float


def motion_energy(frames: np.ndarray) -> float:
    """Mean absolute difference of neighbouring frames, in grey levels of 255; 0 for a single frame."""
    steps = np.abs(np.diff(frames.astype(np.int16), axis=0))  # t-1 h w 3
    return float(steps.mean()) if len(steps) else 0.0


def take(frames: np.ndarray, index: int, language: str = "en", seed: int = 0) -> Take:
    """What is kept of one clip: its parse and its motion energy, not its pixels."""
    return Take(index=index, language=language, seed=seed, parse=parse(frames), energy=motion_energy(frames))


def shuffled(takes: list[Take], length: int) -> list[Take]:
    """The same clips held against another prompt of the list, half the list away: what scores by chance."""
    return [dataclasses.replace(t, index=(t.index + length // 2) % length) for t in takes]


def score(name: str, items: list[Item], takes: list[Take], reference: list[Take] | None = None) -> Row:
    """The row of a source's ``takes``; ``reference``: the simulator's, one an item, for the energy."""
    answers = [judge(items[t.index].graph, t.parse) for t in takes]
    scores = {atom: _count(a for verdict in answers for a in verdict[atom]) for atom in ATOMS}
    scores["pair"] = _pairs(items, takes, [verdict["order"] for verdict in answers])
    usable = [all(all(given) for given in verdict.values()) for verdict in answers]
    scores["all"] = _count(usable)
    energy = math.nan
    if reference:
        wanted = {t.index: t.energy for t in reference}
        total = sum(wanted[t.index] for t in takes)
        energy = sum(t.energy for t in takes) / total if total else math.nan
    return Row(name=name, scores=scores, energy=energy, takes=len(usable) / max(1, sum(usable)) if any(usable) else math.inf)


def _count(answers: Iterable[bool]) -> Score:
    given = list(answers)
    return Score(right=sum(given), asked=len(given))


def _pairs(items: list[Item], takes: list[Take], orders: list[list[bool]]) -> Score:
    """How many mirrored pairs have the order right on both sides."""
    right = {(t.index, t.language, t.seed): all(order) for t, order in zip(takes, orders, strict=True) if order}
    both = [
        ok and right[mirror, language, seed]
        for (index, language, seed), ok in right.items()
        if (mirror := items[index].mirror) is not None and index < mirror and (mirror, language, seed) in right
    ]
    return _count(both)
