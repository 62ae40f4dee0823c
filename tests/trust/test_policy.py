"""The policy holds what it must and lets pass what it may, disguised or not, and fails closed; it knows nothing of servers."""

from __future__ import annotations

import hashlib
import http.server
import json
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from misora.client.errors import PolicyError, UsageError
from misora.evals.prompts import read_items
from misora.trust import normalise
from misora.trust.policy import Policy, PolicyConfig
from misora.trust.rulebook import Rulebook
from misora.trust.score import read_corpus, score
from misora.words.tell import tell
from misora.world.scenes import CORE, FULL, sample_graph
from tests.tree import ROOT

CORPUS = ROOT / "tests/trust/corpus"


def judged(text: str) -> tuple[str, str]:
    rule = Rulebook.shipped().judge(text)
    return (rule.verdict, rule.category) if rule else ("allow", "")


@pytest.mark.parametrize("half", ["visible", "held_out"])
def test_the_corpus_is_the_one_that_was_committed_first(half: str) -> None:
    sums = dict(reversed(line.split("  ")) for line in (CORPUS / "SHA256SUMS").read_text().splitlines())
    assert hashlib.sha256((CORPUS / f"{half}.jsonl").read_bytes()).hexdigest() == sums[f"{half}.jsonl"]


@pytest.mark.parametrize("half", ["visible", "held_out"])
def test_recall_and_over_blocking_keep_to_the_bars(half: str) -> None:
    start = time.process_time()  # not the clock: a busy machine must not fail this
    result = score(read_corpus(CORPUS / f"{half}.jsonl"), judged)
    assert result.overall.share >= 0.90 and result.everyday.share <= 0.01
    assert all(tally.share >= 0.85 for tally in result.recall.values())
    assert 1000 * (time.process_time() - start) <= 5 * len(result.milliseconds)


def test_enough_of_everything_was_written() -> None:
    prompts = read_corpus(CORPUS / "visible.jsonl") + read_corpus(CORPUS / "held_out.jsonl")
    result = score(prompts, lambda text: ("allow", ""))
    assert len(result.recall) == 18 and all(tally.total >= 40 for tally in result.recall.values())
    assert result.everyday.total >= 500


DISGUISES = {
    "full-width": "ｂｅｈｅａｄｅｄ",
    "zero-width": "be\u200bhea\u200dded",
    "strokes": "b\u0336e\u0336h\u0336e\u0336a\u0336d\u0336e\u0336d",
    "cyrillic": "bеhеаdеd",
    "leet": "b3h34d3d",
    "spelled": "b e h e a d e d",
    "dots": "b.e.h.e.a.d.e.d",
    "hyphen": "be-headed",
    "repeats": "beheeeeaded",
    "masked": "beh*aded",
    "stroke": "behe/aded",
    "bars": "b|e|h|e|a|d|e|d",
    "doubled": "behheaaded",
    "flags": "".join(chr(0x1F1E6 + ord(letter) - 97) for letter in "beheaded"),
}


@pytest.mark.parametrize("name", DISGUISES)
def test_a_disguise_changes_nothing(name: str) -> None:
    assert judged(f"a man is {DISGUISES[name]}") == judged("a man is beheaded") == ("block", "violence")


@pytest.mark.parametrize(
    "text", ["セックス", "せっくす", "ｾｯｸｽ", "セ ッ ク ス", "セ・ッ・ク・ス", "セッ○ス", "セーックス", "セ\u200bックス"]
)
def test_a_japanese_disguise_changes_nothing(text: str) -> None:
    assert judged(f"{text}する二人") == ("block", "sexual")


@pytest.mark.parametrize(
    "text",
    [
        "shooting a film in the rain",
        "kill the lights and close the curtain",
        "a village in Essex",
        "車の死角を確かめる",
        "エセックスの村",
        "a red ball bounces on a wooden floor",
        "赤いボールが木の床で跳ねる",
        "",
    ],
)
def test_harmless_context_passes(text: str) -> None:
    assert judged(text) == ("allow", "")


@pytest.mark.parametrize("text", ["a child is murdared", "a bloodey massacer", "making cocaien at home", "a woman undresed"])
def test_a_slip_of_the_finger_hides_nothing(text: str) -> None:
    assert judged(text)[0] != "allow"


@pytest.mark.parametrize(
    "text",
    [
        "a ballet in the snow",
        "a stronger wind",
        "shouting fans",
        "a painting of a bandage",
        "a Latin dance",
        "it bounces twice",
        "a bowl of papaya",
        "a diorama",
    ],
)
def test_words_a_slip_away_that_mean_something_else_pass(text: str) -> None:
    assert judged(text) == ("allow", "")


