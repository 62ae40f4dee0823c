"""Text as it is meant, however it is dressed up: marks, look-alikes, hidden signs, leet and repeats undone; it knows nothing of rules."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator
from importlib import resources

VOICED = "\u3099\u309a"  # the marks that turn か into が and は into ぱ belong to the letter
APART = re.compile(f"(?<! ) +([{VOICED}])")  # from the first blank only, or a long gap is tried from each of its blanks
DRAWN_AS = {
    "ιノ": "し",
    "レノ": "し",
    "ﾚヽ": "い",
    "レヽ": "い",
    "レヾ": "い",
    "ナょ": "な",
    "ﾅょ": "な",
    "ﾅﾆ": "た",
    "ﾚﾆ": "に",
    "|ﾆ": "に",
    "|二": "に",
    "(ま": "は",
    "レま": "は",
    "|ま": "は",
    "ﾚま": "は",
    "衣果": "裸",
    "ネ果": "裸",
    "礻果": "裸",
}  # letters made of two signs
DRAWN = re.compile("|".join(map(re.escape, DRAWN_AS)))
MASK = "○"  # what stands for a letter left out, whatever it was typed as
MASKS = "○〇◯●◎✕✖□■◆◇☆★＊"
JAPANESE = "ぁ-ゖゝゞァ-ヺー一-鿿々○"
BETWEEN = re.compile(rf"(?<=[{JAPANESE}])[\s・.*/|_~\-＝=+·‐-―～〜,「」『』（）()\[\]【】〈〉《》“”]+(?=[{JAPANESE}])")
LEET = {
    "0": "o",
    "1": "i",
    "3": "e",
    "4": "a",
    "5": "s",
    "7": "t",
    "8": "b",
    "9": "g",
    "@": "a",
    "$": "s",
    "!": "i",
    "|": "l",
    "+": "t",
    "€": "e",
}
WORD = re.compile(r"[a-z0-9@$!|+€*#']+")
LOOKALIKES = dict(zip("工口力二卜夕八一七千", "エロカニトタハーセチ", strict=True))
KATAKANA_FOR = {ord(kanji): kana for kanji, kana in LOOKALIKES.items()}
LOOKALIKE_KANJI = re.compile(r"(?<=[ァ-ヺー])[工口力二卜夕八一七千]+|[工口力二卜夕八七千]+(?=[ァ-ヺー])|工口|工□")
STRETCH = re.compile(
    r"ー+|(?<=[ぁ-ゖァ-ヺ一-龥])[ぁぃぅぇぉァィゥェォっッ]{2,}|(?<=[あかさたなはまやらわがざだばぱぁ])ぁ|(?<=[いきしちにひみりぎじび])ぃ|(?<=[うくすつぬふむゆるぐずぶ])ぅ|(?<=[えけせてねへめれげぜで])ぇ|(?<=[おこそとのほもよろをごぞど])ぉ"
)
TRIPLED = re.compile(r"([^\d\s])\1{2,}")
SKELETON = {
    ord(small): large
    for small, large in zip(
        "ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶソツノ", "あいうえおつやゆよわアイウエオシヤユヨワカケンシメ", strict=True
    )
}
FIRST_KATAKANA, LAST_KATAKANA, TO_HIRAGANA = 0x30A1, 0x30F6, 0x60
HIRAGANA_FOR = {code: code - TO_HIRAGANA for code in range(FIRST_KATAKANA, LAST_KATAKANA + 1)}
NAMED = "ウーマン マン ガール ボーイ キング マウス キティ ポッター バット スパイダー スーパー アイアン ワンダー ハリー"
IN_ENGLISH = "woman man girl boy king mouse kitty potter bat spider super iron wonder harry"
MIXED = dict(zip(NAMED.split(), IN_ENGLISH.split(), strict=True))
MIXED_WITH = re.compile(rf"(?<=[a-z])([-・ ]?)({'|'.join(MIXED)})(?![ァ-ヺ])|(?<![ァ-ヺ])()({'|'.join(MIXED)})(?=[-・ ]?[a-z]{{3}})")
SPOKEN = re.compile(r"[ァ-ヺー]*ヲ[ァ-ヺー]*|[ァ-ヺー]{8,}")  # katakana that may be a whole sentence
CUT = re.compile(r"(?<=[^\W\d_])[/|\\_~·•](?=[^\W\d_])")  # what may stand between the letters of one word
IN_JAPANESE = re.compile(f"[{JAPANESE}]")


class _Seen(dict[int, str | None]):
    """A table for ``str.translate`` that drops what nobody sees: marks, formats, controls. It fills itself."""

    def __missing__(self, code: int) -> str | None:
        sign = chr(code)
        hidden = unicodedata.category(sign) in ("Mn", "Me", "Cf", "Cc") and sign not in VOICED and sign != "\n"
        return self.setdefault(code, None if hidden else sign)


SEEN = _Seen()


@functools.cache
def pictures() -> tuple[re.Pattern[str], dict[str, str]]:
    """What emoji say, alone or side by side: a pattern that finds them and the English words of each."""
    said: dict[str, str] = {}
    for line in resources.files("misora.trust").joinpath("rules/pictures.txt").read_text(encoding="utf-8").splitlines():
        words, _, signs = line.partition(": ")
        if signs and words[0] != "#":
            said |= dict.fromkeys(signs.split(), f" {words} ")
    return re.compile("|".join(sorted(map(re.escape, said), key=len, reverse=True))), said


def pictured(text: str) -> str:
    """Emoji as the words that they stand for: 🔪 is a knife."""
    found, said = pictures()
    bare = text.replace("\ufe0f", "")
    return found.sub(lambda sign: said[sign[0]], bare) if found.search(bare) else text


@functools.cache
def lookalikes() -> dict[int, str]:
    """Code point to the Latin letter that it imitates; the flags' and the squared letters are added by rule."""
    table: dict[int, str] = {}
    for line in resources.files("misora.trust").joinpath("rules/confusables.txt").read_text(encoding="utf-8").splitlines():
        letter, _, signs = line.partition(" ")
        if len(letter) == 1 and letter != "#":
            table |= {ord(sign): letter for sign in signs if ord(sign) not in table}
    for first in (0x1F1E6, 0x1F150, 0x1F170):  # flags, white on black circles and squares
        table |= {first + place: chr(ord("a") + place) for place in range(26)}
    return table | {ord(sign): MASK for sign in MASKS}


