"""Rows of scores as a table for people, JSON for programs and a contact sheet for the eye; it knows nothing of how they came."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from rich.table import Table

from misora.evals.curve import Point
from misora.evals.prompt import Row, Score

COLUMNS = {
    "count": "count",
    "colour": "colour",
    "shape": "shape",
    "order": "left/right",
    "pair": "both of a pair",
    "direction": "direction",
    "still": "still",
    "action": "action",
    "all": "all right",
}


def table(rows: list[Row], title: str = "held-out prompts") -> Table:
    """A rich table: shares in per cent with Wilson's 95 % interval below."""
    legend = "per cent, with Wilson's 95 % interval; energy: motion over the simulator's; takes: clips per usable one"
    view = Table(title=title, caption=legend)
    for name in ("", *COLUMNS.values(), "energy", "takes"):
        view.add_column(name, justify="left" if not name else "right")
    for row in rows:
        view.add_row(row.name, *(_cell(row.scores[key]) for key in COLUMNS), _number(row.energy), _number(row.takes))
    return view


def curve_table(points: list[Point]) -> Table:
    """A rich table of the models' scores against the samples that they were trained on."""
    view = Table(title="score against training", caption="per cent, with Wilson's 95 % interval")
    for name in ("samples", "weights", *COLUMNS.values()):
        view.add_column(name, justify="left" if name == "weights" else "right")
    for samples, name, row in sorted(points, key=lambda point: point[0]):
        view.add_row(f"{samples:,}", name, *(_cell(row.scores[key]) for key in COLUMNS))
    return view


def markdown(rows: list[Row]) -> str:
    """The same table without intervals, as it stands in the README."""
    lines = ["| | " + " | ".join([*COLUMNS.values(), "energy", "takes"]) + " |", "|---" * (len(COLUMNS) + 3) + "|"]
    for row in rows:
        cells = [f"{100 * s.share:.1f}" if s.asked else "–" for s in (row.scores[key] for key in COLUMNS)]
        lines.append("| " + " | ".join([row.name, *cells, _number(row.energy), _number(row.takes)]) + " |")
    return "\n".join(lines) + "\n"


def as_json(rows: list[Row], **about: Any) -> str:
    """All figures, with ``about`` (list hash, weights, seeds …) in front."""
    table_rows = {
        row.name: {
            "scores": {key: _score(value) for key, value in row.scores.items()},
            "energy": _finite(row.energy),
            "takes": _finite(row.takes),
        }
        for row in rows
    }
    return json.dumps({**about, "rows": table_rows}, indent=1, ensure_ascii=False) + "\n"


def sheet_legend(captions: list[str], image: str) -> str:
    """The Markdown page that shows the contact sheet ``image`` with the caption of each of its rows beside."""
    listed = "\n".join(f"{number}. {caption}" for number, caption in enumerate(captions, start=1))
    title = f"# The first {len(captions)} held-out prompts, seed 0, nothing picked"
    return f"{title}\n\nRow by row, evenly spaced frames:\n\n{listed}\n\n![]({image})\n"


def write_report(folder: Path, rows: list[Row], **about: Any) -> None:
    """Write ``prompt.json`` and ``prompt.md`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prompt.json").write_text(as_json(rows, **about))
    (folder / "prompt.md").write_text(markdown(rows))


def _cell(score: Score) -> str:
    if not score.asked:
        return "–"
    low, high = score.interval
    return f"{100 * score.share:.1f}\n{100 * low:.0f}–{100 * high:.0f}"


def _score(score: Score) -> dict[str, Any]:
    low, high = score.interval
    return {"right": score.right, "asked": score.asked, "share": _finite(score.share), "low": low, "high": high}


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "–"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
