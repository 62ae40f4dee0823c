"""Finds the words of the rules in a text, disguised or not, and says which group each belongs to; it knows nothing of verdicts."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from misora.trust import normalise, sounds

HARMLESS = "harmless"  # the group of exceptions: what it covers counts for nothing else
EVERYDAY = "everyday"  # the group of words that are one slip away from a word of the rules and mean something else
SHORTEST_TYPO, SHORTEST_NAME = 7, 10  # letters: a single word or a name of two words may be misspelt only when it has this many
SHORTEST_SLIP = 6  # letters of a word in which a vowel, a doubled letter or one that sounds the same may be wrong, or two swapped
SOUNDS = tuple(map(frozenset, ("sz", "ck", "iy", "ou", "vw")))
VOWELS = frozenset("aeiou")
SAME_START = {"k": "cq", "c": "k", "f": "p", "s": "cpz", "z": "s", "j": "g", "g": "j", "n": "k", "r": "w"}
LONGEST_SPELLED = 24  # letters
SHORT_NAME = 3  # katakana letters; a word so short must stand alone, or before one of TAILS
TAILS = (
    "アニメ",
    "ゲー",
    "マンガ",
    "ビデオ",
    "シーン",
    "サイト",
    "ムービー",
    "コミック",
    "ポーズ",
    "ボイス",
    "グロ",
    "ショ",
    "コン",
    "キャラ",
    "エロ",
    "ネタ",
)
SHORTEST_HEARD, SHORTEST_SOUND = 6, 4  # letters of a word that may be written as it is heard, consonants in it that then must agree
SHORTEST_ROMAJI, SHORTEST_AMONG_KANA = (
    6,
    4,
)  # letters of a Japanese word that is looked for in Latin letters, and where there is Japanese beside it
LONGEST_ROMAJI = 4  # Latin words that may be one Japanese word
SHORTEST_SKELETON = 4  # signs of a Japanese word that is looked for with small letters large
KANJI_IN_MANY = frozenset("大人女男中小外内本日新高上下白黒一二三四五六七八九十第東西南北前後今年月時分同全無不")
FUNCTION = "a an the is it in on at as of to or and by he she we i so no my me us be do go up if am"
FUNCTION_WORDS = frozenset(FUNCTION.split())
ENGLISH_ONLY = FUNCTION_WORDS - frozenset("to i so no me us he we go do be".split())  # the others may be Japanese particles
ENDINGS = frozenset("s d t r n l ng ngs rs ns ds ts nt nts st lt s2n 2n sn".split()) - {"ds", "ts"} | {""}  # of a stem, as heard
LARGE_FOR_SMALL = frozenset("ヤユヨツアイウエオ")  # what a small letter may have been typed as
NAME_GOES_ON = frozenset("一二三太司吾介郎也志夫治美香恵代江朗")  # 佐藤健 is not 佐藤健太


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mark:
    """One group's word in a text, from character ``start`` to ``end`` of the plain text."""

    group: str
    start: int
    end: int


Phrase = tuple[tuple[str, ...], str]  # words (a final * stands for any ending), group
Term = tuple[str, str, str]  # Japanese: folded to hiragana, as written, group


