"""Words of the rules in Latin letters, found in a text word for word, taken apart, masked or misspelt; it knows nothing of Japanese."""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from misora.trust import normalise
from misora.trust.mark import HARMLESS, Mark
from misora.trust.typos import Typos, usual_slip

SHORTEST_TYPO, SHORTEST_NAME, SHORTEST_USUAL = 7, 10, 8  # letters: a word, or a name of two words, may be misspelt only when it has so many
SHORTEST_SLIP = 6  # letters of a word in which a vowel, a doubled letter or one that sounds the same may be wrong, or two swapped
SHORTEST_HEARD = 6  # letters of a word that may be written as it is heard
LONGEST_SPELLED, LONGEST_ENDING = 24, 4  # letters of a run of single ones, and of what follows a stem in it
SHORTEST_DOUBLED = 4  # letters of a word that may have any of them doubled
DOUBLED = re.compile(r"(.)\1+")
SHORTEST_GLUED = 9  # letters of a word that may be cut into pieces of four and more: disem bowel ment
FUNCTION = "a an the is it in on at as of to or and by he she we i so no my me us be do go up if am"
FUNCTION_WORDS = frozenset(FUNCTION.split())

Phrase = tuple[tuple[str, ...], str]  # words (a final * stands for any ending), group


class Word(NamedTuple):
    """A word of a text as it is meant, and where it stands."""

    start: int
    end: int
    text: str


