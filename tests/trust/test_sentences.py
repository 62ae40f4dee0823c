"""A sentence is held for what it says as a whole where no rule speaks; the model is what its script learns. It knows nothing of servers."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from importlib import resources

import numpy as np
import pytest

from misora.trust import sentences
from misora.trust.rulebook import Rulebook
from misora.trust.sentences import BUCKETS, CATEGORIES, HEAD, SORTING, Sentences, Traits, group_place, parts, traits
from runs import make_sentences
from runs.make_sentences import Lesson
from tests.tree import ROOT

CORPUS = ROOT / "tests/trust/corpus"
CALM = "A calm lake at dawn, and a heron stands among the reeds. "


def model(weights: dict[int, int], bias: float = 0.0, unit: float = 0.5) -> Sentences:
    table = np.zeros(BUCKETS + len(CATEGORIES) * SORTING, dtype=np.int8)
    table[list(weights)] = list(weights.values())
    return Sentences(HEAD.pack(bias, unit) + table.tobytes())


def test_the_log_odds_are_the_formula_s() -> None:
    seen = Traits(grams=frozenset(range(36)), groups=frozenset({"nude"}))
    learnt = model({0: 10, 5: -4, group_place("nude") % BUCKETS: 20}, bias=-1.0)
    assert math.isclose(learnt.log_odds(seen), -1 + 0.5 * ((10 - 4) / 6 + sentences.GROUP_WEIGHS * 20))
    assert model({}).log_odds(seen) == 0 and model({}).category(seen) == ""


def test_a_category_is_the_one_that_is_nearest() -> None:
    hate = BUCKETS + CATEGORIES.index("hate") * SORTING
    learnt = model({7: 127, hate + 7: 10}, bias=1.0)
    assert learnt.category(Traits(grams=frozenset({7}), groups=frozenset())) == "hate"


@pytest.mark.parametrize("text", ["", "short", CALM * 20, "x" * 1000, ("y" * 290 + ". ") * 3, "静かな湖。" * 200])
def test_parts_are_the_whole_text_and_none_is_long(text: str) -> None:
    found = list(parts(text))
    assert "".join(text[start:end] for start, end in found) == text
    assert len(found) == 1 if len(text) <= sentences.LONG else all(0 < end - start <= sentences.PART for start, end in found)


def test_words_are_seen_as_they_are_meant() -> None:
    assert traits(["murder"], "murder", ()) == traits(["murder"], "m*rder", ())
    assert traits([], "夜の海", ()).grams == traits([], "夜 の 海", ()).grams


def test_what_was_held_out_is_not_learnt() -> None:
    learnt = {text for _, text in make_sentences.looked_at()}
    assert not learnt & {json.loads(line)["text"] for line in (CORPUS / "held_out.jsonl").read_text(encoding="utf-8").splitlines()}
    for name in ("second", "third", "fourth"):
        for line in (CORPUS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            prompt = json.loads(line)
            odd = hashlib.sha256(prompt["text"].encode()).digest()[0] % 2
            assert not odd or prompt["text"] not in learnt or (prompt.get("evasion") and name != "fourth")


def test_a_model_learns_its_lessons_and_always_the_same() -> None:
    texts = [
        ("everyday", "a dog on a beach"),
        ("everyday", "a boat on a lake"),
        ("hate", "drive them out of town"),
        ("illicit", "how to rob"),
    ]
    lessons = [Lesson(category=category, seen=traits(text.split(), text, ())) for category, text in texts]
    learnt = make_sentences.fit(lessons)
    assert learnt == make_sentences.fit(lessons)
    told = Sentences(learnt)
    for lesson in lessons:
        assert (told.log_odds(lesson.seen) > 0) == (lesson.category != "everyday")
        assert lesson.category == "everyday" or told.nearest(lesson.seen) == lesson.category


def test_the_shipped_model_is_small_and_speaks_where_no_rule_does() -> None:
    assert len(resources.files("misora.trust").joinpath(sentences.FILE).read_bytes()) < 150_000
    book = Rulebook.shipped()
    held = (text for category, text in make_sentences.prompts() if category == "illicit")
    rules = ((text, book.judge(text)) for text in held)
    spoken = list(itertools.islice(((text, rule) for text, rule in rules if rule and rule.id.startswith("sentence.")), 3))
    assert len(spoken) == 3
    for text, rule in spoken:
        assert rule.verdict == "review" and rule.id == f"sentence.{rule.category}"
        hidden = book.judge(f"{CALM * 6}{text}. {CALM * 6}")
        assert hidden is not None, text
    assert book.judge(CALM * 12) is None


@pytest.mark.slow
def test_the_shipped_model_is_what_its_script_learns() -> None:
    shipped, learnt = (
        Sentences(file) for file in (resources.files("misora.trust").joinpath(sentences.FILE).read_bytes(), make_sentences.learnt())
    )
    assert math.isclose(shipped.bias, learnt.bias, abs_tol=1e-3) and math.isclose(shipped.unit, learnt.unit, rel_tol=1e-3)
    apart = np.abs(np.subtract(shipped.weights, learnt.weights, dtype=np.int16))
    assert apart.max() <= 1 and (apart > 0).mean() < 0.01  # exp may differ in its last bit from machine to machine
    assert shipped.sorting == learnt.sorting