def plain(text: str) -> str:
    """Lower case, composed, without invisible signs and marks, look-alikes replaced: what a reader takes the text for."""
    if text.isascii():
        return text.lower()
    drawn = DRAWN.sub(lambda found: DRAWN_AS[found[0]], pictured(text)).translate(lookalikes())
    split = APART.sub(r"\1", unicodedata.normalize("NFKD", drawn))
    meant = unicodedata.normalize("NFC", split.translate(SEEN)).casefold().translate(lookalikes())
    return MIXED_WITH.sub(lambda found: (found[1] or "") + MIXED[found[2] or found[4]], meant)


def words(text: str) -> Iterator[tuple[int, str]]:
    """Place and letters of each Latin word or number of a plain text; signs that stand for letters stay in it."""
    for found in WORD.finditer(text):
        word = found[0].strip("'!+|#").replace("'s", "").replace("'", "")
        if word:
            yield found.start(), word


def meanings(word: str) -> Iterator[str]:
    """What a disguised word may be, likeliest first: leet undone, then letters that are said once or twice instead of many times."""
    if word.count("|") > 1:
        yield word.replace("|", "")
    undone = "".join(LEET.get(sign, sign) for sign in word) if not word.isalpha() and not word.isdigit() else word
    yield undone
    if "1" in word:
        yield "".join(LEET.get(sign, sign) for sign in word.replace("1", "l"))
    if re.search(r"(.)\1\1", undone):
        yield re.sub(r"(.)\1{2,}", r"\1\1", undone)
        yield re.sub(r"(.)\1{2,}", r"\1", undone)
        yield re.sub(r"(.)\1+", r"\1", undone)


def hiragana(text: str) -> str:
    """Katakana written as hiragana, sign for sign, so that one spelling finds the other."""
    return text.translate(HIRAGANA_FOR)


def spoken(text: str) -> str:
    """A sentence that is all in katakana as one in hiragana, in which words have no borders: ジサツノホウホウヲ."""
    if "ヲ" not in text and any(map(is_hiragana, text)):
        return text
    return SPOKEN.sub(lambda found: hiragana(found[0]) if len(found[0]) > 5 else found[0], text)


def is_japanese(text: str) -> bool:
    """Whether there is a Japanese letter in a text."""
    return not text.isascii() and IN_JAPANESE.search(text) is not None


def joined(text: str) -> str:
    """Japanese letters that were pulled apart by blanks, dots or strokes put together again, and breath marks after them dropped."""
    return BETWEEN.sub("", text)


def uncut(text: str) -> str:
    """Words that a stroke or a bar parts, as one: ``mas/sacre``."""
    return CUT.sub("", text)


def is_hiragana(sign: str) -> bool:
    """Whether a sign is a hiragana letter."""
    return "ぁ" <= sign <= "ゖ"


def is_kana(sign: str) -> bool:
    """Whether a sign is a letter of either kana."""
    return is_hiragana(sign) or is_katakana(sign)


def kana_for_lookalikes(text: str) -> str:
    """Kanji that are drawn like katakana and stand beside one, as that katakana: 工口 is エロ, 力ッ卜 is カット."""
    return LOOKALIKE_KANJI.sub(lambda found: found[0].translate(KATAKANA_FOR), text)


def unstretched(text: str) -> str:
    """Without the signs that only stretch a word: 死にたぁぁい, グロロロい, セーックス."""
    return TRIPLED.sub(r"\1", STRETCH.sub("", text))


def skeleton(text: str) -> str:
    """What is left when small letters are large, stretching is dropped and letters that are drawn alike are one."""
    return unstretched(text).translate(SKELETON)


def is_katakana(sign: str) -> bool:
    """Whether a sign is a katakana letter or the mark of a long one."""
    return FIRST_KATAKANA <= ord(sign) <= LAST_KATAKANA or sign == "ー"
