"""``misora animate``: a picture becomes a video, with another picture at its end where one is given; it knows nothing of how."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misora.cli import common
from misora.client.errors import UsageError

if TYPE_CHECKING:
    from misora.render.request import Request


def add_parser(verbs: Any) -> None:
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("animate", help="make a video that begins with a picture")
    parser.add_argument("image", type=Path, metavar="IMAGE", help="the first frame")
    common.add_flags(parser)
    parser.add_argument("--last", type=Path, metavar="IMAGE", help="the last frame")
    common.add_seconds(parser, "length")
    parser.set_defaults(run=run, computes=True)


def run(args: argparse.Namespace) -> None:
    """Make the video and say where it is. Raises MisoraError."""
    from misora.render import verbs
    from misora.render.footage import load_image

    if args.seconds == 0:
        raise UsageError("In 0 seconds nothing moves; give --seconds above 0.")

    def build(request: Request) -> Request:
        return verbs.animate(request, load_image(args.image), load_image(args.last) if args.last else None)

    common.make(args, args.seconds, common.VIDEOS, build)
