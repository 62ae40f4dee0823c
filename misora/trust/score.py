"""How well the policy does on labelled prompts: recall per category and disguise, over-blocking; it knows nothing of the rules."""

from __future__ import annotations

import dataclasses
import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from misora.client.errors import UsageError

EVERYDAY = "everyday"  # the category of what must pass


@dataclasses.dataclass(frozen=True, kw_only=True)
class Labelled:
    """One prompt of a corpus; ``evasion`` names its disguise, or is empty."""

    text: str
    category: str
    language: str = ""
    evasion: str = ""


@dataclasses.dataclass(kw_only=True)
class Tally:
    """How many were held (blocked or sent to review) out of how many."""

    held: int = 0
    total: int = 0

    def add(self, held: bool) -> None:
        """Count one more."""
        self.held, self.total = self.held + held, self.total + 1

    @property
    def share(self) -> float:
        """Held out of all, 0 where there is none."""
        return self.held / self.total if self.total else 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """The whole result; ``recall`` by (category, language), ``evasions`` by disguise."""

    recall: dict[tuple[str, str], Tally]
    evasions: dict[str, Tally]
    overall: Tally
    everyday: Tally
    milliseconds: list[float]
    missed: list[Labelled]
    overblocked: list[tuple[Labelled, str]]


def read_corpus(path: Path) -> list[Labelled]:
    """JSON lines of ``{"text", "category"}`` and, if wished, ``language`` and ``evasion``. Raises UsageError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'}); give a file of JSON lines.") from None
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            found.append(_labelled(line, f"{path}, line {number}"))
    if not found:
        raise UsageError(f"{path} is empty; give a file with one JSON object a line.")
    return found


def _labelled(line: str, where: str) -> Labelled:
    names = {field.name for field in dataclasses.fields(Labelled)}
    try:
        given = json.loads(line)
        return Labelled(**{name: str(value) for name, value in given.items() if name in names})
    except (ValueError, TypeError, AttributeError):
        raise UsageError(f'{where} cannot be read; write {{"text": …, "category": …}} with a category, or "{EVERYDAY}".') from None


def score(corpus: list[Labelled], judge: Callable[[str], tuple[str, str]]) -> Score:
    """Judge every prompt; ``judge`` gives (verdict, rule), and anything but ``allow`` counts as held."""
    recall: dict[tuple[str, str], Tally] = defaultdict(Tally)
    evasions: dict[str, Tally] = defaultdict(Tally)
    result = Score(recall=recall, evasions=evasions, overall=Tally(), everyday=Tally(), milliseconds=[], missed=[], overblocked=[])
    for prompt in corpus:
        start = time.perf_counter()
        verdict, rule = judge(prompt.text)
        result.milliseconds.append(1000 * (time.perf_counter() - start))
        held = verdict != "allow"
        if prompt.category == EVERYDAY:
            result.everyday.add(held)
            if held:
                result.overblocked.append((prompt, rule))
            continue
        recall[prompt.category, prompt.language].add(held)
        evasions[prompt.evasion or "plain"].add(held)
        result.overall.add(held)
        if not held:
            result.missed.append(prompt)
    return result
