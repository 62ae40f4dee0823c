"""The one door to the policy: every text that a caller sends passes here, and what cannot be checked does not pass; it knows no rule.

A check that raises, or takes longer than ``SECONDS``, is a block. Without any policy installed the answer is ``unchecked``, which is said
in ``/readyz`` and in the audit log, and which a plan with ``require_check`` refuses.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from misora.trust.classifier import Classifier
from misora.trust.policy import Policy, PolicyConfig

LOOK_SECONDS = 60.0  # the same for uploads
SECONDS = 30.0  # each check of the policy has its own, shorter limit; longer than this means that something hangs
BLOCKED = ("moderation_blocked", "Your request was blocked by our moderation system.")
log = logging.getLogger("misora.server")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """``verdict`` is allow, review, block or unchecked; the rest says why."""

    verdict: str
    category: str | None = None
    rule: str | None = None
    version: str | None = None


class Guard:
    """Asks the policy, with a time limit, and fails closed."""

    def __init__(
        self,
        check: Callable[[str], Any] | None,
        unchecked: Callable[[], tuple[str, ...]] = tuple,
        look: Callable[[Sequence[Path]], Any] | None = None,
    ) -> None:
        self.check_text, self._unchecked, self._look = check, unchecked, look
        self._threads = concurrent.futures.ThreadPoolExecutor(max_workers=4, thread_name_prefix="policy")

    @property
    def unchecked(self) -> tuple[str, ...]:
        """What nothing looks at on this server."""
        return ("prompt", "upload", "output") if self.check_text is None else self._unchecked()

    @property
    def looks(self) -> bool:
        """Whether uploads are looked at here."""
        return self._look is not None and "upload" not in self.unchecked

    def check(self, texts: Iterable[str | None]) -> Verdict:
        """The strictest verdict over all texts."""
        worst = Verdict(verdict="allow")
        for text in texts:
            if text:
                worst = worse(worst, self._one(text))
        return worst

    def look(self, pictures: Sequence[Path]) -> Verdict:
        """The verdict over pictures taken from what was uploaded."""
        look = self._look
        return Verdict(verdict="unchecked", rule="no-classifier") if look is None else self._asked(lambda: look(pictures), LOOK_SECONDS)

    def _one(self, text: str) -> Verdict:
        check = self.check_text
        return Verdict(verdict="unchecked", rule="no-policy") if check is None else self._asked(lambda: check(text), SECONDS)

    def _asked(self, question: Callable[[], Any], seconds: float) -> Verdict:
        try:
            decision = self._threads.submit(question).result(timeout=seconds)
            found = Verdict(verdict=decision.verdict, category=decision.category, rule=decision.rule, version=decision.version)
        except Exception as error:  # whatever goes wrong in a check is a block, never an allow
            log.error("policy check failed: %s", type(error).__name__)
            return Verdict(verdict="block", category="unavailable", rule="check-failed")
        return found if found.verdict in ORDER else Verdict(verdict="block", category="unavailable", rule="unknown-verdict")


ORDER = ("allow", "unchecked", "review", "block")


def worse(one: Verdict, other: Verdict) -> Verdict:
    """The stricter of two verdicts."""
    return max(one, other, key=lambda verdict: ORDER.index(verdict.verdict))


def installed(config: PolicyConfig) -> Guard:
    """The guard with the policy of ``misora.trust``, whose rules are read when they are first asked. Raises UsageError."""
    if config.classifier:
        Classifier(config.classifier)  # a wrong path is the operator's mistake, and said at once
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="rules")
    policy = functools.cache(lambda: Policy(config))
    rules: Callable[[], Policy] = lambda: pool.submit(policy).result()  # by one thread, so read once
    return Guard(
        lambda text: rules().check(text),
        unchecked=lambda: rules().unchecked,
        look=lambda pictures: rules().check_upload(pictures),
    )
