"""``misora extend``: a clip goes on, or gets a past; it knows nothing of how."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from misora.cli import common, remote


def add_parser(verbs: Any) -> None:
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("extend", help="make what comes after a clip, or before it; the clip is kept")
    parser.add_argument("clip", type=Path, metavar="CLIP", help="the clip to go on from")
    common.add_flags(parser)
    parser.add_argument("--backward", action="store_true", help="make what led to the clip instead")
    common.add_seconds(parser, "how much more")
    parser.set_defaults(run=run, computes=True)


def run(args: argparse.Namespace) -> None:
    """Make the stitched clip and say where it is. Raises MisoraError."""
    from misora.render import verbs
    from misora.render.footage import load_clip

    if args.server:
        remote.extend(args)
        return
    common.make(args, args.seconds, common.VIDEOS, lambda request: verbs.extend(request, load_clip(args.clip), backward=args.backward))