class English:
    """The phrases of all groups: ``English([("naked", "nude")]).marks(english.words("n4ked"))``."""

    def __init__(
        self, terms: Iterable[tuple[str, str]], fuzzy: frozenset[str] = frozenset(), everyday: frozenset[str] = frozenset()
    ) -> None:
        """(term, group) each. Words of ``fuzzy`` groups are found with any one letter wrong, others with one that is often wrong.

        ``everyday`` words are never taken for a misspelt one.
        """
        self.exact: dict[str, list[Phrase]] = defaultdict(list)
        self.stems: dict[str, list[Phrase]] = defaultdict(list)
        self.vocabulary: set[str] = set()
        self.fuzzy, self.everyday = fuzzy, everyday
        slips: set[str] = set()
        heard: set[str] = set()
        given = list(terms)
        for parts, (_, group) in zip(_parts([term for term, _ in given]), given, strict=True):
            first = parts[0].rstrip("*")
            (self.exact if first == parts[0] else self.stems)[first].append((parts, group))
            self.vocabulary.update(parts)
            alone = len(parts) == 1 and group != HARMLESS
            if (group in fuzzy and (len(parts) == 2 or len(parts[0]) >= SHORTEST_TYPO)) or (alone and len(first) >= SHORTEST_SLIP):
                slips.update(parts)
            if alone and len(first) >= SHORTEST_HEARD:
                heard.add(first)
        self.vocabulary = {word for word in self.vocabulary if word[-1] != "*"}
        self.lengths = sorted({len(stem) for stem in self.stems}, reverse=True)
        self.typos = Typos(slips={word.rstrip("*") for word in slips} - {""}, heard=heard, stems=self.stems)

    # From letters to words

    def words(self, plain: str) -> list[Word]:
        """The words of a plain text, repaired; spelled-out ones once more as one."""
        return list(self._words(list(normalise.words(plain)), plain))

    def _words(self, raw: list[tuple[int, str]], plain: str) -> Iterator[Word]:
        place, before = 0, ""
        while place < len(raw):
            start, word = raw[place]
            run = _run(raw, place, plain)
            if run >= 3:
                spelled = "".join(letter for _, letter in raw[place : place + run])
                yield from (Word(start, raw[place + run - 1][0] + 1, piece) for piece in self._split(spelled))
                place += run
                continue
            before = self._repaired(word, before)
            yield Word(start, start + len(word), before)
            place += 1

    def _split(self, spelled: str) -> Iterator[str]:
        """A run of single letters as the words it spells: ``heilhitler`` is two."""
        for size in range(len(spelled), 0, -1):
            for start in range(len(spelled) - size + 1):
                if size > 2 and self._spelt(self._repaired(spelled[start : start + size])):
                    if start:
                        yield from self._split(spelled[:start])
                    yield self._repaired(spelled[start : start + size])
                    if start + size < len(spelled):
                        yield from self._split(spelled[start + size :])
                    return
        yield spelled

    def _spelt(self, word: str) -> bool:
        return word in self.vocabulary or any(
            word[:length] in self.stems for length in range(max(1, len(word) - LONGEST_ENDING), len(word) + 1)
        )

    def known(self, word: str) -> bool:
        """Whether it is a word of the rules, or begins with a stem of theirs."""
        return word in self.vocabulary or any(word[:length] in self.stems for length in self.lengths if length <= len(word))

    def means_itself(self, word: str) -> bool:
        """Whether it is a word of the language as it stands, which is no slip for another."""
        return word in self.everyday or word in self.vocabulary

    def _repaired(self, word: str, before: str = "") -> str:
        if self.known(word) or word.isdigit():
            return word
        for meaning in normalise.meanings(word):
            if self.known(meaning):
                return meaning
        if word.isalpha() and word not in self.everyday:
            if word.endswith("in") and self.known(word + "g"):
                return word + "g"
            if DOUBLED.search(word) and (single := DOUBLED.sub(r"\1", word)) in self._single:
                return self._single[single]
        return self._unmasked(word, before) if "*" in word or "#" in word else word

    def _unmasked(self, word: str, before: str) -> str:
        """``m*rder`` as ``murder``: a known word that the letters allow, rather one that goes on from ``before``."""
        hidden = word.count("*") + word.count("#")
        if hidden * 2 >= len(word) or len(word) < 4:
            return word
        pattern = re.compile("".join("[a-z]?" if sign in "*#" else re.escape(sign) for sign in word))
        found: list[str] = []
        for known in self._by_letter.get(word[0], ()):
            if known in self.stems and (match := pattern.match(known)):
                found.append(known if known in self.vocabulary or match[0] != known else match[0])
            elif pattern.fullmatch(known):
                found.append(known)
        follows = {phrase[1] for phrase, _ in self.exact.get(before, ()) if len(phrase) > 1}
        return next((known for known in found if known in follows), found[0] if found else self._stem_under_mask(word))

    @functools.cached_property
    def _single(self) -> dict[str, str]:
        """Each word by what is left of it when doubled letters are one: ``staabbed`` is ``stabbed``."""
        return {DOUBLED.sub(r"\1", known): known for known in sorted(self.vocabulary) if len(known) >= SHORTEST_DOUBLED}

    @functools.cached_property
    def _by_letter(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for known in sorted(self.vocabulary | self.stems.keys()):
            if len(known) > 3:
                found[known[0]].append(known)
        return found

    def _stem_under_mask(self, word: str) -> str:
        for stem in self.stems:
            if len(stem) > 3 and len(word) >= len(stem) and all(a == b or a in "*#" for a, b in zip(word, stem, strict=False)):
                return stem + word[len(stem) :].strip("*#")
        return word

    # From words to marks

    def marks(self, words: list[Word]) -> Iterator[Mark]:
        """Every group's words among ``words``, those of the exceptions too."""
        for place, word in enumerate(words):
            for phrase, group in self._starting_with(word.text):
                if (end := _follows(phrase, words, place)) is not None:
                    yield Mark(group=group, start=word.start, end=end)
            yield from self._glued(words, place)
            if len(word.text) >= 4 and word.text.isalpha():
                yield from self._misspelt(word)
                yield from self._misspelt_pair(word, words[place + 1 : place + 2])

    def _starting_with(self, word: str) -> Iterator[Phrase]:
        yield from self.exact.get(word, ())
        for length in self.lengths:
            if length <= len(word):
                yield from self.stems.get(word[:length], ())

    def _alone(self, known: str) -> Iterator[str]:
        """The groups in which ``known`` is a word by itself."""
        for phrase, group in (*self.exact.get(known, ()), *self.stems.get(known, ())):
            if len(phrase) == 1:
                yield group

    def _glued(self, words: list[Word], place: int) -> Iterator[Mark]:
        """Two neighbours that are one word: ``be-headed``, ``nak ed``; and up to six that were cut with dots: ``mas.sac.re``."""
        start, end, word = words[place]
        for more in range(1, 6):
            if place + more >= len(words):
                return
            begins, end_of_next, following = words[place + more]
            apart = begins - words[place + more - 1].end
            if apart != 1 or (word != "be" and word in FUNCTION_WORDS) or following in FUNCTION_WORDS:
                return
            word, end = word + following, end_of_next
            if len(word) >= 6:
                shortest = 5 if min(len(words[place].text), len(following)) <= 3 else SHORTEST_GLUED
                for phrase, group in self._starting_with(word):
                    if len(phrase) == 1 and group != HARMLESS and len(phrase[0].rstrip("*")) >= shortest:
                        yield Mark(group=group, start=start, end=end)

    def _misspelt(self, word: Word) -> Iterator[Mark]:
        text = word.text
        if text in self.everyday or self.known(text):
            return
        groups = {group for known in self.typos.as_heard(text) for group in self._alone(known) if group != HARMLESS}
        for known in self.typos.alike(text):
            usual = len(known) >= SHORTEST_SLIP and usual_slip(text, known)
            long_enough = min(len(known), len(text) + 1) >= SHORTEST_TYPO
            groups.update(group for group in self._alone(known) if usual or (group in self.fuzzy and long_enough))
        yield from (Mark(group=group, start=word.start, end=word.end) for group in groups)

    def _misspelt_pair(self, word: Word, following: list[Word]) -> Iterator[Mark]:
        if not following or len(following[0].text) < 4:
            return
        first, second = ({each} if self.means_itself(each) else self.typos.alike(each) for each in (word.text, following[0].text))
        for known in first:
            for phrase, group in self.exact.get(known, ()):
                if len(phrase) != 2 or phrase[1] not in second:
                    continue
                usual = all(a == b or usual_slip(a, b) for a, b in ((word.text, known), (following[0].text, phrase[1])))
                if len(known) + len(phrase[1]) >= (SHORTEST_USUAL if usual else SHORTEST_NAME):
                    yield Mark(group=group, start=word.start, end=following[0].end)


def _run(raw: list[tuple[int, str]], place: int, plain: str) -> int:
    """How many single letters follow each other from ``place`` on, all with blanks or all with other signs between them."""
    run, blank = 1, False
    while place + run < len(raw) and len(raw[place + run - 1][1]) == len(raw[place + run][1]) == 1 and run < LONGEST_SPELLED:
        gap = plain[raw[place + run - 1][0] + 1 : raw[place + run][0]]
        if run > 1 and gap.isspace() != blank:
            break
        run, blank = run + 1, gap.isspace()
    return run


def _parts(terms: list[str]) -> list[tuple[str, ...]]:
    """The words of each term; all of them together, which is quicker."""
    plain = re.sub(r"['’]s?\b", "", "\n".join(map(normalise.plain, terms))).replace("-", " ")
    return [tuple(line.split()) for line in plain.split("\n")] if terms else []


def _follows(phrase: tuple[str, ...], words: list[Word], place: int) -> int | None:
    """Where the phrase that begins at word ``place`` ends, or None."""
    if place + len(phrase) > len(words):
        return None
    for wanted, word in zip(phrase[1:], words[place + 1 : place + len(phrase)], strict=True):
        if word.text != wanted and not (wanted[-1] == "*" and word.text.startswith(wanted[:-1])):
            return None
    return words[place + len(phrase) - 1].end
