"""Seconds from a prompt to a file: cold, with peak memory, and warm, beside the machine's own matrix product in the same run; and the help.

    python -m bench.generate [--model NAME|FOLDER] [--runs 3] [--prompt TEXT]

Cold is the whole command in a new process; warm is a second request to networks in memory, which `misora bench` splits into its stages.
Of `misora --help` the processor time counts, the least of several runs.
It knows nothing of how good a clip is.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import misora
from bench.process import cold
from misora.cli.measure import gemm_peak
from misora.render.engine import Misora

PROMPT = "a red ball bounces on a wooden floor"


def warm(engine: Misora, prompt: str, out: Path) -> float:
    """Wall seconds of one request to networks in memory."""
    start = time.perf_counter()
    engine.generate(prompt, seed=0).save(out)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--prompt", default=PROMPT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bench.mp4"
        flags = ["--model", options.model, "--seed", "0", "--out", str(out), "--force", "--quiet"]
        colds = [cold(["misora", "generate", options.prompt, *flags]) for _ in range(options.runs)]
        engine = misora.load(options.model)
        warm(engine, options.prompt, out)  # the first request warms caches up
        warms = [warm(engine, options.prompt, out) for _ in range(options.runs)]
    helps = [cold(["misora", "--help"]).cores for _ in range(max(3, options.runs))]
    peak = gemm_peak()
    print(f"cold  {statistics.median(cost.wall for cost in colds):6.2f} s   peak memory {max(cost.memory for cost in colds):.2f} GB")
    print(f"warm  {statistics.median(warms):6.2f} s")
    print(f"help  {min(helps):6.2f} s of processor time")
    print(f"matrix product beside it: {peak / 1e12:.2f} TFLOP/s")


if __name__ == "__main__":
    main()
