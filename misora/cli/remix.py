"""``misora remix``: a clip as another prompt has it; it knows nothing of how."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from misora.cli import common, remote


def add_parser(verbs: Any) -> None:
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("remix", help="rework a whole clip")
    parser.add_argument("clip", type=Path, metavar="CLIP", help="the clip to rework")
    common.add_flags(parser)
    parser.add_argument("--strength", default="mild", metavar="0..1", help="how much: a number, or subtle, mild, strong (default: mild)")
    common.add_trim(parser)
    parser.set_defaults(run=run, computes=True)


def run(args: argparse.Namespace) -> None:
    """Make the clip and say where it is. Raises MisoraError."""
    from misora.render import verbs
    from misora.render.footage import load_clip

    strength = verbs.strength_of(args.strength)
    if args.server:
        remote.remix(args, strength)
        return
    common.make(args, 4.0, common.VIDEOS, lambda request: verbs.remix(request, common.begun(load_clip(args.clip), args.seconds), strength))
