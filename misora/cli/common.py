"""What the verbs that make pictures share: flags, the output's name, progress, the last line; it knows nothing of networks."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misora.client.errors import GenerationError, UsageError

if TYPE_CHECKING:
    from misora.model.weights import Loading
    from misora.render.cut import Cut
    from misora.render.footage import Footage
    from misora.render.request import Request

VIDEOS, PICTURES = (".mp4", ".mov", ".gif"), (".png", ".jpg", ".jpeg", ".webp")
VARIATIONS = 16
Build = Callable[["Request"], "Request"]


def add_flags(parser: argparse.ArgumentParser, *, prompt: bool = True, optional: bool = False) -> None:
    """The prompt and the flags that all verbs that draw have in common."""
    if prompt:
        parser.add_argument("prompt", nargs="?" if optional else None, help="what to show, in English or Japanese")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the file to write (default: named after the prompt and the seed)")
    parser.add_argument("--size", metavar="WxH", help="width and height in pixels (default: 704x384, or as the given clip)")
    parser.add_argument("--aspect", metavar="W:H", help="instead of a size: the shape, from 9:21 to 21:9")
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed makes the same video (default: a new one each time)")
    parser.add_argument("--steps", type=int, metavar="N", help="sampling steps of a frame, 1 to 200 (default: 5; Wan: 30)")
    parser.add_argument("--guidance", type=float, metavar="X", help="how closely to follow the prompt, 1 to 30 (default: 2; Wan: 5)")
    parser.add_argument("--speed", metavar="NAME", help="exact (default), balanced or fast: likeness for time, see docs/speed.md")
    parser.add_argument("--negative", metavar="TEXT", help="what not to show")
    parser.add_argument("--style", metavar="NAME", help="a named look, such as claymation or film-noir; docs/verbs.md lists them")
    parser.add_argument("--camera", metavar="TEXT", help="a camera move: still, pan left, zoom in, orbit right …, or your own words")
    parser.add_argument(
        "--reference", type=Path, action="append", metavar="CLIP", help="a clip or image of a character or style; repeatable"
    )
    parser.add_argument(
        "--variations", type=int, default=1, metavar="N", help="so many videos, of seeds that follow each other (default: 1)"
    )
    parser.add_argument("--enhance", action="store_true", help="let rules fill in what the prompt leaves open")
    parser.add_argument("--enhance-with", metavar="URL|MODEL", help="instead let an OpenAI-compatible endpoint or a local model do it")
    parser.add_argument(
        "--model",
        default="embedded",
        metavar="NAME|FOLDER",
        help="the weights: embedded (default), a name or hub id that was pulled, a folder",
    )
    parser.add_argument(
        "--lora", action="append", metavar="FILE[:X]", help="a LoRA for Wan's weights and its strength, 1 if unsaid; repeatable"
    )
    parser.add_argument(
        "--pack", choices=("int8", "fp8"), help="keep the matrices of Wan's weights as bytes: half the memory, nearly the same"
    )
    parser.add_argument(
        "--device",
        metavar="NAME",
        help="where the weights work: cuda, cuda:1, mps or cpu (default: ours on cpu, Wan's on the best)",
    )
    parser.add_argument("--memory", type=float, metavar="GB", help="the most that Wan's weights may take (default: what is free)")
    parser.add_argument("--server", metavar="URL", help="let this Misora server draw; its key is in MISORA_API_KEY")
    parser.add_argument("--no-latents", action="store_true", help="do not keep the latents beside the file, from which it can be extended")
    parser.add_argument("--force", action="store_true", help="replace the output if it exists")
    parser.add_argument("--quiet", action="store_true", help="no progress and no warnings")
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON")


def add_seconds(parser: argparse.ArgumentParser, what: str, default: float = 4.0, most: int = 600) -> None:
    """How long."""
    parser.add_argument("--seconds", type=float, default=default, metavar="N", help=f"{what}, up to {most} (default: {default:g})")


def add_trim(parser: argparse.ArgumentParser) -> None:
    """How much of a given clip to use."""
    parser.add_argument("--seconds", type=float, metavar="N", help="use only so much of the clip's beginning (default: all of it)")


def begun(clip: Footage, seconds: float | None) -> Footage:
    """The clip's first ``seconds``, where they are given. Raises UsageError."""
    from misora.render.footage import trimmed
    from misora.render.request import LONGEST

    if seconds is None:
        return clip
    if not 0 < seconds <= LONGEST:
        raise UsageError(f"{seconds:g} seconds of {clip.name} cannot be used; give --seconds above 0 and at most {LONGEST:g}.")
    return trimmed(clip, 0.0, seconds)