class Lexicon:
    """The words of all groups, indexed for one pass over a text: ``Lexicon({"nude": ["naked", "裸の"]}).marks("…")``."""

    def __init__(self, groups: dict[str, list[str]], fuzzy: Iterable[str] = (), whole: Iterable[str] = ()) -> None:
        """Words of ``fuzzy`` groups are found with any one letter wrong, all others with one that sounds or doubles as the right one.

        Katakana of ``whole`` groups must be a whole word: マリオ is not in マリオネット.
        """
        self.exact: dict[str, list[Phrase]] = defaultdict(list)
        self.stems: dict[str, list[Phrase]] = defaultdict(list)
        self.japanese: dict[str, list[Term]] = defaultdict(list)  # by first sign
        self.skeletons: dict[str, list[Term]] = defaultdict(list)
        self.romaji: dict[str, set[str]] = defaultdict(set)
        self.heard: dict[str, set[str]] = defaultdict(set)
        self.vocabulary: set[str] = set()
        self.typos: dict[str, set[str]] = defaultdict(set)
        self.whole, self.fuzzy = frozenset(whole), frozenset(fuzzy)
        self.everyday = frozenset(groups.pop(EVERYDAY, ()))
        for group, terms in groups.items():
            for term in terms:
                self._add(term, group)
        self.lengths = sorted({len(stem) for stem in self.stems}, reverse=True)

    def _add(self, term: str, group: str) -> None:
        if re.search(f"[{normalise.JAPANESE}]", term):
            self._add_japanese(term, group)
            return
        parts = tuple(re.sub(r"['’]s?\b", "", normalise.plain(term)).replace("-", " ").split())
        first = parts[0]
        (self.stems if first.endswith("*") else self.exact)[first.rstrip("*")].append((parts, group))
        self.vocabulary.update(part for part in parts if not part.endswith("*"))
        fuzzy = group in self.fuzzy and (len(parts) == 2 or len(first) >= SHORTEST_TYPO)
        if fuzzy or (len(parts) == 1 and group != HARMLESS and len(first.rstrip("*")) >= SHORTEST_SLIP):
            for part in parts:
                for shorter in _shortened(part.rstrip("*")):
                    self.typos[shorter].add(part.rstrip("*"))

        if len(parts) == 1 and group != HARMLESS and len(first.rstrip("*")) >= SHORTEST_HEARD:
            self.heard[sounds.heard(first.rstrip("*"))].add(first.rstrip("*"))

    def _add_japanese(self, term: str, group: str) -> None:
        written = normalise.joined(normalise.plain(term))
        folded = normalise.hiragana(written)
        self.japanese[folded[0]].append((folded, written, group))
        if group == HARMLESS and (calm := normalise.unstretched(written)) != written:
            self.japanese[folded[0]].append((normalise.hiragana(calm), calm, group))
        skeleton = normalise.skeleton(written)
        if len(skeleton) >= SHORTEST_SKELETON or group == HARMLESS:
            self.skeletons[normalise.hiragana(skeleton)[0]].append((normalise.hiragana(skeleton), skeleton, group))
        long_enough = len(folded) > (SHORT_NAME if group in self.whole else 1)
        if group != HARMLESS and long_enough and len(said := sounds.in_romaji(folded)) >= SHORTEST_AMONG_KANA:
            self.romaji[said].add(group)

    def marks(self, text: str) -> list[Mark]:
        """Every group's words in ``text``, which is taken as it came; words under an exception are left out."""
        plain = normalise.plain(text)
        tokens = list(self._tokens(plain))
        return [*_uncovered(self._latin(tokens)), *self._in_romaji(tokens, plain.isascii()), *self._in_japanese(plain)]

    # Latin letters

    def _tokens(self, plain: str) -> Iterator[tuple[int, int, str]]:
        """Start, end and repaired letters of each word; spelled-out and hyphenated words once more as one."""
        raw = list(normalise.words(plain))
        place = 0
        while place < len(raw):
            start, word = raw[place]
            run = 1
            while place + run < len(raw) and len(raw[place + run][1]) == len(word) == 1 and run < LONGEST_SPELLED:
                run += 1
            if run >= 3:
                spelled = "".join(letter for _, letter in raw[place : place + run])
                yield from ((start, raw[place + run - 1][0] + 1, piece) for piece in self._split(spelled))
                place += run
                continue
            yield start, start + len(word), self._repaired(word)
            place += 1

    def _split(self, spelled: str) -> Iterator[str]:
        """A run of single letters as the words it spells: ``heilhitler`` is two."""
        for size in range(len(spelled), 0, -1):
            for start in range(len(spelled) - size + 1):
                if size > 2 and self._known(self._repaired(spelled[start : start + size])):
                    if start:
                        yield from self._split(spelled[:start])
                    yield self._repaired(spelled[start : start + size])
                    if start + size < len(spelled):
                        yield from self._split(spelled[start + size :])
                    return
        yield spelled

    def _known(self, word: str) -> bool:
        return word in self.vocabulary or any(word[:length] in self.stems for length in self.lengths if length <= len(word))

    def _repaired(self, word: str) -> str:
        if self._known(word) or word.isdigit():
            return word
        for meaning in normalise.meanings(word):
            if self._known(meaning):
                return meaning
        if word.isalpha() and word not in self.everyday and word.endswith("in") and self._known(word + "g"):
            return word + "g"
        return self._unmasked(word) if "*" in word or "#" in word else word

    def _unmasked(self, word: str) -> str:
        """``m*rder`` as ``murder``: the first known word that the letters allow, when at least two thirds of them are there."""
        hidden = word.count("*") + word.count("#")
        if hidden * 2 >= len(word) or len(word) < 4:
            return word
        pattern = re.compile("".join("[a-z]?" if sign in "*#" else re.escape(sign) for sign in word))
        for known in sorted(self.vocabulary | self.stems.keys()):
            if known[0] == word[0] and len(known) > 3 and (pattern.fullmatch(known) or (known in self.stems and pattern.match(known))):
                if known in self.vocabulary:
                    return known
                if (match := pattern.fullmatch(known)) is not None:
                    return match[0]
        return self._stem_under_mask(word)

    def _stem_under_mask(self, word: str) -> str:
        for stem in self.stems:
            if len(stem) > 3 and len(word) >= len(stem) and all(a == b or a in "*#" for a, b in zip(word, stem, strict=False)):
                return stem + word[len(stem) :].strip("*#")
        return word

    def _latin(self, tokens: list[tuple[int, int, str]]) -> Iterator[Mark]:
        for place, (start, _, word) in enumerate(tokens):
            for phrase, group in self._starting_with(word):
                if (end := self._follows(phrase, tokens, place)) is not None:
                    yield Mark(group=group, start=start, end=end)
            yield from self._glued(tokens, place)
            yield from self._misspelt(tokens, place)

    def _starting_with(self, word: str) -> Iterator[Phrase]:
        yield from self.exact.get(word, ())
        for length in self.lengths:
            if length <= len(word):
                yield from self.stems.get(word[:length], ())

    @staticmethod
    def _follows(phrase: tuple[str, ...], tokens: list[tuple[int, int, str]], place: int) -> int | None:
        """Where the phrase that begins at word ``place`` ends, or None."""
        if place + len(phrase) > len(tokens):
            return None
        for wanted, (_, _, word) in zip(phrase[1:], tokens[place + 1 :], strict=False):
            if word != wanted and not (wanted.endswith("*") and word.startswith(wanted[:-1])):
                return None
        return tokens[place + len(phrase) - 1][1]

    def _glued(self, tokens: list[tuple[int, int, str]], place: int) -> Iterator[Mark]:
        """Two neighbours that are one word: ``be-headed``, ``nak ed``; and up to six that were cut with dots: ``mas.sac.re``."""
        start, end, word = tokens[place]
        for more in range(1, 6):
            if place + more >= len(tokens):
                return
            begins, end_of_next, following = tokens[place + more]
            apart = begins - tokens[place + more - 1][1]
            if apart != 1 or (word != "be" and word in FUNCTION_WORDS) or following in FUNCTION_WORDS:
                return
            word, end = word + following, end_of_next
            if len(word) >= 6 and min(len(tokens[place][2]), len(following)) <= 3:
                for phrase, group in self._starting_with(word):
                    if len(phrase) == 1 and group != HARMLESS and len(phrase[0].rstrip("*")) >= 5:
                        yield Mark(group=group, start=start, end=end)

    def _misspelt(self, tokens: list[tuple[int, int, str]], place: int) -> Iterator[Mark]:
        start, end, word = tokens[place]
        if len(word) < 4 or not word.isalpha():
            return
        candidates = self._alike(word)
        if word not in self.everyday and not self._known(word):
            for known in set(self._as_heard(word)):
                for phrase, group in (*self.exact.get(known, ()), *self.stems.get(known, ())):
                    if len(phrase) == 1 and group != HARMLESS:
                        yield Mark(group=group, start=start, end=end)
            for known in candidates:
                slip = len(known) >= SHORTEST_SLIP and _slipped(word, known)
                for phrase, group in (*self.exact.get(known, ()), *self.stems.get(known, ())):
                    if len(phrase) == 1 and (slip or (group in self.fuzzy and min(len(known), len(word) + 1) >= SHORTEST_TYPO)):
                        yield Mark(group=group, start=start, end=end)
        if place + 1 < len(tokens) and len(tokens[place + 1][2]) >= 4:
            _, end, second = tokens[place + 1]
            alike = {second} if self._means_itself(second) else self._alike(second)
            for known in {word} if self._means_itself(word) else candidates:
                for phrase, group in self.exact.get(known, ()):
                    if len(phrase) == 2 and phrase[1] in alike and len(known) + len(phrase[1]) >= SHORTEST_NAME:
                        yield Mark(group=group, start=start, end=end)

    def _means_itself(self, word: str) -> bool:
        """Whether a word of the language was written, which is no slip for another."""
        return word in self.everyday or word in self.vocabulary

    def _as_heard(self, word: str) -> Iterator[str]:
        """Known words that sound like ``word`` and are not spelt far from it; a stem may have an ending after it."""
        said = sounds.heard(word)
        for length in range(SHORTEST_SOUND, len(said) + 1) if len(said) >= SHORTEST_SOUND else (len(said),):
            for known in self.heard.get(said[:length], ()):
                stem = known in self.stems
                far = 2 if len(said) < SHORTEST_SOUND else len(known) // 2 - 1
                begins = known[0] in (word[0], *SAME_START.get(word[0], ""))
                if begins and (said[length:] in ENDINGS if stem else length == len(said)) and sounds.edits(word, known, start_only=stem) <= far:
                    yield known

    def _in_romaji(self, tokens: list[tuple[int, int, str]], alone: bool) -> Iterator[Mark]:
        """Japanese words in Latin letters, in one word or several; short ones only where there is Japanese beside them."""
        shortest = SHORTEST_ROMAJI if alone else SHORTEST_AMONG_KANA
        for place, (start, end, word) in enumerate(tokens):
            joined = word
            for more in range(LONGEST_ROMAJI):
                if more:
                    if place + more >= len(tokens):
                        break
                    _, end, following = tokens[place + more]
                    joined += following
                if not joined.isalpha() or not joined.isascii() or (more and (len(following) < 2 or word in ENGLISH_ONLY)):
                    break
                said = sounds.romaji(joined)
                if more == 0 and (word in self.everyday or self._known(word)):
                    continue
                for length in range(shortest if more == 0 else len(said), len(said) + 1):
                    if length == len(said) or length >= SHORTEST_ROMAJI:
                        yield from (Mark(group=group, start=start, end=end) for group in self.romaji.get(said[:length], ()))

    def _alike(self, word: str) -> set[str]:
        """Known words that become ``word`` by one letter dropped, added, changed or two swapped; the first letter stays."""
        return {known for shorter in _shortened(word) for known in self.typos.get(shorter, ()) if known[0] == word[0]}

    # Japanese

    def _in_japanese(self, plain: str) -> Iterator[Mark]:
        if plain.isascii():
            return
        text = normalise.kana_for_lookalikes(normalise.joined(plain))
        folded = normalise.hiragana(text)
        yield from _uncovered(self._scan(text, folded, self.japanese))
        if (calm := normalise.unstretched(text)) != text:
            yield from _uncovered(self._scan(calm, normalise.hiragana(calm), self.japanese))
        if (skeleton := normalise.skeleton(text)) != text or not LARGE_FOR_SMALL.isdisjoint(text):
            yield from _uncovered(self._scan(skeleton, normalise.hiragana(skeleton), self.skeletons))
        if normalise.MASK in folded:
            yield from self._scan_masked(folded)

    def _scan(self, text: str, folded: str, index: dict[str, list[Term]]) -> Iterator[Mark]:
        for place, sign in enumerate(folded):
            for term, written, group in index.get(sign, ()):
                if folded.startswith(term, place) and not _inside_a_word(text, place, written, group in self.whole):
                    yield Mark(group=group, start=place, end=place + len(term))

    def _scan_masked(self, folded: str) -> Iterator[Mark]:
        places = [place for place, sign in enumerate(folded) if sign == normalise.MASK]
        around = {sign for place in places for sign in folded[max(0, place - 2) : place + 3]} - {normalise.MASK}
        for terms in self.japanese.values():
            for term, _, group in terms:
                if around.isdisjoint(term) or group == HARMLESS or not (len(term) >= 3 or self._may_lose_its_end(term, group)):
                    continue
                for place in places:
                    for first in range(max(0, place - len(term) + 1), place + 1):
                        part = folded[first : first + len(term)]
                        seen = len(part) == len(term) and (len(term) > 2 or part[0] == term[0])
                        if seen and all(a == b or a == normalise.MASK for a, b in zip(part, term, strict=True)):
                            yield Mark(group=group, start=first, end=first + len(term))

    def _may_lose_its_end(self, term: str, group: str) -> bool:
        """Whether the first of two kanji is enough to know the word by: 虐○ but not 大○."""
        return len(term) == 2 and group not in self.whole and term[0] not in KANJI_IN_MANY and all(sign >= "一" for sign in term)


