"""``misora inpaint``: a part of a clip is made anew, in space, in time or both; it knows nothing of how."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misora.cli import common, remote
from misora.client.errors import UsageError

if TYPE_CHECKING:
    from misora.render.request import Request


def add_parser(verbs: Any) -> None:
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("inpaint", help="make a part of a clip anew; the rest keeps its pixels")
    parser.add_argument("clip", type=Path, metavar="CLIP", help="the clip to change")
    common.add_flags(parser)
    parser.add_argument("--mask", type=Path, metavar="FILE", help="an image or a video that is white where to change")
    parser.add_argument("--box", metavar="x,y,w,h", help="instead of a mask: left, top, width and height in pixels of the clip")
    parser.add_argument("--from", dest="start", type=float, metavar="S", help="change nothing before this second")
    parser.add_argument("--to", dest="stop", type=float, metavar="S", help="change nothing after this second")
    parser.add_argument("--strength", default="1", metavar="0..1", help="how much: a number, or subtle, mild, strong (default: 1)")
    common.add_trim(parser)
    parser.set_defaults(run=run, computes=True)


def run(args: argparse.Namespace) -> None:
    """Make the clip and say where it is. Raises MisoraError."""
    from misora.render import verbs
    from misora.render.footage import load_clip, read_mask

    if args.mask and args.box:
        raise UsageError("Both a mask and a box were given; give one of them.")
    strength, box = verbs.strength_of(args.strength), _box(args.box)
    if not (args.mask or box or args.start is not None or args.stop is not None):
        raise UsageError("Nothing says what to change; give --mask FILE, --box x,y,w,h, or --from and --to.")
    if args.server:
        remote.inpaint(args, box, strength)
        return
    timed = args.start is not None or args.stop is not None

    def build(request: Request) -> Request:
        clip = common.begun(load_clip(args.clip), args.seconds)
        mask = read_mask(args.mask, clip.size, clip.rate) if args.mask else None
        span = (args.start or 0.0, clip.seconds if args.stop is None else args.stop) if timed else None
        return verbs.inpaint(request, clip, mask=mask, box=box, span=span, strength=strength)

    common.make(args, 4.0, common.VIDEOS, build)


def _box(text: str | None) -> tuple[int, int, int, int] | None:
    if text is None:
        return None
    try:
        left, top, width, height = (int(number) for number in text.split(","))
    except ValueError:
        raise UsageError(f"The box {text!r} cannot be read; write it as x,y,w,h in pixels, for example 40,20,160,90.") from None
    return left, top, width, height
