"""``misora policy test``: how well the policy does on a file of labelled prompts; it knows nothing of the rules."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from misora.trust.score import Score

SHOWN = 20  # prompts that were missed, and as many that were held without need


def add_parser(verbs: Any) -> None:
    """Add the verb, its action and its flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("policy", help="measure what the policy holds back and what it lets pass")
    actions = parser.add_subparsers(dest="action", metavar="test", required=True)
    test = actions.add_parser("test", help="recall per category, per disguise, and over-blocking, on a file of labelled prompts")
    test.add_argument("file", type=Path, metavar="FILE", help='JSON lines: {"text", "category"} and, if wished, language and evasion')
    test.add_argument("--endpoint", default="", metavar="URL", help="also ask a server that answers as OpenAI's moderations do")
    test.add_argument("--classifier", default="", metavar="PROGRAM", help="also ask a program of your own")
    test.add_argument("--missed", action="store_true", help="list prompts that were judged wrongly")
    test.add_argument("--json", action="store_true", help="print the result as one line of JSON")
    test.set_defaults(run=run_test, computes=False)


def run_test(args: argparse.Namespace) -> None:
    """Score the file and print the tables. Raises UsageError."""
    from misora.trust.policy import Policy, PolicyConfig
    from misora.trust.score import read_corpus, score

    policy = Policy(PolicyConfig(endpoint=args.endpoint, classifier=args.classifier))

    def judge(text: str) -> tuple[str, str]:
        decision = policy.check(text)
        return decision.verdict, decision.rule

    result = score(read_corpus(args.file), judge)
    if args.json:
        print(json.dumps(_facts(result, policy.version), ensure_ascii=False))
    else:
        _print(result, policy.version)
    if args.missed and not args.json:
        _list(result)


def _facts(result: Score, version: str) -> dict[str, object]:
    times = sorted(result.milliseconds)
    return {
        "version": version,
        "recall": round(result.overall.share, 4),
        "over_blocking": round(result.everyday.share, 4),
        "everyday": result.everyday.total,
        "median_ms": round(times[len(times) // 2], 3),
        "slowest_ms": round(times[-1], 3),
        "categories": {" ".join(key).strip(): [tally.held, tally.total] for key, tally in result.recall.items()},
        "evasions": {name: [tally.held, tally.total] for name, tally in result.evasions.items()},
    }


def _print(result: Score, version: str) -> None:
    facts = _facts(result, version)
    print(
        f"policy {version}: recall {result.overall.share:.3f} of {result.overall.total}, "
        f"over-blocking {result.everyday.share:.2%} of {result.everyday.total}, "
        f"{facts['median_ms']} ms in the median, {facts['slowest_ms']} ms at most"
    )
    for title, tallies in (("category", {" ".join(key): tally for key, tally in result.recall.items()}), ("disguise", result.evasions)):
        print(f"\n{title:<28}{'held':>6}{'of':>6}{'share':>8}")
        for name, tally in sorted(tallies.items()):
            print(f"{name:<28}{tally.held:>6}{tally.total:>6}{tally.share:>8.2f}")


def _list(result: Score) -> None:
    for prompt in result.missed[:SHOWN]:
        print(f"missed  {prompt.category}: {prompt.text}")
    for prompt, rule in result.overblocked[:SHOWN]:
        print(f"held  {rule}: {prompt.text}")
