"""All words of the rules, whatever they are written in, and which of them stand in a text; it knows nothing of verdicts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from misora.trust import normalise
from misora.trust.english import English, Word
from misora.trust.japanese import Japanese
from misora.trust.mark import EVERYDAY, Mark, uncovered


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """A text as it is meant: its plain letters, its Latin words, and the groups' words in it."""

    plain: str
    words: list[Word]
    marks: list[Mark]


class Lexicon:
    """The words of all groups, indexed for one pass over a text: ``Lexicon({"nude": ["naked", "裸の"]}).marks("…")``."""

    def __init__(self, groups: dict[str, list[str]], fuzzy: Iterable[str] = (), whole: Iterable[str] = ()) -> None:
        """Words of ``fuzzy`` groups are found with any one letter wrong; names of ``whole`` groups must be a whole Japanese word."""
        everyday = frozenset(groups.get(EVERYDAY, ()))
        latin: list[tuple[str, str]] = []
        japanese: list[tuple[str, str]] = []
        for group in sorted(groups.keys() - {EVERYDAY}):
            for term in groups[group]:
                (japanese if normalise.is_japanese(term) else latin).append((term, group))
        self.english = English(latin, frozenset(fuzzy), everyday)
        self.japanese = Japanese(japanese, frozenset(whole))
        self.groups = frozenset(groups) - {EVERYDAY}

    def marks(self, text: str) -> list[Mark]:
        """Every group's words in ``text``, which is taken as it came; words under an exception are left out."""
        return self.read(text).marks

    def read(self, text: str) -> Reading:
        """The same, with the words in which they were found."""
        plain = normalise.plain(text)
        found = list(self.japanese.marks(plain))
        ways = [self.english.words(letters) for letters in dict.fromkeys((plain, normalise.uncut(plain)))]
        for words in ways:
            found += uncovered(self.english.marks(words))
            found += self.japanese.in_romaji(words, self._is_english, alone=plain.isascii())
        return Reading(plain=plain, words=ways[0], marks=found)

    def _is_english(self, word: str) -> bool:
        return word in self.english.everyday or self.english.known(word)