def make(args: argparse.Namespace, seconds: float, suffixes: tuple[str, ...], build: Build = lambda request: request) -> None:
    """Check the request and the outputs' places, render, save, and say what was made. Raises MisoraError.

    ``build`` turns the request of the common flags into the verb's own.
    """
    from misora.render.verbs import LOOP

    check_variations(args)
    with _notices(quiet=args.quiet):
        requests = varied(build(request_from(args, seconds)), args.variations)
    request, outs = requests[0], places(args, requests, suffixes)
    if not args.quiet:
        ours = args.model == "embedded" or os.path.isfile(Path(args.model) / "text.safetensors")
        for prompt in [prompt for prompt in request.prompts() if ours and prompt != LOOP]:  # which nobody wrote
            warn_of_unknown_words(prompt)
        if notice := request.notice():
            print(f"misora: {notice}", file=sys.stderr)
        if request.asked:
            print(f"misora: expanded to: {request.prompt}", file=sys.stderr)
    warn_of_no_signature(args.quiet)
    start = time.monotonic()
    with _notices(quiet=args.quiet):
        for out, one, video in _videos(requests, outs, args):
            _report(out, one, video, time.monotonic() - start, as_json=args.json)
            start = time.monotonic()


def check_variations(args: argparse.Namespace) -> None:
    """Raise UsageError unless so many can be made."""
    if not 1 <= args.variations <= VARIATIONS:
        raise UsageError(f"{args.variations} variations cannot be made; ask for 1 to {VARIATIONS}.")


def varied(request: Request, variations: int) -> list[Request]:
    """A request for each variation, of seeds that follow each other. Raises UsageError."""
    requests = [dataclasses.replace(request, seed=request.seed + i) for i in range(variations)]
    for one in requests:
        one.check()
    return requests


def request_from(args: argparse.Namespace, seconds: float) -> Request:
    """The request that the common flags describe. Raises UsageError, MediaError."""
    from misora.render.request import Request

    names = ("negative", "size", "aspect", "seed", "steps", "guidance", "speed")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    request = Request(prompt=args.prompt or "", seconds=seconds, **given)
    if request.prompt:
        request.check()
        prompt, asked = dressed_prompt(args, request)
        request = dataclasses.replace(request, prompt=prompt, asked=asked)
    if args.reference:
        from misora.render.footage import load_clip

        request = dataclasses.replace(request, references=tuple(load_clip(path) for path in args.reference))
    return request


def dressed_prompt(args: argparse.Namespace, request: Request) -> tuple[str, str]:
    """The prompt with its style, its camera and whatever expands it; and as it was asked, else empty. Raises UsageError."""
    from misora.cli.environment import enhance_key
    from misora.render.expand import fuller

    worn = {name: getattr(args, name) for name in ("style", "camera", "enhance", "enhance_with")}
    return fuller(request.prompt, **worn, seed=request.seed, key=enhance_key())


