"""Asks a classifier that the operator has installed, as a program of its own; it knows nothing of what is inside.

The program is started for each question with one line of JSON on standard input, ``{"subject": "prompt", "text": …}`` or
``{"subject": "upload" | "output", "files": [PNG or JPEG, …]}``, and must print one line, ``{"scores": {"sexual": 0.97, "face": 0.2}}``.
A category at .5 or more is blocked; ``face`` asks for review, and only in uploads. Being a process, it can be stopped in time.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from misora.client.errors import UsageError
from misora.trust.decision import Decision

THRESHOLD = 0.5
FACE = "face"


class Classifier:
    """``Classifier("/usr/local/bin/judge")``. Raises UsageError when there is no such program."""

    def __init__(self, program: str) -> None:
        if not (Path(program).is_file() and os.access(program, os.X_OK)):
            raise UsageError(f"The classifier {program} is no program that can be started; give the path of one.")
        self.program = str(Path(program).resolve())

    def check(self, subject: str, text: str, files: Sequence[Path], seconds: float) -> Decision:
        """One question and its answer. Raises OSError, ValueError, KeyError or subprocess errors when it cannot say."""
        question = {"subject": subject} | ({"text": text} if subject == "prompt" else {"files": [str(file) for file in files]})
        done = subprocess.run([self.program], input=json.dumps(question), capture_output=True, text=True, timeout=seconds, check=True)
        scores = {str(name): float(score) for name, score in json.loads(done.stdout)["scores"].items()}
        if not all(0 <= score <= 1 for score in scores.values()):
            raise ValueError("a score is no share of one")
        raised = {name: score for name, score in scores.items() if score >= THRESHOLD and (name != FACE or subject == "upload")}
        if not raised:
            return Decision()
        category = max(raised, key=lambda name: (name != FACE, raised[name]))
        return Decision(verdict="review" if category == FACE else "block", category=category, rule=f"classifier.{category}")
