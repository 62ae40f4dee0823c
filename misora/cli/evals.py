"""``misora evals``: measured figures of a model, each beside its controls; it knows nothing of how a clip is judged."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misora.cli import evals_verbs
from misora.client.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from misora.cli.sources import Clips
    from misora.evals.curve import Point
    from misora.evals.prompt import Row
    from misora.evals.prompts import Item
    from misora.evals.takes import Job, Store, Take

LANGUAGES = ("en", "ja")


def add_parser(verbs: Any) -> None:
    """Add the verb, its action and their flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("evals", help="measure a model on prompts that training never saw")
    actions = parser.add_subparsers(dest="action", metavar="prompt|verbs", required=True)
    action = actions.add_parser("prompt", help="does the clip show what the held-out prompt says?")
    model = "the weights to measure; several make a curve over training (default: embedded)"
    action.add_argument("--model", nargs="+", default=["embedded"], metavar="NAME|FOLDER", help=model)
    out = "tables, JSON, contact sheet and what was judged: the same command goes on where it was stopped (default: evals)"
    action.add_argument("--out", type=Path, default=Path("evals"), metavar="FOLDER", help=out)
    action.add_argument("--prompts", type=int, metavar="N", help="only the first N of the list (default: all)")
    action.add_argument("--seeds", type=int, default=1, metavar="N", help="seeds 0 to N-1 of each prompt, 1 to 10 (default: 1)")
    action.add_argument("--steps", type=int, default=5, metavar="N", help="sampling steps of a frame (default: 5)")
    action.add_argument("--guidance", type=float, default=2.0, metavar="X", help="how closely to follow the prompt (default: 2)")
    action.add_argument("--speed", default="exact", metavar="NAME", help="exact (default), balanced or fast: see docs/speed.md")
    workers = "processes that draw and judge, each with its share of the cores (default: one a core)"
    action.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help=workers)
    action.set_defaults(run=run, computes=True)
    evals_verbs.add_action(actions)


def run(args: argparse.Namespace) -> None:
    """Measure every row, print the table and write the report; what ``--out`` holds already is not done again. Raises MisoraError."""
    try:
        from misora.evals import report
        from misora.evals.curve import write_curve
        from misora.evals.prompts import read_items
        from misora.evals.takes import Store
    except ModuleNotFoundError as error:
        raise MissingExtraError("Measuring needs more packages; run `pip install 'misora[train]'`.") from error
    from rich.console import Console

    from misora.cli.sources import prompt_clips, samples_of

    _check(args)
    items = read_items()[: args.prompts]
    clips = {name: prompt_clips(name, args.steps, args.guidance, args.out / "frames", args.speed) for name in args.model}
    store = Store(args.out / "takes.jsonl")
    console = Console(width=160)
    rows: list[Row] = []
    points: list[Point] = []
    for name, source in clips.items():
        found = _measure(source, store, items, args)
        model_rows = _rows(items, found, f"{name}: " if len(clips) > 1 else "")
        rows += [row for row in model_rows if row.name not in {other.name for other in rows}]
        points.append((samples_of(name), name, next(row for row in model_rows if row.name.endswith("model"))))
    console.print(report.table(rows))
    settings = {"prompts": len(items), "seeds": args.seeds, "steps": args.steps, "guidance": args.guidance, "speed": args.speed}
    report.write_report(args.out, rows, models=args.model, **settings)
    if len(points) > 1:
        write_curve(args.out / "curve.jsonl", points)
        console.print(report.curve_table(points))
    _write_sheet(args.out, items[:10], clips[args.model[-1]])
    print(f"{args.out}  {len(items)} prompts, {args.seeds} seeds, both languages")


def _check(args: argparse.Namespace) -> None:
    """Raise UsageError for what cannot be meant, before anything is loaded or written."""
    from misora.render.request import Request

    if (args.prompts is not None and args.prompts < 1) or not 1 <= args.seeds <= 10:
        raise UsageError("Ask for at least one prompt and for 1 to 10 seeds.")
    if not 1 <= args.workers <= 64:
        raise UsageError(f"{args.workers} workers cannot be had; ask for 1 to 64.")
    if args.out.exists() and not args.out.is_dir():
        raise UsageError(f"{args.out} is a file; give --out a folder.")
    Request(prompt="a ball", seed=0, steps=args.steps, guidance=args.guidance, speed=args.speed).check()


def _measure(clips: Clips, store: Store, items: list[Item], args: argparse.Namespace) -> dict[str, list[Take]]:
    """Draw and judge what is missing; the takes of every row that is drawn, by its name."""
    from misora.evals.takes import Job, carry_out

    jobs = [Job(source=clips.reference, index=index) for index in range(len(items))]
    jobs += [
        Job(source=clips.drawing, index=index, language=language, seed=seed)
        for seed in range(args.seeds)
        for index in range(len(items))
        for language in LANGUAGES
    ]
    with _progress(Path(clips.model).name) as progress:
        carry_out(jobs, clips, store, args.workers, progress)
    return _by_row(jobs, store)


def _by_row(jobs: list[Job], store: Store) -> dict[str, list[Take]]:
    found: dict[str, list[Take]] = {}
    for job in jobs:
        for name, take in store.done[job].items():
            found.setdefault(name, []).append(take)
    return found


def _rows(items: list[Item], takes: dict[str, list[Take]], prefix: str) -> list[Row]:
    """The table's rows for one model; those that the world draws carry no ``prefix``."""
    from misora.evals import prompt

    reference, drawn = takes["simulator"], takes["model"]
    listed = {
        "simulator": reference,
        "autoencoder": takes["autoencoder"],
        f"{prefix}shuffled prompts": prompt.shuffled(drawn, len(items)),
        f"{prefix}frozen first frame": takes["frozen first frame"],
        f"{prefix}model": drawn,
        **{f"{prefix}model, {language}": [take for take in drawn if take.language == language] for language in LANGUAGES},
        f"{prefix}model, one or two things": [take for take in drawn if len(items[take.index].graph.things) <= 2],
        f"{prefix}model, three things": [take for take in drawn if len(items[take.index].graph.things) == 3],
    }
    return [prompt.score(name, items, found, reference) for name, found in listed.items()]


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error with the time left; what it yields is told how many of how many clips are done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _write_sheet(out: Path, items: list[Item], clips: Clips) -> None:
    """The first ten prompts, seed 0, nothing picked: ``ten.png``, ``ten.gif`` in motion, and ``ten.md`` that says what each should show."""
    import torch

    from misora.evals.report import sheet_legend
    from misora.media.sheet import contact_sheet
    from misora.media.write import write_image, write_video

    shown = [torch.from_numpy(clips.shown(index)) for index in range(len(items))]
    write_image(out / "ten.png", contact_sheet(shown, columns=7, gap=2))
    columns = [torch.cat(shown[start : start + 2], dim=2) for start in range(0, len(shown) - 1, 2)]  # t h 2w 3 each
    write_video(out / "ten.gif", torch.cat(columns or shown, dim=1), 12.0)
    (out / "ten.md").write_text(sheet_legend([item.captions["en"] for item in items], "ten.png"), "utf-8")
