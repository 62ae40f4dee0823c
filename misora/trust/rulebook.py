"""The rules as they stand in rules/, read once, and what they say of a text; it knows nothing of plans, endpoints or classifiers."""

from __future__ import annotations

import dataclasses
import functools
import re
import tomllib
from collections import defaultdict
from importlib import resources
from typing import Any

from misora.trust import sentences
from misora.trust.decision import Verdict
from misora.trust.lexicon import Lexicon, Reading
from misora.trust.mark import Mark, Reach
from misora.trust.sentences import Sentences, Traits

WITHIN = 80  # characters between the words of a rule, unless it says otherwise
NAMES = (
    "celebrity",
    "celebrity_name",
    "character",
    "character_bare",
    "character_name",
    "character_title",
    "brand",
    "brand_name",
    "brand_word",
)
MISSPELT = (
    "celebrity",
    "character",
    "suicide",
    "self_harm",
    "graphic",
    "sexual",
    "hard_drug",
    "election",
    "faked",
    "leaked",
    "hate_symbol",
    "weapon_banned",
)
ADULT = 18
TEENS = [f"{number}teen" for number in ("thir", "four", "fif", "six", "seven")]
WORDS_EN = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", *TEENS]
KANJI = {"一": 1, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_NUMBER = rf"(\d{{1,2}}|{'|'.join(WORDS_EN)})"
AGES = (
    re.compile(rf"\b{_NUMBER}[\s-]*(?:years?|yrs?|yo|y/o)\b(?:[\s-]*olds?)?"),
    re.compile(rf"\b(?:boys?|girls?|child|aged?|brides?|kids?) (?:of |aged )?{_NUMBER}\b"),
    re.compile(rf"\b(?:looks?|looking|barely|only|just) (?:about |around |like |barely |only |turned )?{_NUMBER}\b(?! \w)"),
    re.compile(rf"\b(?:looks?|looking) (?:about|around|barely) {_NUMBER}\b"),
    re.compile(r"(\d{1,2}|[一二三四五六七八九]?十?[一二三四五六七八九]?)(?:[歳才]|さい(?:の|で|く))"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
    """One line of policy: what must stand together, how near, and what excuses it. ``needs`` and ``excused_by`` name groups of words."""

    id: str
    category: str
    verdict: Verdict
    needs: tuple[frozenset[str], ...]
    within: int
    ordered: bool
    excused_by: frozenset[str]

    def speaks(self, marks: dict[str, list[Mark]]) -> bool:
        """Whether the words found satisfy this rule."""
        if any(group in marks for group in self.excused_by):
            return False
        choices = [[mark for group in need for mark in marks.get(group, ())] for need in self.needs]
        if not all(choices):
            return False
        chosen = choices[0]
        for marks_of_next in choices[1:]:
            reach = Reach(chosen)
            chosen = [mark for mark in marks_of_next if self._follows(reach, mark)]
        return bool(chosen)

    def _follows(self, chosen: Reach, mark: Mark) -> bool:
        """Whether one of the chosen is near ``mark``; the same letters can be both words only where they are of one group."""
        if chosen.before(mark, self.within):
            return True
        return not self.ordered and (chosen.after(mark, self.within) or chosen.over(mark.group, mark.start, mark.end))


class Rulebook:
    """All rules and all their words: ``Rulebook.shipped().judge(text)`` is the first rule that speaks, or None."""

    def __init__(self, rules: dict[str, Any], groups: dict[str, list[str]]) -> None:
        self.version = str(rules["version"])
        self.rules = [_rule(line) for line in rules["rules"]]
        self.lexicon = Lexicon(groups, fuzzy=MISSPELT, whole=NAMES)

    @classmethod
    @functools.cache
    def shipped(cls) -> Rulebook:
        """The rules that travel in the package."""
        folder = resources.files("misora.trust").joinpath("rules")
        groups: dict[str, list[str]] = defaultdict(list)
        for name in ("words.en.toml", "words.ja.toml", "names.toml"):
            for group, terms in tomllib.loads(folder.joinpath(name).read_text(encoding="utf-8")).items():
                groups[group] += [term.strip() for term in re.split(r"[,\n]", terms) if term.strip()]
        return cls(tomllib.loads(folder.joinpath("rules.toml").read_text(encoding="utf-8")), groups)

    @property
    def categories(self) -> list[str]:
        """Every category that a rule may name, in the order of the rules."""
        return list(dict.fromkeys(rule.category for rule in self.rules))

    def judge(self, text: str) -> Rule | None:
        """The first rule that speaks of ``text``, one that blocks before one that asks for review; if none does, what its sentences say."""
        reading = self._read(text)
        marks: dict[str, list[Mark]] = defaultdict(list)
        for mark in reading.marks:
            marks[mark.group].append(mark)
        spoken = [rule for rule in self.rules if rule.speaks(marks)] if marks else []
        return min(spoken, key=lambda rule: rule.verdict != "block") if spoken else self._by_sentences(reading)

    def seen(self, text: str) -> Traits:
        """What the sentence model sees of a text that is one sentence."""
        reading = self._read(text)
        return _seen(reading, 0, len(reading.plain))

    def _read(self, text: str) -> Reading:
        reading = self.lexicon.read(text)
        return dataclasses.replace(reading, marks=list(dict.fromkeys((*reading.marks, *_ages(reading.plain)))))

    def _by_sentences(self, reading: Reading) -> Rule | None:
        """A rule of its own, ``sentence.hate``, for the first part of the text that reads like what must be held."""
        for start, end in sentences.parts(reading.plain):
            if category := Sentences.shipped().category(_seen(reading, start, end)):
                return Rule(
                    id=f"sentence.{category}",
                    category=category,
                    verdict="review",
                    needs=(),
                    within=0,
                    ordered=False,
                    excused_by=frozenset(),
                )
        return None


def _rule(line: dict[str, Any]) -> Rule:
    return Rule(
        id=line["id"],
        category=line["category"],
        verdict=line.get("verdict", "block"),
        needs=tuple(frozenset(need.split("|")) for need in line["all"]),
        within=line.get("within", WITHIN),
        ordered=line.get("ordered", False),
        excused_by=frozenset(line.get("unless", ())),
    )


def _seen(reading: Reading, start: int, end: int) -> Traits:
    """What the sentence model sees of a part of a text."""
    words = [word.text for word in reading.words if start <= word.start < end]
    return sentences.traits(words, reading.plain[start:end], {mark.group for mark in reading.marks if start <= mark.start < end})


def _ages(plain: str) -> list[Mark]:
    """Ages under eighteen as words of the group ``young_age``: ``12-year-old``, ``girl of eleven``, ``十七歳``."""
    return [
        Mark(group="young_age", start=found.start(), end=found.end())
        for pattern in AGES
        for found in pattern.finditer(plain)
        if 0 < _number(found[1]) < ADULT
    ]


def _number(written: str) -> int:
    if written.isascii() and written.isdigit():
        return int(written)
    if written in WORDS_EN:
        return WORDS_EN.index(written)
    tens, ten, ones = written.partition("十")
    if not ten:
        return KANJI.get(written, 0)
    return 10 * KANJI.get(tens, 1) + KANJI.get(ones, 0)
