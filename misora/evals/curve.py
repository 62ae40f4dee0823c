"""The curve of score against training: one JSON line for each set of weights that was judged; it knows nothing of what the scores mean."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from misora.evals.prompt import Row

Point = tuple[int, str, Row]  # training samples, the name of the weights, their scores


def write_curve(path: Path, points: Iterable[Point]) -> None:
    """Add a line with the shares (0..1) of each of ``points`` to the file at ``path``; weights that it holds already are replaced."""
    kept = {weights: line for line in _lines(path) if (weights := line["weights"])}
    for samples, weights, row in points:
        scores = {atom: score.share for atom, score in row.scores.items() if score.asked}
        kept[weights] = {"samples": samples, "weights": weights, "scores": scores}
    lines = sorted(kept.values(), key=lambda line: line["samples"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")


def read_curve(path: Path) -> list[tuple[int, dict[str, float]]]:
    """Every point so far, sorted by the number of samples seen."""
    return [(line["samples"], line["scores"]) for line in _lines(path)]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
