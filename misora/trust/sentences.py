"""How much a whole sentence reads like what must be held back: a linear model of its words and letters; it knows nothing of rules.

``rules/sentences.bin`` is what ``python runs/make_sentences.py`` learns from labelled sentences: a bias and a unit, a weight for each
place of a table in which words, letters in a row and groups of the rules' words are looked up by their checksum, and a smaller table for
each category.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import struct
import zlib
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from importlib import resources

from misora.trust import normalise

CATEGORIES = ("sexual", "minors", "violence", "hate", "self-harm", "illicit", "real-people", "political-deception", "third-party")
FILE = "rules/sentences.bin"
HEAD = struct.Struct("<ff")  # bias, what one of the weights' 127 steps is worth
BUCKETS, SORTING = 1 << 16, 1 << 12  # places of the weights, and of each category's
LONGEST_GRAM, SHORTEST_WORD, IN_WORD = 4, 4, 4  # Japanese letters in a row; letters of a word that is looked into, and how many at a time
FEWEST = 30  # grams; each of a shorter text weighs no more than theirs
GROUP_WEIGHS = 0.3  # a group of the rules' words, where all grams of a sentence together weigh one
REVIEW = 1.2  # log odds from which somebody should look
LONG, PART = (
    300,
    120,
)  # letters; a longer text is read by the sentence, in pieces of so many at most, so that what is harmless hides nothing
JAPANESE = re.compile(f"[{normalise.JAPANESE}]+")
END = re.compile(r"(?<=[.!?;。！？\n])\s*")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Traits:
    """What the model sees of a sentence: checksums of its grams, and the groups whose words stand in it."""

    grams: frozenset[int]
    groups: frozenset[str]


def traits(words: Sequence[str], plain: str, groups: Collection[str]) -> Traits:
    """The traits of a plain text with its Latin ``words`` as they are meant."""
    return Traits(grams=frozenset(zlib.crc32(gram.encode()) for gram in _grams(words, plain)), groups=frozenset(groups))


def _grams(words: Sequence[str], plain: str) -> Iterator[str]:
    """Words, pairs of them and their parts; up to four Japanese letters in a row."""
    latin = [word for word in words if word.isascii()]
    for before, word in zip(["<", *latin], [*latin, ">"], strict=True):
        yield f"{before} {word}"
    for word in latin:
        yield word
        if len(word) > SHORTEST_WORD:
            edged = f"<{word}>"
            yield from (f"~{edged[place : place + IN_WORD]}" for place in range(len(edged) - IN_WORD + 1))
            yield f"~{edged[:6]}"
    if not plain.isascii():
        for run in JAPANESE.findall(normalise.kana_for_lookalikes(normalise.joined(plain))):
            for size in range(1, LONGEST_GRAM + 1):
                yield from (run[place : place + size] for place in range(len(run) - size + 1))


def group_place(group: str) -> int:
    """The checksum that a group of words is looked up by."""
    return zlib.crc32(f"#{group}".encode())


def parts(plain: str) -> Iterator[tuple[int, int]]:
    """Where the parts of a text begin and end: a long text's sentences, those that are too long in pieces; else all of it."""
    start, ends = 0, [len(plain)]
    if len(plain) > LONG:
        ends = [*(found.end() for found in END.finditer(plain)), len(plain)]
    for end in ends:
        while len(plain) > LONG and end - start > PART:
            yield start, start + PART
            start += PART
        if end > start or not plain:
            yield start, end
            start = end


class Sentences:
    """The model as it was learnt: ``Sentences.shipped().category(traits(…))`` is what a sentence reads like, or nothing."""

    def __init__(self, learnt: bytes) -> None:
        """What ``make_sentences`` wrote."""
        bias, unit = HEAD.unpack_from(learnt)
        self.bias, self.unit = float(bias), float(unit)
        table = array("b", learnt[HEAD.size :])
        assert len(table) == BUCKETS + len(CATEGORIES) * SORTING
        self.weights = table[:BUCKETS]
        self.sorting = [table[BUCKETS + at * SORTING : BUCKETS + (at + 1) * SORTING] for at in range(len(CATEGORIES))]
        self.version = f"{zlib.crc32(learnt):08x}"

    @classmethod
    @functools.cache
    def shipped(cls) -> Sentences:
        """The model that travels in the package."""
        return cls(resources.files("misora.trust").joinpath(FILE).read_bytes())

    def log_odds(self, seen: Traits) -> float:
        """How much likelier it is that a sentence must be held than not; 0 is even."""
        grams = {gram % BUCKETS for gram in seen.grams}
        said = sum(self.weights[gram] for gram in grams) / math.sqrt(max(len(grams), FEWEST))
        grouped = sum(self.weights[group_place(group) % BUCKETS] for group in seen.groups)
        return self.bias + self.unit * (said + GROUP_WEIGHS * grouped)

    def category(self, seen: Traits) -> str:
        """The category of a sentence that somebody should look at, or an empty string."""
        return self.nearest(seen) if self.log_odds(seen) >= REVIEW else ""

    def nearest(self, seen: Traits) -> str:
        """The category that a sentence is nearest to, whether it must be held or not."""
        found = sorting_places(seen)
        return max(CATEGORIES, key=lambda name: sum(self.sorting[CATEGORIES.index(name)][place] for place in found))


def sorting_places(seen: Traits) -> list[int]:
    """Where the traits stand in the tables of the categories."""
    checksums: Iterable[int] = (*seen.grams, *map(group_place, seen.groups))
    return sorted({checksum % SORTING for checksum in checksums})
