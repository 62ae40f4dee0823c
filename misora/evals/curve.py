"""The curve of score against training: one JSON line each time that weights are judged; it knows nothing of what the scores mean."""

from __future__ import annotations

import json
from pathlib import Path


def append_point(path: Path, *, samples: int, scores: dict[str, float], weights: str = "") -> None:
    """Add the ``scores`` (shares, 0..1) of ``weights`` after ``samples`` training samples as one line of the file at ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps({"samples": samples, "weights": weights, "scores": scores}) + "\n")


def read_curve(path: Path) -> list[tuple[int, dict[str, float]]]:
    """Every point so far, sorted by the number of samples seen."""
    points = [json.loads(line) for line in path.read_text().splitlines()]
    return sorted(((point["samples"], point["scores"]) for point in points), key=lambda point: point[0])
