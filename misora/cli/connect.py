"""``misora connect``: two clips become one, with an invented way between them; it knows nothing of how."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from misora.cli import common, remote


def add_parser(verbs: Any) -> None:
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("connect", help="make the way from one clip to another; both are kept")
    parser.add_argument("one", type=Path, metavar="CLIP_A", help="the clip that comes first")
    parser.add_argument("other", type=Path, metavar="CLIP_B", help="the clip that comes last")
    common.add_flags(parser)
    common.add_seconds(parser, "how much between them", default=2.0)
    parser.set_defaults(run=run, computes=True)


def run(args: argparse.Namespace) -> None:
    """Make the stitched clip and say where it is. Raises MisoraError."""
    from misora.render import verbs
    from misora.render.footage import load_clip

    if args.server:
        remote.connect(args)
        return
    common.make(args, args.seconds, common.VIDEOS, lambda request: verbs.connect(request, load_clip(args.one), load_clip(args.other)))
