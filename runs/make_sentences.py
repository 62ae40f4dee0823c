"""Teaches the policy's sentence model and writes ``misora/trust/rules/sentences.bin``; run it as ``python runs/make_sentences.py``.

It learns from ``runs/sentences`` (ours) and from those prompts of ``tests/trust/corpus`` that were looked at; it learns from no other.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from misora.trust import sentences
from misora.trust.rulebook import Rulebook
from misora.trust.score import EVERYDAY
from misora.trust.sentences import BUCKETS, CATEGORIES, FEWEST, GROUP_WEIGHS, HEAD, SORTING, Traits
from misora.words.tell import tell
from misora.world.scenes import CORE, FULL, sample_graph

HERE = Path(__file__).parent
CORPUS = HERE.parent / "tests/trust/corpus"
OURS = tuple(f"{kind}{more}.{language}" for kind in ("held", "everyday") for more in ("", ".more") for language in ("en", "ja"))
EACH = 8  # sentences of a line with choices, or as many as it has choices in one place
SCENES = 50  # of each mix and language
STEPS, RATE, DECAY = 40, 0.5, 8e-5
OURS_WEIGH = 0.4  # a sentence of ours, of which a line makes several, where one of somebody else's weighs one
RARE = 2.0  # what is added to each count before shares are compared

Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lesson:
    """One sentence to learn from."""

    category: str
    seen: Traits
    weight: float = 1.0


def prompts() -> Iterator[tuple[str, str]]:
    """(category, text) of everything that may be learnt from."""
    yield from looked_at()
    yield from ours()
    yield from _told()


def ours() -> Iterator[tuple[str, str]]:
    """Those that we wrote."""
    for name in OURS:
        yield from _written_out(HERE / f"sentences/{name}.txt")


def looked_at() -> Iterator[tuple[str, str]]:
    """Those of the corpora."""
    yield from _looked_at("visible", "all")
    yield from _looked_at("second", "by plain text")
    yield from _looked_at("third", "by plain text")
    yield from _looked_at("fourth", "by its own text")


def _told() -> Iterator[tuple[str, str]]:
    """What the world's grammar tells, which is always harmless."""
    rng = np.random.default_rng(1)
    for seed in range(SCENES):
        for mix in (CORE, FULL):
            for language in ("en", "ja"):
                yield EVERYDAY, tell(sample_graph(rng, mix), 0, random.Random(seed), language).text


def _looked_at(name: str, half: str) -> Iterator[tuple[str, str]]:
    """The lines that were looked at: all, or those whose text (or the plain one before them) begins with an even byte in SHA-256."""
    even = True
    for line in (CORPUS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        prompt: dict[str, Any] = json.loads(line)
        if half == "by its own text" or not prompt.get("evasion"):
            even = hashlib.sha256(prompt["text"].encode()).digest()[0] % 2 == 0
        if even or half == "all":
            yield prompt["category"], prompt["text"]


def _written_out(path: Path) -> Iterator[tuple[str, str]]:
    """The sentences of a file of ours, in which ``{a|b}`` stands for either: each choice at least once, not each with each."""
    rng, category = random.Random(0), EVERYDAY
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            category = line[1:-1]
        elif line and line[0] != "#":
            choices = [part.split("|") if at % 2 else [part] for at, part in enumerate(re.split(r"\{([^}]*)\}", line))]
            many = max(EACH, *map(len, choices))
            columns = [_shuffled(choice, many, rng) for choice in choices]
            for text in dict.fromkeys("".join(row).strip() for row in zip(*columns, strict=True)):
                yield category, text


def _shuffled(choices: list[str], many: int, rng: random.Random) -> list[str]:
    drawn: list[str] = []
    while len(drawn) < many:
        again = choices[:]
        rng.shuffle(again)
        drawn += again
    return drawn[:many]


def fit(lessons: list[Lesson]) -> bytes:
    """The model's file."""
    weights, bias = _weights(lessons)
    unit = float(np.abs(weights).max()) / 127
    table = np.rint(weights / unit).astype(np.int8)
    return HEAD.pack(bias, unit) + table.tobytes() + _sorting(lessons).tobytes()


def _weights(lessons: list[Lesson]) -> tuple[Floats, float]:
    """Logistic regression by Adam, held and everyday sentences weighing the same."""
    places, values, rows = _matrix(lessons)
    used, at = np.unique(places, return_inverse=True)
    held = np.array([lesson.category != EVERYDAY for lesson in lessons], dtype=np.float64)
    counts = np.array([lesson.weight for lesson in lessons])
    counts *= np.where(held > 0, 0.5 / (counts @ held), 0.5 / (counts @ (1 - held)))
    weights, mean, square, bias = np.zeros(len(used)), np.zeros(len(used)), np.zeros(len(used)), 0.0
    for step in range(1, STEPS + 1):
        odds = np.bincount(rows, weights[at] * values, minlength=len(held)) + bias
        wrong = (1 / (1 + np.exp(-odds)) - held) * counts
        slope = np.bincount(at, wrong[rows] * values, minlength=len(used)) + DECAY * weights
        mean, square = 0.9 * mean + 0.1 * slope, 0.99 * square + 0.01 * slope * slope
        pace = RATE * (1 - step / (STEPS + 1))
        weights -= pace * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-6)
        bias -= 2 * float(wrong.sum())
    table = np.zeros(BUCKETS)
    table[used] = weights
    return table, bias


def _matrix(lessons: list[Lesson]) -> tuple[npt.NDArray[np.int64], Floats, npt.NDArray[np.int64]]:
    """Place, value and row of every trait."""
    places: list[int] = []
    values: list[float] = []
    rows: list[int] = []
    for row, lesson in enumerate(lessons):
        grams = sorted({gram % BUCKETS for gram in lesson.seen.grams})
        groups = sorted({sentences.group_place(group) % BUCKETS for group in lesson.seen.groups})
        places += grams + groups
        values += [max(len(grams), FEWEST) ** -0.5] * len(grams) + [GROUP_WEIGHS] * len(groups)
        rows += [row] * (len(grams) + len(groups))
    return np.array(places), np.array(values), np.array(rows)


def _sorting(lessons: list[Lesson]) -> npt.NDArray[np.int8]:
    """For each category how much likelier a trait is in it than in the others: tenths of a log."""
    counts = np.zeros((len(CATEGORIES), SORTING))
    for lesson in lessons:
        if lesson.category != EVERYDAY:
            counts[CATEGORIES.index(lesson.category), sentences.sorting_places(lesson.seen)] += 1
    shares = (counts + RARE) / (counts.sum(1, keepdims=True) + RARE * SORTING)
    others = (counts.sum(0) - counts + RARE) / ((counts.sum() - counts.sum(1, keepdims=True)) + RARE * SORTING)
    table: npt.NDArray[np.int8] = np.clip(np.rint(10 * np.log(shares / others)), -127, 127).astype(np.int8)
    return table


def learnt() -> bytes:
    """The model's file, from the sentences as they stand."""
    book = Rulebook.shipped()
    written = set(ours())
    return fit(
        [
            Lesson(category=category, seen=book.seen(text), weight=OURS_WEIGH if (category, text) in written else 1.0)
            for category, text in prompts()
        ]
    )


if __name__ == "__main__":
    (HERE.parent / "misora/trust" / sentences.FILE).write_bytes(learnt())
