"""Which words a prompt may use: the whole vocabulary of both languages, and the nearest known words to any other; it knows no grammar."""

from __future__ import annotations

import difflib
import functools
import re
import unicodedata
from collections.abc import Iterator

from misora.words import english, japanese

JAPANESE = r"\u3040-\u30ff\u3400-\u9fff\u3005"
RUN = re.compile(rf"[^\W\d_{JAPANESE}]+(?:-[^\W\d_{JAPANESE}]+)*|[{JAPANESE}]+")
NAMED, LONGEST = 40, 40  # unknown words of a prompt that get neighbours (each costs milliseconds), and the letters of the longest such
PARTICLES = frozenset("がはをにでへとのもやかよねだしてい、。")
HIRAGANA = re.compile(r"[\u3040-\u309f]+")
# What people may type, and the known word that comes closest in meaning rather than in spelling.
KIN = {
    **dict.fromkeys(("lion", "tiger", "cat", "dog", "bird", "fish", "horse", "cow", "animal", "bear"), ("egg", "capsule")),
    **dict.fromkeys(("man", "woman", "person", "boy", "girl", "child", "people", "robot"), ("capsule", "cylinder")),
    **dict.fromkeys(("car", "truck", "bus", "train", "house", "building"), ("block", "box")),
    **dict.fromkeys(("tree", "mountain"), ("cone", "pyramid")),
    **dict.fromkeys(("crimson", "scarlet", "maroon"), ("red",)),
    **dict.fromkeys(("gold", "golden"), ("yellow",)),
    **dict.fromkeys(("navy", "azure"), ("blue",)),
    **dict.fromkeys(("tiny", "miniature"), ("small", "little")),
    **dict.fromkeys(("huge", "giant", "enormous"), ("large", "big")),
    **dict.fromkeys(("jump", "jumps", "jumping", "hop", "hops"), ("bounce",)),
    **dict.fromkeys(("walk", "walks", "walking", "run", "drive", "drives", "driving"), ("slide", "roll")),
    **dict.fromkeys(("ライオン", "虎", "猫", "犬", "鳥", "魚", "動物"), ("卵", "カプセル")),
    **dict.fromkeys(("人", "男", "女", "子供"), ("カプセル", "円柱")),
    **dict.fromkeys(("車", "家", "建物"), ("直方体", "箱")),
}


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _texts(part)


@functools.cache
def lexicon() -> tuple[str, ...]:
    """Every English word and every Japanese piece that captions are made of, sorted; the same at every call and in every process."""
    return tuple(sorted(_english() | _japanese()))


@functools.cache
def _english() -> frozenset[str]:
    tables = (english.COLOURS, english.SHAPES, english.SIZES, english.SIDES, english.FLOORS, english.LIGHTS, english.STYLES)
    more = (english.CAMERAS, english.COUNTS, english.PASSIVES, english.MOTION_ADJECTIVES, english.FUNCTION_WORDS)
    deeds = [english.conjugate(phrase, form) for phrases in english.VERBS.values() for phrase in phrases for form in (0, 1, 2)]
    ways = [way.format(side, other=side) for way in english.WAYS for side in ("left", "right")]
    plurals = [english.plural_of(noun) for nouns in english.SHAPES.values() for noun in nouns]
    text = " ".join(_texts((tables, more, deeds, ways, plurals))).replace("{x}", "wall").replace("{d}", "")
    return frozenset(re.findall(r"[a-z]+(?:-[a-z]+)*", text))


@functools.cache
def _japanese() -> frozenset[str]:
    tables = (japanese.COLOURS, japanese.BARE_COLOURS, japanese.SHAPES, japanese.SIZES, japanese.PLACES, japanese.THERE, japanese.IN_A_ROW)
    more = (japanese.FLOORS, japanese.LIGHTS, japanese.STYLES, japanese.COUNTS, japanese.AFTER_NOUN, japanese.VERBS, japanese.CAMERAS)
    ways = [way.format(side, other=other) for way in japanese.WAYS for side, other in ("左右", "右左")]
    texts = _texts((tables, more, ways, japanese.FUNCTION_WORDS))
    return frozenset(piece for text in texts for piece in re.split(r"\{.\}|[\s、。「」]", text) if piece)


def fold(text: str) -> str:
    """The text in the form in which words are compared: compatibility characters and letter case made one (NFKC)."""
    return unicodedata.normalize("NFKC", text).casefold()


def unknown_told(prompt: str) -> list[str]:
    """A sentence for each word that the embedded weights have never seen, with the nearest that they have."""
    told = [(word, f"; nearest known: {', '.join(near)}" if near else "") for word, near in unknown_words(prompt)]
    return [f"the weights do not know {word!r}{known}" for word, known in told]


def unknown_words(prompt: str) -> list[tuple[str, tuple[str, ...]]]:
    """The words of a prompt that the embedded weights have never read, each once; the first ones with at most three known near them."""
    found: dict[str, tuple[str, ...]] = {}
    for run in RUN.findall(fold(prompt)):
        for word in _unknown_japanese(run) if re.match(f"[{JAPANESE}]", run) else _unknown_english(run):
            if word not in found:
                found[word] = _nearest(word) if len(found) < NAMED else ()
    return list(found.items())


def _unknown_english(word: str) -> list[str]:
    if word in _english():
        return []
    return [part for part in word.split("-") if part not in _english()]


def _unknown_japanese(run: str) -> list[str]:
    """What greedy longest matching leaves over, neighbours joined; endings in hiragana alone are grammar."""
    left: list[str] = []
    word, i = "", 0
    while i < len(run):
        size = next(
            (n for n in range(min(12, len(run) - i), 0, -1) if run[i : i + n] in _japanese() or (n == 1 and run[i] in PARTICLES)), 0
        )
        if not size:
            word += run[i]
        elif word:
            left.append(word)
            word = ""
        i += size or 1
    left += [word] if word else []
    return [piece for piece in left if not (HIRAGANA.fullmatch(piece) and len(piece) < 3)]


def _nearest(word: str) -> tuple[str, ...]:
    if word in KIN:
        return KIN[word]
    if len(word) > LONGEST:
        return ()  # twice as long as any known word
    pool = sorted(_english() if word.isascii() else _japanese())
    return tuple(difflib.get_close_matches(word, pool, n=3, cutoff=0.6))
