"""``misora loop``: a video without an end, from a sentence or of a clip; it knows nothing of how."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from misora.cli import common, remote


def add_parser(verbs: Any) -> None:
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("loop", help="make a video whose end flows into its beginning")
    parser.add_argument("subject", metavar="PROMPT|CLIP", help="what to show, or the clip to close into a loop")
    common.add_flags(parser, optional=True)
    parser.add_argument("--overlap", default="normal", metavar="HOW", help="of a clip's end is made anew: short, normal or full")
    common.add_seconds(parser, "length, where there is no clip")
    parser.set_defaults(run=run, computes=True)


def run(args: argparse.Namespace) -> None:
    """Make the loop and say where it is. Raises MisoraError."""
    from misora.render import verbs
    from misora.render.footage import is_file_name, load_clip, said_of

    given = Path(args.subject) if args.prompt is not None or is_file_name(args.subject) else None
    args.prompt = args.prompt or (said_of(given) or verbs.LOOP if given else args.subject)
    if args.server:
        remote.loop(args, given)
        return
    clip = load_clip(given) if given else None
    common.make(args, args.seconds, common.VIDEOS, lambda request: verbs.loop(request, clip, args.overlap))