def _uncovered(found: Iterable[Mark]) -> list[Mark]:
    """What no exception lies over, without the exceptions."""
    marks = list(found)
    covers = [mark for mark in marks if mark.group == HARMLESS]
    return [mark for mark in marks if mark.group != HARMLESS and not any(c.start <= mark.start < c.end for c in covers)]


def _inside_a_word(text: str, place: int, written: str, whole: bool) -> bool:
    """Whether a kana term was found in the middle of a longer word: セックス in エセックス, エロ in 考えろ, チンコ in カチンコ."""
    end = place + len(written)
    same = normalise.is_katakana if normalise.is_katakana(text[place]) else normalise.is_hiragana
    if not normalise.is_kana(written[0]):
        return whole and len(written) <= SHORT_NAME and text[end : end + 1] in NAME_GOES_ON
    before = place > 0 and same(text[place - 1])
    after = end < len(text) and same(text[end]) and normalise.is_kana(written[-1]) and not text.startswith(TAILS, end)
    if same is normalise.is_katakana:
        return before or (after and len(written) <= SHORT_NAME)
    if not normalise.is_katakana(written[0]):
        return False
    return len(written) <= SHORT_NAME and (whole or (len(written) < SHORT_NAME and (before or after)))


def _shortened(word: str) -> set[str]:
    return {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}


def _slipped(word: str, known: str) -> bool:
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
