"""The figures of long and large videos, a line a bar: 60 seconds from a cold start, first frame, cost and memory over time, 1080p.

    python -m bench.stream [--seconds 60] [--spans 4,16,60] [--large 1920x1080] [--large-seconds 10] [--steps 5] [--model NAME|FOLDER]

Each span is drawn in a process of its own, short ones again and again until half a minute is drawn (the median counts); the long
video and the large one are whole commands. At native size the painter only makes the frames in between. ``--seconds 0`` and
``--large-seconds 0`` leave one of them out. Seconds of all cores count what this process used. It knows nothing of how good a video is.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.process import cold
from misora.cli.measure import gemm_peak

PROMPT = "a red ball rolls to the right, then a blue cube falls, on a wooden floor"
NATIVE = "176x96"
ENOUGH = 32.0  # seconds of video in all, over which the cost of a short one is measured


def resident() -> float:
    """Resident memory of this process in GB; not a number where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError):
        return float("nan")
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e9


def watched(work: Callable[[], None], every: float = 0.05) -> float:
    """The most resident memory, in GB, that was seen while ``work`` ran."""
    most, done = resident(), threading.Event()

    def look() -> None:
        nonlocal most
        while not done.wait(every):
            most = max(most, resident())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return most


def drawn(seconds: float, steps: int, model: str) -> dict[str, Any]:
    """What one process sees of a video of so many seconds at native size: seconds and memory held after each second of video."""
    from misora.media.write import write_video
    from misora.render.engine import load

    engine = load(model)
    wishes: Any = {"size": NATIVE, "steps": steps, "seed": 0}
    marks: list[float] = []
    held: list[float] = []

    def passing(frames: Iterator[Any], start: float) -> Iterator[Any]:
        for number, frame in enumerate(frames):
            if number % 24 == 0:
                marks.append(time.perf_counter() - start)
                held.append(resident())
            yield frame

    def once(seconds: float) -> float:
        """Write one video; the processor time that it took."""
        marks.clear()
        held.clear()
        start, worked = time.perf_counter(), time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            write_video(Path(folder) / "long.mp4", passing(engine.generate(PROMPT, seconds=seconds, **wishes).stream(), start), 24.0)
        marks.append(time.perf_counter() - start)
        return time.process_time() - worked

    once(4.0)  # warm
    whole: list[float] = []
    cores: list[float] = []

    def work() -> None:
        for _ in range(max(1, round(ENOUGH / seconds))):
            cores.append(once(seconds))
            whole.append(marks[-1])

    cost = {"peak": watched(work), "whole": statistics.median(whole), "cores": statistics.median(cores)}
    return {"seconds": seconds, "first": marks[0], "marks": marks, "held": held} | cost


def apart(*arguments: str) -> dict[str, Any]:
    """The result of ``drawn`` in a process of its own, so that no memory of another run counts."""
    done = subprocess.run([sys.executable, "-m", "bench.stream", "--one", *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"a run of {' '.join(arguments)} ended with exit code {done.returncode}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def over_time(run: dict[str, Any]) -> str:
    """Seconds for each second of video and memory held, from tenth to tenth of a run."""
    steps = [after - before for before, after in zip(run["marks"], run["marks"][1:], strict=False)]
    size = max(1, len(steps) // 10)
    parts = [slice(start, start + size) for start in range(0, len(steps), size)]
    costs = " ".join(f"{statistics.mean(steps[part]):.2f}" for part in parts)
    held = " ".join(f"{max(run['held'][part]):.2f}" for part in parts)
    return f"      seconds a second of video  {costs}\n      GB held                    {held}"


def command(options: argparse.Namespace, seconds: float, size: str) -> str:
    """What a whole command costs from a cold start, in words."""
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--seconds", f"{seconds:g}", "--size", size, "--steps", str(options.steps), "--model", options.model, "--quiet"]
        cost = cold(["misora", "generate", PROMPT, *flags, "--seed", "0", "--out", str(Path(folder) / "long.mp4")])
    return f"{seconds:g} s at {size} from a cold start  {cost.wall:.1f} s ({cost.cores:.1f} s of all cores)   peak {cost.memory:.2f} GB"


def report(options: argparse.Namespace) -> None:
    """Measure and print every bar, each as soon as it is known."""
    spans = []
    for span in options.spans:
        spans.append(run := apart(f"{span:g}", str(options.steps), options.model))
        rate, cores = run["whole"] / run["seconds"], run["cores"] / run["seconds"]
        print(f"{span:g} s, warm: {rate:.2f} s a second of video ({cores:.2f} s of all cores), peak {run['peak']:.2f} GB", flush=True)
    short, long = spans[0], spans[-1]
    rates, cores = ([run[kind] / run["seconds"] for run in spans] for kind in ("whole", "cores"))
    print(f"most over least: {max(rates) / min(rates):.2f} ({max(cores) / min(cores):.2f} of all cores)   bar: 1.15")
    print(f"peak memory of {long['seconds']:g} s over {short['seconds']:g} s  {long['peak'] / short['peak']:.3f}   bar: 1.10")
    print(f"first frame, warm, of {long['seconds']:g} s  {long['first']:.2f} s   bar: 3 s")
    print(over_time(long), flush=True)
    if options.seconds:
        print(f"{command(options, options.seconds, NATIVE)}   bar: {options.seconds:g} s", flush=True)
    if options.large_seconds:
        print(f"{command(options, options.large_seconds, options.large)}   bar: {9 * options.large_seconds:g} s", flush=True)
    print(f"matrix product beside it: {gemm_peak() / 1e12:.2f} TFLOP/s")


def main() -> None:
    """Measure and print, or be one of the runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--spans", type=lambda text: [float(span) for span in text.split(",")], default=[4.0, 16.0, 60.0])
    parser.add_argument("--large", default="1920x1080")
    parser.add_argument("--large-seconds", type=float, default=10.0)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--one", nargs=3, metavar=("SECONDS", "STEPS", "MODEL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        seconds, steps, model = options.one
        print(json.dumps(drawn(float(seconds), int(steps), model)))
    else:
        report(options)


if __name__ == "__main__":
    main()
