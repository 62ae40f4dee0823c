"""Words of the rules in Japanese letters, found in either kana, stretched, masked or romanised; it knows nothing of English."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from misora.trust import normalise, sounds
from misora.trust.english import FUNCTION_WORDS, Word
from misora.trust.mark import HARMLESS, Mark, uncovered

SHORT_NAME = 3  # katakana letters; a word so short must stand alone, or before one of TAILS
AFTER = "アニメ ゲー マンガ ビデオ シーン サイト ムービー コミック ポーズ ボイス グロ ショ コン キャラ エロ ネタ"
TAILS = tuple(AFTER.split())
SHORTEST_ROMAJI, SHORTEST_AMONG_KANA = 6, 4  # letters of a word that is looked for in Latin letters, and where Japanese stands beside it
LONGEST_ROMAJI = 4  # Latin words that may be one Japanese word
SHORTEST_SKELETON = 4  # signs of a word that is looked for with small letters large
KANJI_IN_MANY = frozenset("大人女男中小外内本日新高上下白黒一二三四五六七八九十第東西南北前後今年月時分同全無不")
LARGE_FOR_SMALL = frozenset("ヤユヨツアイウエオ")  # what a small letter may have been typed as
NAME_GOES_ON = frozenset("一二三太司吾介郎也志夫治美香恵代江朗")  # 佐藤健 is not 佐藤健太
PARTICLES = "to i so no me us he we go do be"
NO_PARTICLES = FUNCTION_WORDS - frozenset(PARTICLES.split())  # English words that are no Japanese ones in Latin letters
APART = ";"  # between terms that are folded together: no letter of any, and nothing that is dropped

Term = tuple[str, str, str]  # folded to hiragana, as written, group


class Japanese:
    """The terms of all groups: ``Japanese([("裸の", "nude")]).marks("裸の人")``."""

    def __init__(self, terms: Iterable[tuple[str, str]], whole: frozenset[str] = frozenset()) -> None:
        """(term, group) each. Names of ``whole`` groups must be a whole word: マリオ is not in マリオネット."""
        self.whole = whole
        self.terms: dict[str, list[Term]] = defaultdict(list)  # by first sign
        self.calm: dict[str, list[Term]] = defaultdict(list)  # exceptions without what stretches them
        self.skeletons: dict[str, list[Term]] = defaultdict(list)  # those that differ from the term
        self.romaji: dict[str, set[str]] = defaultdict(set)
        given = list(terms)
        written = normalise.joined(normalise.plain(APART.join(term for term, _ in given)))
        calmed = normalise.unstretched(written)
        bared = calmed.translate(normalise.SKELETON)
        forms = [form.split(APART) for text in (written, calmed, bared) for form in (text, normalise.hiragana(text))]
        for (_, group), term, folded, calm, calm_folded, bare, bare_folded in zip(given, *forms, strict=True):
            self.terms[folded[0]].append((folded, term, group))
            if group == HARMLESS and calm != term:
                self.calm[calm_folded[0]].append((calm_folded, calm, group))
            if bare != term and (len(bare) >= SHORTEST_SKELETON or group == HARMLESS):
                self.skeletons[bare_folded[0]].append((bare_folded, bare, group))
            long_enough = len(folded) > (SHORT_NAME if group in whole else 1)
            if group != HARMLESS and long_enough and len(said := sounds.in_romaji(folded)) >= SHORTEST_AMONG_KANA:
                self.romaji[said].add(group)
        self.longest = max(map(len, forms[1]), default=0)

    def marks(self, plain: str) -> Iterator[Mark]:
        """Every group's words in a plain text, without what an exception covers."""
        if plain.isascii():
            return
        text = normalise.kana_for_lookalikes(normalise.joined(plain))
        folded = normalise.hiragana(text)
        yield from uncovered(self._scan(text, folded, self.terms))
        if (calm := normalise.unstretched(text)) != text:
            again = normalise.hiragana(calm)
            yield from uncovered([*self._scan(calm, again, self.terms), *self._scan(calm, again, self.calm)])
        if (bare := normalise.skeleton(text)) != text or not LARGE_FOR_SMALL.isdisjoint(text):
            again = normalise.hiragana(bare)
            long = self._scan(bare, again, self.terms, shortest=SHORTEST_SKELETON)
            yield from uncovered([*long, *self._scan(bare, again, self.calm), *self._scan(bare, again, self.skeletons)])
        if (said := normalise.spoken(text)) != text:
            yield from uncovered(self._scan(said, normalise.hiragana(said), self.terms))
        if normalise.MASK in folded:
            yield from self._scan_masked(folded)

    def _scan(self, text: str, folded: str, index: dict[str, list[Term]], shortest: int = 0) -> Iterator[Mark]:
        for place, sign in enumerate(folded):
            for term, written, group in index.get(sign, ()):
                long_enough = len(term) >= shortest or group == HARMLESS
                if long_enough and folded.startswith(term, place) and not _inside_a_word(text, place, written, group in self.whole):
                    yield Mark(group=group, start=place, end=place + len(term))

    def _scan_masked(self, folded: str) -> Iterator[Mark]:
        """Words of which some letters are masked, looked up by the first that is seen; where none is, any of some letter nearby."""
        around: set[str] = set()  # letters no further than two from a mask
        for place, sign in enumerate(folded):
            if sign == normalise.MASK:
                around.update(folded[max(0, place - 2) : place + 3])
        around.discard(normalise.MASK)
        whole = self._wholly_masked(around) if normalise.MASK * 3 in folded else []
        seen = mask = len(folded)  # the next letter, and the next masked one
        for first in range(len(folded) - 1, -1, -1):
            if folded[first] == normalise.MASK:
                mask = first
                for length, group in whole if seen - first <= self.longest else ():
                    if length > seen - first:
                        break
                    yield Mark(group=group, start=first, end=first + length)
            else:
                seen = first
            if seen == len(folded) or mask - first >= self.longest:
                continue
            found: set[tuple[int, str]] = set()
            for term, group in self._by_letter.get((seen - first, folded[seen]), ()):
                end = first + len(term)
                if not mask < end <= len(folded) or (end, group) in found or around.isdisjoint(term):
                    continue
                if _under_masks(term, folded[first:end]):
                    found.add((end, group))
            yield from (Mark(group=group, start=first, end=end) for end, group in found)

    def _wholly_masked(self, around: set[str]) -> list[tuple[int, str]]:
        """Lengths and groups of the words of three letters and more that have one of ``around``, the shortest first."""
        return sorted(
            {
                (len(term), group)
                for terms in self.terms.values()
                for term, _, group in terms
                if len(term) >= 3 and group != HARMLESS and not around.isdisjoint(term)
            }
        )

    @functools.cached_property
    def _by_letter(self) -> dict[tuple[int, str], list[tuple[str, str]]]:
        """What may be masked, by the place and the sign of each of its letters."""
        found: dict[tuple[int, str], list[tuple[str, str]]] = defaultdict(list)
        for term, group in dict.fromkeys((term, group) for terms in self.terms.values() for term, _, group in terms):
            if group != HARMLESS and (len(term) >= 3 or self._may_lose_its_end(term, group)):
                for place, sign in enumerate(term if len(term) > 2 else term[:1]):
                    found[place, sign].append((term, group))
        return found

    def _may_lose_its_end(self, term: str, group: str) -> bool:
        """Whether the first of two kanji is enough to know the word by: 虐○ but not 大○."""
        return len(term) == 2 and group not in self.whole and term[0] not in KANJI_IN_MANY and all(sign >= "一" for sign in term)

    def in_romaji(self, words: list[Word], english: Callable[[str], bool], *, alone: bool) -> Iterator[Mark]:
        """Japanese words in Latin letters, in one word that is not ``english`` or in several; short ones only beside Japanese."""
        shortest = SHORTEST_ROMAJI if alone else SHORTEST_AMONG_KANA
        for place, (start, end, word) in enumerate(words):
            joined = word
            for more in range(min(LONGEST_ROMAJI, len(words) - place)):
                if more:
                    _, end, following = words[place + more]
                    joined += following
                if (
                    not joined.isalpha()
                    or not joined.isascii()
                    or (more and (len(following) < 2 or not NO_PARTICLES.isdisjoint((word, following))))
                ):
                    break
                if not more and english(word):
                    continue
                said = sounds.romaji(joined)
                for length in range(len(said) if more else shortest, len(said) + 1):
                    if length == len(said) or length >= SHORTEST_ROMAJI:
                        yield from (Mark(group=group, start=start, end=end) for group in self.romaji.get(said[:length], ()))


def _under_masks(term: str, part: str) -> bool:
    return all(a == b or a == normalise.MASK for a, b in zip(part, term, strict=True))


def _inside_a_word(text: str, place: int, written: str, whole: bool) -> bool:
    """Whether a term was found in the middle of a longer word: セックス in エセックス, エロ in 考えろ, チンコ in カチンコ."""
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
    return len(written) <= SHORT_NAME and (whole or (len(written) < SHORT_NAME and (before or after or text[place - 1 : place] > "一")))