def dressed_cards(args: argparse.Namespace, first: Request, cards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A scene's cards with their prompts dressed; ``first`` is the first one's request, whose prompt is dressed. Raises UsageError."""
    later = [card | {"prompt": dressed_prompt(args, dataclasses.replace(first, prompt=card["prompt"]))[0]} for card in cards[1:]]
    return [cards[0] | {"prompt": first.prompt}, *later]


def loras_of(args: argparse.Namespace) -> dict[str, float]:
    """The LoRA files that were asked for and how strong each is. Raises UsageError."""
    found = {}
    for asked in args.lora or ():
        path, colon, strength = asked.rpartition(":")
        try:
            found[path if colon else asked] = float(strength) if colon else 1.0
        except ValueError:
            raise UsageError(
                f"The LoRA {asked!r} cannot be read; write FILE or FILE:STRENGTH, for example style.safetensors:0.8."
            ) from None
    return found


def loading_of(args: argparse.Namespace) -> Loading:
    """How the weights are to be loaded. Raises UsageError."""
    from misora.model.weights import Loading

    if args.memory is not None and not args.memory > 0:
        raise UsageError(f"{args.memory:g} GB hold nothing; give --memory a number above 0.")
    return Loading(packed=args.pack, device=args.device, memory=args.memory and args.memory * 1e9)


def places(args: argparse.Namespace, requests: list[Request], suffixes: tuple[str, ...]) -> list[Path]:
    """Where each variation is to be written. Raises UsageError."""
    return [output_path(numbered(args.out, i, args.variations), one, suffixes, force=args.force) for i, one in enumerate(requests)]


def output_path(out: Path | None, request: Request, suffixes: tuple[str, ...], *, force: bool) -> Path:
    """Where to write, known to be possible before any work is done. Raises UsageError."""
    words = re.sub(r"\W+", "-", request.prompt.lower()).strip("-")[:40].strip("-")
    out = out or Path(f"{words or 'misora'}-{request.seed}{suffixes[0]}")
    if out.suffix.lower() not in suffixes:
        raise UsageError(f"{out} has no ending known here; end it in {', '.join(suffixes)}.")
    if os.path.exists(out) and not force:
        raise UsageError(f"{out} exists; give another --out, or --force to replace it.")
    if not os.path.isdir(out.parent):
        raise UsageError(f"There is no folder {out.parent}; make it first, or give another --out.")
    if os.path.isdir(out) or not _takes_files(out):
        raise UsageError(f"{out} cannot be written; give another --out.")
    return out


def _takes_files(out: Path) -> bool:
    """Whether a file of that name can be in that folder, found out by trying: permissions do not say it all."""
    try:
        with contextlib.suppress(FileNotFoundError):
            out.lstat()  # refuses a name that is too long
        with tempfile.TemporaryFile(dir=out.parent):
            return True
    except (OSError, ValueError):
        return False


def numbered(out: Path | None, number: int, variations: int) -> Path | None:
    """``ball.mp4`` as ``ball-1.mp4`` … where there are several."""
    return out.with_name(f"{out.stem}-{number + 1}{out.suffix}") if out and variations > 1 else out


def warn_of_no_signature(quiet: bool) -> None:
    """Say on standard error when files cannot be signed here; where they can, make sure of it before the work. Raises ProvenanceError."""
    from misora.render.seal import signer_here

    if signer_here() is None and not quiet:
        print("misora: the file will carry no signature and no watermark; install misora[sign] for both", file=sys.stderr)


def warn_of_unknown_words(prompt: str) -> None:
    """Name on standard error the words that the embedded weights have never seen, each with the nearest that they have."""
    from misora.words.known import unknown_told

    for told in unknown_told(prompt):
        print(f"misora: {told}", file=sys.stderr)


@contextlib.contextmanager
def _notices(*, quiet: bool) -> Iterator[None]:
    """What was done to make inputs fit, and what will be slow, said at once in a line each on standard error."""
    said: set[str] = set()

    def say(message: Warning | str, category: type[Warning], *others: object, **more: object) -> None:
        if category.__name__ == "Notice" and not quiet and str(message) not in said:
            said.add(str(message))
            print(f"misora: {message}", file=sys.stderr, flush=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = say
        yield


def _videos(requests: list[Request], outs: list[Path], args: argparse.Namespace) -> Iterator[tuple[Path, Request, Cut]]:
    """The videos, each saved under its name with its latents beside it. Raises GenerationError, but only behind those that succeed."""
    from misora.model.weights import open_weights
    from misora.render.render import render
    from misora.render.wan import suited

    with _progress(quiet=args.quiet) as progress:
        weights = open_weights(args.model, loras_of(args), loading_of(args))
        said = [name for name in ("steps", "guidance") if getattr(args, name) is not None]
        failed: list[GenerationError] = []
        for request, out in zip(requests, outs, strict=True):
            try:
                video = render(suited(request, weights, said), weights, progress)
                video.save(out)
            except GenerationError as error:
                failed.append(error)
                continue
            if out.suffix.lower() in (".mp4", ".mov") and not args.no_latents:
                video.save_latents(out)
            yield out, request, video
        if failed:
            raise failed[0]


@contextlib.contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    if quiet:
        yield lambda stage, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("loading", total=None)
        yield lambda stage, done, total: bar.update(task, description=stage, completed=done, total=total)


def _report(out: Path, request: Request, video: Cut, took: float, *, as_json: bool) -> None:
    height, width = request.delivered()
    seconds = round(video.seconds, 3) if len(request.parts) or request.seconds else 0.0
    facts = {"file": str(out), "seed": request.seed, "size": f"{width}x{height}", "seconds": seconds, "took": round(took, 2)}
    if request.asked:
        facts["prompt"] = request.prompt
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
    else:
        length = f"  {round(seconds, 1):g} s" if seconds else ""
        print(f"{out}  seed {request.seed}  {width}x{height}{length}  made in {took:.1f} s")
