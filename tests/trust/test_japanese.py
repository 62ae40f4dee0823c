"""Laws of Japanese words: every spelling of a word is found, and a word within another is not."""

from __future__ import annotations

import pytest

from misora.trust.english import Word
from misora.trust.japanese import Japanese
from misora.trust.normalise import plain

BOOK = Japanese(
    [("コカイン", "drug"), ("佐藤健", "name"), ("マリオ", "name"), ("ロリ", "bad"), ("ローリング", "harmless")], whole=frozenset({"name"})
)


@pytest.mark.parametrize("text", ["コカイン", "こかいん", "コ カ イ ン", "コーカイーン", "コヵイン", "コカ○ン", "ｺｶｲﾝ"])
def test_every_spelling_is_found(text: str) -> None:
    assert {mark.group for mark in BOOK.marks(plain(text))} == {"drug"}


@pytest.mark.parametrize("text", ["佐藤健太", "マリオネット", "ローリング", "カイン"])
def test_a_word_within_another_is_not(text: str) -> None:
    assert list(BOOK.marks(text)) == []


def test_an_exception_without_its_stretch_covers_only_stretched_words() -> None:
    assert [mark.group for mark in BOOK.marks("ロリの")] == ["bad"]


def test_romaji_begins_at_no_english_word() -> None:
    words = [Word(0, 1, "a"), Word(2, 5, "hen")]
    assert list(Japanese([("アヘン", "drug")]).in_romaji(words, lambda word: False, alone=True)) == []
    assert [mark.group for mark in BOOK.in_romaji([Word(0, 6, "kokain")], lambda word: False, alone=True)] == ["drug"]