def test_every_sentence_of_the_world_passes() -> None:
    rng = np.random.default_rng(0)
    told = [
        tell(sample_graph(rng, mix), 0, random.Random(i), language).text
        for mix in (CORE, FULL)
        for i in range(150)
        for language in ("en", "ja")
    ]
    for text in (*told, *(text for item in read_items() for text in item.captions.values())):
        assert judged(text) == ("allow", ""), text


def test_an_exception_covers_only_what_lies_under_it() -> None:
    assert judged("a crew shooting a film about a man who shoots a clerk in the head")[0] == "block"
    assert judged("死角から人を殺す男")[0] == "block"


@pytest.mark.parametrize("text,child", [("a 17-year-old", True), ("an 18-year-old", False), ("十七歳の", True), ("十八歳の", False)])
def test_ages_are_read(text: str, child: bool) -> None:
    from misora.trust.rulebook import _ages

    assert bool(_ages(normalise.plain(text))) == child


def test_every_rule_has_its_words() -> None:
    book = Rulebook.shipped()
    groups = book.lexicon.groups | {"young_age"}
    for rule in book.rules:
        assert all(need <= groups for need in rule.needs) and rule.excused_by <= groups, rule.id
    assert len({rule.id for rule in book.rules}) == len(book.rules)


def test_the_longest_text_is_judged_in_time() -> None:
    start = time.process_time()
    Rulebook.shipped().judge("a calm ocean under a wide sky, 静かな海と広い空, " * 600)
    assert time.process_time() - start < 2


def test_a_decision_says_rule_and_version() -> None:
    policy = Policy()
    decision = policy.check("a man is beheaded")
    assert (decision.verdict, decision.category, decision.rule, decision.version) == (
        "block",
        "violence",
        "violence.graphic",
        policy.version,
    )
    assert policy.check("x" * 40_000).verdict == "block"
    with pytest.raises(PolicyError, match="violence.graphic"):
        policy.demand("a red ball", "a man is beheaded")


def test_what_nobody_looks_at_is_said_and_can_be_required() -> None:
    policy = Policy()
    assert policy.unchecked == ("prompt classifier", "upload", "output")
    assert policy.check_upload([]).unchecked == ("upload",)
    policy.require(["rules"])
    with pytest.raises(PolicyError, match="upload"):
        policy.require(["upload"])
    with pytest.raises(UsageError):
        policy.require(["rulez"])


def program(folder: Path, body: str) -> str:
    path = folder / "classifier"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    "body,verdict,category",
    [
        ('cat >/dev/null; echo \'{"scores": {"sexual": 0.9}}\'', "block", "sexual"),
        ('cat >/dev/null; echo \'{"scores": {"face": 0.9, "sexual": 0.1}}\'', "review", "face"),
        ("cat >/dev/null; echo '{\"scores\": {}}'", "allow", ""),
        ("exit 3", "review", "unavailable"),
        ("sleep 20", "review", "unavailable"),
        ("echo nonsense", "review", "unavailable"),
    ],
)
def test_a_classifier_decides_and_its_failure_is_no_leave(tmp_path: Path, body: str, verdict: str, category: str) -> None:
    policy = Policy(PolicyConfig(classifier=program(tmp_path, body), classifier_seconds=1))
    decision = policy.check_upload([tmp_path / "a.png"])
    assert (decision.verdict, decision.category) == (verdict, category)


def test_a_failed_check_may_be_let_be_but_is_written_down(tmp_path: Path) -> None:
    policy = Policy(PolicyConfig(classifier=program(tmp_path, "exit 1"), classifier_fails="unchecked"))
    assert policy.check("a red ball").unchecked == ("classifier",)


@pytest.fixture
def moderations() -> Iterator[str]:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["input"]
            flagged = "odd" in asked
            body = {"results": [{"flagged": flagged, "categories": {"sexual/minors": flagged, "violence": False}}]}
            self.send_response(302 if "elsewhere" in asked else 200)
            self.send_header("location", "http://127.0.0.1:9/")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/moderations"
    server.shutdown()
    server.server_close()


def test_an_endpoint_is_asked(moderations: str) -> None:
    policy = Policy(PolicyConfig(endpoint=moderations))
    assert policy.check("something odd").category == "minors"
    assert policy.check("a red ball").verdict == "allow"
    assert policy.check("sent elsewhere").rule == "endpoint.failed"
    assert Policy(PolicyConfig(endpoint="http://127.0.0.1:9/")).check("a red ball").verdict == "review"
