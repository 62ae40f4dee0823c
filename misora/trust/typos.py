"""Words of the rules that a misspelt word may be: one slip away, or heard the same; it knows nothing of groups or phrases."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator

from misora.trust import sounds

SOUNDS = tuple(map(frozenset, ("sz", "ck", "iy", "ou", "vw")))
VOWELS = frozenset("aeiou")
SAME_START = {"k": "cq", "c": "k", "f": "p", "s": "cpz", "z": "s", "j": "g", "g": "j", "n": "k", "r": "w"}
SHORTEST_SOUND = 4  # consonants of a word written as it is heard that must agree, where it may go on
FAR_SOUND = 5  # consonants that agree and let the vowels be any
AFTER = "s d t r n l ng ngs rs ns nt nts st lt 2n 2ns"
ENDINGS = frozenset(("", *AFTER.split()))  # what may follow a stem, as heard


class Typos:
    """``Typos(slips=["murder"], heard=["holocaust"], stems=[]).alike("murdar")`` is ``{"murder"}``."""

    def __init__(self, *, slips: Iterable[str], heard: Iterable[str], stems: Iterable[str]) -> None:
        """``slips`` may be misspelt, ``heard`` written as they sound; the ``stems`` among those may have an ending."""
        self.stems = frozenset(stems)
        self.halves: dict[str, list[str]] = defaultdict(list)  # a slip leaves the first half of a word whole, or nearly the second
        for word in sorted(set(slips)):
            for half in _halves(word):
                self.halves[half].append(word)
        self.sounding: dict[str, list[str]] = defaultdict(list)
        for word, said in sounds.all_heard(sorted(set(heard))):
            self.sounding[said].append(word)
        self.alike = functools.lru_cache(maxsize=4_000)(self._alike)

    def _alike(self, word: str) -> frozenset[str]:
        """Known words that become ``word`` by one letter dropped, added, changed or two swapped; the first letter stays."""
        near = {known for half in _halves_of_near(word) for known in self.halves.get(half, ())}
        return frozenset(known for known in near if one_slip(word, known))

    def as_heard(self, word: str) -> Iterator[str]:
        """Known words that sound like ``word`` and are not spelt far from it; a stem may have an ending after it."""
        said = sounds.heard(word)
        for length in range(min(SHORTEST_SOUND, len(said)), len(said) + 1):
            for known in self.sounding.get(said[:length], ()):
                stem = known in self.stems
                far = 2 if len(said) < SHORTEST_SOUND else len(known) // 2 - (length < FAR_SOUND)
                begins = known[0] in (word[0], *SAME_START.get(word[0], ""))
                whole = said[length:] in ENDINGS if stem else length == len(said)
                if begins and whole and sounds.edits(word, known, start_only=stem) <= far:
                    yield known


def _halves(word: str) -> tuple[str, str]:
    middle = len(word) // 2
    return word[:middle], f"{word[0]} {word[middle + 1 :]}"


def _halves_of_near(word: str) -> Iterator[str]:
    """What ``_halves`` gives for every word that is one letter shorter or longer than ``word``, or as long."""
    for size in (len(word) - 1, len(word), len(word) + 1):
        middle = size // 2
        yield word[:middle]
        yield f"{word[0]} {word[len(word) - (size - middle - 1) :]}"


def one_slip(word: str, known: str) -> bool:
    """Whether one letter was dropped, added or changed, or two neighbours swapped, and the first letter is right."""
    if word[0] != known[0] or abs(len(word) - len(known)) > 1:
        return False
    place = next((place for place, (a, b) in enumerate(zip(word, known, strict=False)) if a != b), None)
    if place is None:
        return True
    if len(word) == len(known):
        swapped = word[place] == known[place + 1 : place + 2] and known[place] == word[place + 1 : place + 2]
        return word[place + 1 :] == known[place + 1 :] or (swapped and word[place + 2 :] == known[place + 2 :])
    longer, shorter = (word, known) if len(word) > len(known) else (known, word)
    return longer[place + 1 :] == shorter[place:]


def usual_slip(word: str, known: str) -> bool:
    """Whether ``word`` is ``known`` with neighbours swapped, or one vowel, doubled letter or same sound wrong: what fingers and ears do."""
    if len(word) == len(known):
        wrong = [place for place in range(len(word)) if word[place] != known[place]]
        if len(wrong) == 1:
            pair = {word[wrong[0]], known[wrong[0]]}
            return pair <= VOWELS or pair in SOUNDS
        return len(wrong) == 2 and wrong[1] == wrong[0] + 1 and word[wrong[0]] == known[wrong[1]] and word[wrong[1]] == known[wrong[0]]
    longer, shorter = (word, known) if len(word) > len(known) else (known, word)
    if len(longer) != len(shorter) + 1:
        return False
    place = next((place for place in range(len(shorter)) if shorter[place] != longer[place]), len(shorter))
    return longer[place] in VOWELS or longer[place] in longer[place - 1 : place]
