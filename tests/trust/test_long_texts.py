"""A text of odd signs costs what its length costs: work is counted, no clock is read. It knows nothing of what is decided."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any, SupportsIndex, overload

import pytest

from misora.trust.english import English, Word
from misora.trust.mark import HARMLESS, Mark, uncovered
from misora.trust.rulebook import Rule, Rulebook

ODD = {
    "masked words": "死○体○殺○人○",
    "a few letters among masks": "死○○○○○○体",
    "long runs of masks": "死体女子殺人裸性" + "○" * 12,
    "emoji": "🔪🩸👧🍆",
    "words that are held and words that excuse": "naked child, killer whale, 裸の少女, カメラで撃つ, shoot a video of a gun ",
    "single letters": "k.i.l.l a b c d e ",
    "marks": "z\u0301\u0302\u0303a\u0323\u0324 ",
    "look-alikes": "раураl іѕ thе bеѕt ",
    "repeats": "haaaate кiiill ころろろす しーーーね ",
    "mixed scripts": "".join(random.Random(7).choices("abcあいアイ漢字абв○*4 死体", k=200)),
}


def calls(work: Callable[[], object]) -> int:
    """How many functions are called, those of C too."""
    count = 0

    def one(frame: object, event: str, what: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(one)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_twice_the_text_is_no_more_than_thrice_the_work(odd: str) -> None:
    book = Rulebook.shipped()
    texts = [(odd * 600)[:length] for length in (600, 1200, 2400)]
    book.judge(texts[2])  # what is made once is there
    short, long = (calls(lambda text=text: book.judge(text)) for text in texts[1:])  # type: ignore[misc]
    assert long <= 3 * short


class Copied(list[Word]):
    """A list that counts what is copied out of it."""

    copied = 0

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> Word: ...
    @overload
    def __getitem__(self, place: slice, /) -> list[Word]: ...
    def __getitem__(self, place: Any, /) -> Any:
        """As a list does."""
        got = super().__getitem__(place)
        self.copied += len(got) if isinstance(place, slice) else 0
        return got


def test_looking_for_a_phrase_copies_no_more_words_than_it_has() -> None:
    english = English([("kitchen knife fight", "weapon")])
    words = Copied(english.words("kitchen knife " * 200))
    list(english.marks(words))
    assert words.copied <= 3 * len(words)


def test_words_that_stand_too_far_apart_are_not_tried_each_with_each() -> None:
    needs = (frozenset({"one"}), frozenset({"other"}))
    rule = Rule(id="r", category="c", verdict="block", needs=needs, within=10, ordered=False, excused_by=frozenset())

    def work(count: int) -> int:
        ones, others, excuses = (
            [Mark(group=group, start=200 * n + at, end=200 * n + at + 5) for n in range(count)] for group, at in GROUPS
        )
        marks = {"one": ones, "other": others}
        assert not rule.speaks(marks) and len(uncovered([*ones, *excuses])) == count
        return calls(lambda: (rule.speaks(marks), uncovered([*ones, *excuses])))

    assert work(400) <= 3 * work(200)


GROUPS = (("one", 0), ("other", 100), (HARMLESS, 50))
