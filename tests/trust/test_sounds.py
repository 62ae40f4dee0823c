"""Laws of how words sound: spellings of one word are one, and words that sound apart stay apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misora.trust.sounds import SYLLABLES, edits, heard, in_romaji, romaji

WORDS = st.text("abcdeiorst", max_size=8)


@pytest.mark.parametrize("one, other", [("holocaust", "hollowcost"), ("photo", "foto"), ("knife", "nife"), ("cat", "kat")])
def test_words_that_sound_alike_are_heard_alike(one: str, other: str) -> None:
    assert heard(one) == heard(other)


@pytest.mark.parametrize("one, other", [("killer", "kettle"), ("bomb", "boat"), ("ship", "sip")])
def test_words_that_sound_apart_are_heard_apart(one: str, other: str) -> None:
    assert heard(one) != heard(other)


@given(WORDS, WORDS, WORDS)
def test_edits_are_a_distance(one: str, other: str, third: str) -> None:
    assert edits(one, other) == edits(other, one)
    assert (edits(one, other) == 0) == (one == other)
    assert edits(one, third) <= edits(one, other) + edits(other, third)
    assert edits(one + third, one, start_only=True) == 0


@pytest.mark.parametrize(
    "spellings", [("shinjuku", "sinzyuku"), ("tsuchi", "tuti"), ("toukyou", "tohkyoh", "tokyo"), ("shimbun", "sinbun")]
)
def test_romaji_of_one_word_is_one(spellings: tuple[str, ...]) -> None:
    assert len({romaji(each) for each in spellings}) == 1


@given(st.text(sorted(SYLLABLES), min_size=1, max_size=6))
def test_kana_are_read_and_nothing_else_is(kana: str) -> None:
    assert romaji(in_romaji(kana)) == in_romaji(kana)
    assert in_romaji(kana + "犬") == ""


def test_small_kana_belong_to_the_sound_before_them() -> None:
    assert in_romaji("しょうゆ") == romaji("shoyu") and in_romaji("きゃく") == romaji("kyaku")
