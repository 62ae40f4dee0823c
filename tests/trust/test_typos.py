"""Laws of misspelling: a slip is symmetric and small, and the index finds exactly what comparing every word would find."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from misora.trust.sounds import all_heard, heard
from misora.trust.typos import Typos, one_slip

WORDS = st.text("abcd", min_size=4, max_size=8)


@given(WORDS, WORDS)
def test_a_slip_goes_both_ways(one: str, other: str) -> None:
    assert one_slip(one, other) == one_slip(other, one)
    assert one_slip(one, one)


@given(st.lists(WORDS, max_size=20), WORDS)
def test_the_index_finds_what_comparing_all_finds(known: list[str], word: str) -> None:
    typos = Typos(slips=known, heard=(), stems=())
    assert typos.alike(word) == {each for each in known if one_slip(word, each)}


@given(st.lists(st.text("aehknpstuw", min_size=1, max_size=8), max_size=8))
def test_many_words_are_heard_as_each_is(words: list[str]) -> None:
    assert list(all_heard(words)) == [(word, heard(word)) for word in words]


def test_a_stem_may_end_as_words_do_and_no_other_way() -> None:
    typos = Typos(slips=(), heard=["preteen"], stems=["preteen"])
    assert list(typos.as_heard("preeteens")) == ["preteen"]
    assert list(typos.as_heard("pretends")) == []
