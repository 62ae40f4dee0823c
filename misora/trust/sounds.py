"""How words sound: English that is misspelt as it is heard, Japanese in Latin letters; it knows nothing of rules."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence

HEARD = (  # what is written, what is heard; in this order
    (r"^kn|^gn", "n"),
    (r"^wr", "r"),
    (r"^ps", "s"),
    (r"ph", "f"),
    (r"gh(?=[^aeiouy]|$)", ""),
    (r"tch|ch", "1"),
    (r"sh", "2"),
    (r"th", "t"),
    (r"x", "ks"),
    (r"sc(?=[eiy])|c(?=[eiy])|z", "s"),
    (r"ck|c|q", "k"),
    (r"dg(?=[eiy])|g(?=[eiy])", "j"),
    (r"(?<=[aeiouy])[wh]|(?<=[^0-9\n])h", ""),
    (r"v", "f"),
    (r"(.)\1+", r"\1"),
    (r"^[aeiouy]+", "a"),
    (r"(?<!^)[aeiouy]+", ""),
)
HEARD_AS = [(re.compile(written, re.MULTILINE), sound) for written, sound in HEARD]

ROWS = {
    "": "あいうえお",
    "k": "かきくけこ",
    "g": "がぎぐげご",
    "s": "さしすせそ",
    "z": "ざじずぜぞ",
    "t": "たちつてと",
    "d": "だ　　でど",
    "n": "なにぬねの",
    "h": "はひふへほ",
    "b": "ばびぶべぼ",
    "p": "ぱぴぷぺぽ",
    "m": "まみむめも",
    "y": "や　ゆ　よ",
    "r": "らりるれろ",
    "w": "わ　　　　",
    "v": "　　ゔ　　",
}
SYLLABLES = {kana: row + vowel for row, signs in ROWS.items() for kana, vowel in zip(signs, "aiueo", strict=True)}
SYLLABLES |= {"を": "o", "ん": "n", "ぢ": "zi", "づ": "zu", "ー": "", "っ": "", " ": ""}
SMALL_Y, SMALL_VOWEL = {"ゃ": "ya", "ゅ": "yu", "ょ": "yo"}, {"ぁ": "a", "ぃ": "i", "ぅ": "u", "ぇ": "e", "ぉ": "o"}
KANA = frozenset(SYLLABLES) | frozenset(SMALL_Y) | frozenset(SMALL_VOWEL)
SPELLINGS = (  # one of several ways to write a syllable, and the way that is kept
    (r"sh(?=i)", "s"),
    (r"sh", "sy"),
    (r"t?ch(?=i)", "t"),
    (r"t?ch", "ty"),
    (r"ts", "t"),
    (r"f", "h"),
    (r"j(?=i)", "z"),
    (r"jy?", "zy"),
    (r"dzu|du", "zu"),
    (r"l", "r"),
    (r"m(?=[bpm])", "n"),
    (r"oh(?=[^aiueoy]|$)|ou", "o"),
    (r"(.)\1+", r"\1"),
)
SPELT_AS = [(re.compile(written), kept) for written, kept in SPELLINGS]


@functools.lru_cache(maxsize=20_000)
def heard(word: str) -> str:
    """The consonants of an English word as they sound: ``holocaust`` and ``hollowcost`` are both ``hlkst``."""
    for written, sound in HEARD_AS:
        word = written.sub(sound, word)
    return word


def all_heard(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each word and how it sounds; many at once are quicker than one by one."""
    said = "\n".join(words)
    for written, sound in HEARD_AS:
        said = written.sub(sound, said)
    return zip(words, said.split("\n"), strict=True) if words else iter(())


def edits(word: str, known: str, *, start_only: bool = False) -> int:
    """Letters to add, drop or change between two words; with ``start_only``, between ``known`` and the best beginning of ``word``."""
    row = list(range(len(word) + 1))
    for place, letter in enumerate(known, 1):
        before, row[0] = row[0], place
        for other in range(1, len(row)):
            before, row[other] = row[other], min(row[other] + 1, row[other - 1] + 1, before + (word[other - 1] != letter))
    return min(row[max(0, len(known) - 3) :] or row) if start_only else row[-1]


@functools.lru_cache(maxsize=20_000)
def romaji(word: str) -> str:
    """One spelling for all of a word's: Hepburn, kunrei or none in particular, long vowels marked or not."""
    for written, kept in SPELT_AS:
        word = written.sub(kept, word)
    return word


def in_romaji(kana: str) -> str:
    """Hiragana in that spelling, or nothing where a sign is no kana."""
    if not KANA.issuperset(kana):
        return ""
    said = ""
    for sign in kana:
        if sign in SMALL_Y:
            said = said[:-1] + SMALL_Y[sign]
        elif sign in SMALL_VOWEL:
            said = said[:-1] + SMALL_VOWEL[sign]
        else:
            said += SYLLABLES[sign]
    return romaji(said)
