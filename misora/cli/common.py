"""What the verbs that make pictures share: flags, the output's name, progress, the last line; it knows nothing of networks."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from misora.client.errors import UsageError

if TYPE_CHECKING:
    from misora.render.request import Request
    from misora.render.video import Video


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The prompt and the flags that ``generate`` and ``image`` have in common."""
    parser.add_argument("prompt", help="what to show, in English or Japanese")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the file to write (default: named after the prompt and the seed)")
    parser.add_argument("--size", metavar="WxH", help="width and height in pixels (default: 704x384)")
    parser.add_argument("--aspect", metavar="W:H", help="instead of a size: the shape, from 9:21 to 21:9")
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed makes the same video (default: a new one each time)")
    parser.add_argument("--steps", type=int, metavar="N", help="sampling steps of a frame, 1 to 200 (default: 5)")
    parser.add_argument("--guidance", type=float, metavar="X", help="how closely to follow the prompt, 1 to 30 (default: 3)")
    parser.add_argument("--negative", metavar="TEXT", help="what not to show")
    parser.add_argument("--model", default="embedded", metavar="NAME|FOLDER", help="the weights to use (default: embedded)")
    parser.add_argument("--force", action="store_true", help="replace the output if it exists")
    parser.add_argument("--quiet", action="store_true", help="no progress and no warnings")
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON")


def make(args: argparse.Namespace, seconds: float, suffixes: tuple[str, ...]) -> None:
    """Check the request and the output's place, render, save, and say what was made. Raises MisoraError."""
    start = time.monotonic()
    request = request_from(args, seconds)
    out = output_path(args.out, request, suffixes, force=args.force)
    if not args.quiet:
        warn_of_unknown_words(request.prompt)
        if notice := request.notice():
            print(f"misora: {notice}", file=sys.stderr)
    video = _render(request, args)
    video.save(out)
    _report(out, video, time.monotonic() - start, as_json=args.json)


def request_from(args: argparse.Namespace, seconds: float) -> Request:
    """The checked request that the flags describe. Raises UsageError."""
    from misora.render.request import Request

    names = ("negative", "size", "aspect", "seed", "steps", "guidance")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    request = Request(prompt=args.prompt, seconds=seconds, **given)
    request.check()
    return request


def output_path(out: Path | None, request: Request, suffixes: tuple[str, ...], *, force: bool) -> Path:
    """Where to write, known to be possible before any work is done. Raises UsageError."""
    words = re.sub(r"\W+", "-", request.prompt.lower()).strip("-")[:40].strip("-")
    out = out or Path(f"{words or 'misora'}-{request.seed}{suffixes[0]}")
    if out.suffix.lower() not in suffixes:
        raise UsageError(f"{out} has no ending known here; end it in {', '.join(suffixes)}.")
    if out.exists() and not force:
        raise UsageError(f"{out} exists; give another --out, or --force to replace it.")
    if not out.parent.is_dir():
        raise UsageError(f"There is no folder {out.parent}; make it first, or give another --out.")
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        raise UsageError(f"{out} cannot be written; give another --out.")
    return out


def warn_of_unknown_words(prompt: str) -> None:
    """Name on standard error the words that the embedded weights have never seen, each with the nearest that they have."""
    from misora.words.known import unknown_words

    for word, near in unknown_words(prompt):
        known = f"; nearest known: {', '.join(near)}" if near else ""
        print(f"misora: the weights do not know {word!r}{known}", file=sys.stderr)


def _render(request: Request, args: argparse.Namespace) -> Video:
    if args.quiet:
        return _load_and_render(request, args.model)
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("loading", total=None)
        return _load_and_render(
            request, args.model, lambda stage, done, total: bar.update(task, description=stage, completed=done, total=total)
        )


def _load_and_render(request: Request, model: str, *progress: object) -> Video:
    from misora.model.weights import load_weights
    from misora.render.render import render

    return render(request, load_weights(model), *progress)  # type: ignore[arg-type]


def _report(out: Path, video: Video, took: float, *, as_json: bool) -> None:
    request = video.request
    height, width = request.delivered()
    facts = {"file": str(out), "seed": request.seed, "size": f"{width}x{height}", "seconds": request.seconds, "took": round(took, 2)}
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
    else:
        length = f"  {request.seconds:g} s" if request.seconds else ""
        print(f"{out}  seed {request.seed}  {width}x{height}{length}  made in {took:.1f} s")
