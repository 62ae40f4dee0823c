"""``misora image``: a sentence becomes a picture, a video of one frame; it knows nothing that ``common`` does not do for it."""

from __future__ import annotations

import argparse
from typing import Any

from misora.cli import common, remote


def add_parser(verbs: Any) -> None:
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("image", help="make a picture from a sentence")
    common.add_flags(parser)
    parser.set_defaults(run=run, computes=True)


def run(args: argparse.Namespace) -> None:
    """Make the picture and say where it is. Raises MisoraError."""
    if args.server:
        remote.image(args)
        return
    common.make(args, 0.0, common.PICTURES)
