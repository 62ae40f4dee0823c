"""``misora generate --server URL``: the same flags, but another machine draws; it knows nothing of rendering."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from misora.client.errors import UsageError

if TYPE_CHECKING:
    from misora.client.wire import Video

ONLY_HERE = ("style", "camera", "reference", "enhance", "enhance_with")
NAMES = {"seed": "seed", "steps": "steps", "guidance": "guidance", "speed": "speed", "negative": "negative_prompt", "size": "size"}


def add_flag(parser: argparse.ArgumentParser) -> None:
    """The flag that names the server."""
    parser.add_argument("--server", metavar="URL", help="let this Misora server draw; its key is in MISORA_API_KEY")


def make(args: argparse.Namespace) -> None:
    """Ask the server, wait, fetch the file, say where it is. Raises MisoraError."""
    from misora.client.http import Client
    from misora.client.wire import DEFAULT_SIZE

    for name in ONLY_HERE:
        if getattr(args, name, None):
            raise UsageError(f"--{name.replace('_', '-')} works only without --server; leave one of them out.")
    if args.aspect or args.variations != 1 or args.seconds != int(args.seconds):
        raise UsageError("With --server give --size, whole seconds and one variation at a time.")
    out = args.out or Path("misora.mp4")
    if out.suffix.lower() != ".mp4":
        raise UsageError(f"{out} has no ending that a server makes; end it in .mp4.")
    if out.exists() and not args.force:
        raise UsageError(f"{out} exists; give another --out, or --force to replace it.")
    if not out.parent.is_dir():
        raise UsageError(f"There is no folder {out.parent}; make it first, or give another --out.")
    asked = {wire: getattr(args, flag) for flag, wire in NAMES.items() if getattr(args, flag) is not None}
    asked |= {"model": args.model} if args.model != "embedded" else {}
    start, client = time.monotonic(), Client(base_url=args.server)
    video = client.generate(args.prompt, seconds=str(int(args.seconds)), progress=_teller(args.quiet), **({"size": DEFAULT_SIZE} | asked))
    client.download(video.id, out)
    took = time.monotonic() - start
    if args.json:
        print(json.dumps({"file": str(out), "id": video.id, "size": video.size, "seconds": int(video.seconds), "took": round(took, 2)}))
    else:
        print(f"{out}  {video.id}  {video.size}  {video.seconds} s  made in {took:.1f} s")


def _teller(quiet: bool) -> Callable[[Video], None]:
    def tell(video: Video) -> None:
        if not quiet and sys.stderr.isatty():
            print(f"\r{video.status} {video.progress} %  ", end="", file=sys.stderr, flush=True)

    return tell
