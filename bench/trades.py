"""What the named trades cost in the parser's eyes: held-out prompts drawn at each speed and judged as the evals judge; it measures no time.

    python -m bench.trades [--model NAME|FOLDER] [--prompts 50] [--steps 5] [--workers 1] [--out FOLDER]

Prints the rows of the second table in docs/speed.md: shares of right answers in English, seed 0. The same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from misora.cli.sources import prompt_clips
from misora.evals import prompt
from misora.evals.prompts import read_items
from misora.evals.takes import Job, Store, carry_out
from misora.flow.speed import NAMES

ATOMS = ("colour", "shape", "count", "order", "direction", "still", "all")


def rows(model: str, prompts: int, steps: int, out: Path, workers: int = 1) -> dict[str, prompt.Row]:
    """The scores of each speed over the first ``prompts`` of the list."""
    items, store = read_items()[:prompts], Store(out / "takes.jsonl")
    made = {}
    for speed in NAMES:
        clips = prompt_clips(model, steps, 2.0, out / "frames", speed)
        jobs = [Job(source=clips.drawing, index=index) for index in range(len(items))]
        carry_out(jobs, clips, store, workers)
        made[speed] = prompt.score(speed, items, [store.done[job]["model"] for job in jobs])
    return made


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--prompts", type=int, default=50)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("evals"))
    options = parser.parse_args()
    print(f"| {options.prompts} prompts, {options.steps} steps | {' | '.join(ATOMS)} |\n|{'---|' * (1 + len(ATOMS))}")
    for speed, row in rows(options.model, options.prompts, options.steps, options.out, options.workers).items():
        print(f"| `{speed}` | {' | '.join(f'{row.scores[atom].share:.0%}' for atom in ATOMS)} |", flush=True)


if __name__ == "__main__":
    main()
