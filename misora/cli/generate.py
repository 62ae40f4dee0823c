"""``misora generate``: a sentence becomes a video; it knows nothing that ``common`` does not do for it."""

from __future__ import annotations

import argparse
from typing import Any

from misora.cli import common, remote
from misora.client.errors import UsageError


def add_parser(verbs: Any) -> None:
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("generate", help="make a video from a sentence")
    common.add_flags(parser)
    common.add_seconds(parser, "length")
    parser.set_defaults(run=run, computes=True)


def run(args: argparse.Namespace) -> None:
    """Make the video and say where it is. Raises MisoraError."""
    if args.seconds == 0:
        raise UsageError("A video of 0 seconds is a picture; use `misora image`.")
    if args.server:
        remote.generate(args)
        return
    common.make(args, args.seconds, common.VIDEOS)
