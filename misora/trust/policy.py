"""What may be made: one decision from several checks, each with its own timeout and fail mode; it knows nothing of queues or accounts."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from misora.client.errors import PolicyError, UsageError
from misora.trust.classifier import Classifier
from misora.trust.decision import SEVERITY, Decision
from misora.trust.endpoint import Endpoint
from misora.trust.rulebook import Rulebook
from misora.trust.sentences import Sentences

__all__ = ["Decision", "Policy", "PolicyConfig"]

FailMode = Literal["block", "review", "unchecked"]
SUBJECTS = ("prompt", "upload", "output")
LONGEST = 32_000  # characters; more than any prompt that the API takes
LETTERS = 4_000  # that take a busy machine as long as a start


@dataclasses.dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """Which checks there are beside our own rules, how long each may take, and what it means when one fails.

    ``endpoint`` is an address that answers as OpenAI's ``/v1/moderations`` does; ``classifier`` a program (see ``trust.classifier``).
    A check that fails is ``block``, ``review`` or ``unchecked``: let through and written down, never silently allowed.
    """

    endpoint: str = ""
    endpoint_key: str = dataclasses.field(default="", repr=False)
    endpoint_model: str = "omni-moderation-latest"
    endpoint_seconds: float = 3.0
    endpoint_fails: FailMode = "review"
    classifier: str = ""
    classifier_seconds: float = 20.0
    classifier_fails: FailMode = "review"
    rules_seconds: float = 2.0  # and as many again for every ``LETTERS`` of the text


@functools.cache
def gate() -> Policy:
    """The policy of this process when nobody has set up another: our own rules."""
    return Policy()


class Policy:
    """The checks of this installation: ``Policy().check("a red ball").verdict == "allow"``. Safe to call from several threads."""

    def __init__(self, config: PolicyConfig = PolicyConfig()) -> None:
        self.config = config
        self.rulebook = Rulebook.shipped()
        self.version = f"{self.rulebook.version}+{Sentences.shipped().version}"
        self.endpoint = Endpoint(config.endpoint, config.endpoint_key, config.endpoint_model) if config.endpoint else None
        self.classifier = Classifier(config.classifier) if config.classifier else None
        self._pool = concurrent.futures.ThreadPoolExecutor(max_workers=8, thread_name_prefix="policy")

    @property
    def coverage(self) -> dict[str, tuple[str, ...]]:
        """For each of ``prompt``, ``upload`` and ``output``, the checks that are made; an empty tuple is *unchecked* and must be said."""
        endpoint = ("endpoint",) if self.endpoint else ()
        classifier = ("classifier",) if self.classifier else ()
        return {"prompt": ("rules", *endpoint, *classifier), "upload": classifier, "output": classifier}

    @property
    def unchecked(self) -> tuple[str, ...]:
        """What nothing looks at here: any of ``prompt classifier``, ``upload`` and ``output``."""
        missing = [subject for subject in SUBJECTS if not self.coverage[subject]]
        return tuple((["prompt classifier"] if len(self.coverage["prompt"]) == 1 else []) + missing)

    def require(self, checks: Iterable[str]) -> None:
        """Raise PolicyError when a plan needs a check that is not made here: ``rules``, ``endpoint``, ``classifier`` or a subject."""
        made = {check for checks_made in self.coverage.values() for check in checks_made}
        made |= {subject for subject in SUBJECTS if self.coverage[subject]}
        for check in checks:
            if check not in {*SUBJECTS, "rules", "endpoint", "classifier"}:
                raise UsageError(f"There is no check {check!r}; name rules, endpoint, classifier, upload or output.")
            if check not in made:
                raise PolicyError(f"This plan requires the check {check!r}, which is not set up here; ask whoever runs this server.")

    def check(self, text: str) -> Decision:
        """Judge a prompt, a name, or any other text that shapes a video."""
        if len(text) > LONGEST:
            return Decision(verdict="block", category="length", rule="text.too-long", version=self.version)
        seconds = self.config.rules_seconds * (1 + len(text) / LETTERS)
        made = [self._made("rules", lambda: self._by_rules(text), seconds, "block")]
        if made[0].verdict != "block" and self.endpoint:
            endpoint = self.endpoint
            made.append(self._made("endpoint", lambda: endpoint.check(text), self.config.endpoint_seconds, self.config.endpoint_fails))
        if made[-1].verdict != "block" and self.classifier:
            made.append(self._classified("prompt", text=text))
        return self._together(made)

    def check_upload(self, files: Sequence[Path]) -> Decision:
        """Judge an upload by pictures taken from it; a face asks for review. Without a classifier it is unchecked, and says so."""
        return self._pictures("upload", files)

    def check_output(self, files: Sequence[Path]) -> Decision:
        """Judge frames sampled from a finished video. Without a classifier it is unchecked, and says so."""
        return self._pictures("output", files)

    def demand(self, *texts: str) -> None:
        """Raise PolicyError when one of ``texts`` is blocked; what only asks for review passes, for there is nobody else to ask."""
        for text in texts:
            decision = self.check(text)
            if decision.verdict == "block":
                raise PolicyError(f"The prompt was refused ({decision.category}, rule {decision.rule}); word it differently.")

    def _by_rules(self, text: str) -> Decision:
        rule = self.rulebook.judge(text)
        return Decision(verdict=rule.verdict, category=rule.category, rule=rule.id) if rule else Decision()

    def _pictures(self, subject: str, files: Sequence[Path]) -> Decision:
        if not self.classifier:
            return Decision(version=self.version, unchecked=(subject,))
        return self._together([self._classified(subject, files=files)])

    def _classified(self, subject: str, *, text: str = "", files: Sequence[Path] = ()) -> Decision:
        classifier, seconds = self.classifier, self.config.classifier_seconds
        assert classifier
        return self._made("classifier", lambda: classifier.check(subject, text, files, seconds), seconds + 1, self.config.classifier_fails)

    def _made(self, name: str, check: Callable[[], Decision], seconds: float, fails: FailMode) -> Decision:
        """The check's decision, or what its failure means."""
        try:
            return self._pool.submit(check).result(timeout=seconds)
        except Exception:  # whatever goes wrong in a check is a failed check
            if fails == "unchecked":
                return Decision(unchecked=(name,))
            return Decision(verdict=fails, category="unavailable", rule=f"{name}.failed")

    def _together(self, made: Sequence[Decision]) -> Decision:
        worst = max(made, key=lambda decision: SEVERITY[decision.verdict])
        unchecked = tuple(name for decision in made for name in decision.unchecked)
        return dataclasses.replace(worst, version=self.version, unchecked=unchecked)
