"""``misora animate``: a picture becomes a video, with another one at its end or only one there; it knows nothing of how."""

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
    parser: argparse.ArgumentParser = verbs.add_parser("animate", help="make a video that begins with a picture")
    parser.add_argument("image", metavar="IMAGE", help="the first frame; may be left out where there is a last one")
    common.add_flags(parser, optional=True)
    parser.add_argument("--last", type=Path, metavar="IMAGE", help="the last frame")
    common.add_seconds(parser, "length")
    parser.set_defaults(run=run, computes=True)


def run(args: argparse.Namespace) -> None:
    """Make the video and say where it is. Raises MisoraError."""
    from misora.render import verbs
    from misora.render.footage import load_image

    if args.prompt is None and args.last is None:
        raise UsageError("The following arguments are required: prompt; see misora animate --help.")
    if args.prompt is None:
        args.image, args.prompt = None, args.image
    if args.seconds == 0:
        raise UsageError("In 0 seconds nothing moves; give --seconds above 0.")

    if args.server:
        remote.animate(args)
        return

    def build(request: Request) -> Request:
        first, last = (load_image(given) if given else None for given in (args.image, args.last))
        return verbs.animate(request, first, last)

    common.make(args, args.seconds, common.VIDEOS, build)
