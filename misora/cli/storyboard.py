"""``misora storyboard``: several cards become one video; it knows nothing of how."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misora.cli import common, remote

if TYPE_CHECKING:
    from misora.render.request import Request


def add_parser(verbs: Any) -> None:
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("storyboard", help="make one video of several cards, each with a prompt and a span")
    parser.add_argument("board", type=Path, metavar="BOARD.json", help='{"cards": [{"prompt": "...", "seconds": 4}, ...]}')
    common.add_flags(parser, prompt=False)
    common.add_seconds(parser, "how long a card lasts that does not say it")
    parser.set_defaults(run=run, computes=True, prompt=None)


def run(args: argparse.Namespace) -> None:
    """Make the video and say where it is. Raises MisoraError."""
    from misora.render.board import dressed, read_board

    if args.server:
        remote.storyboard(args)
        return

    def build(base: Request) -> Request:
        def card(prompt: str, seconds: float) -> Request:
            return dataclasses.replace(base, prompt=prompt, seconds=seconds)

        return dressed(read_board(args.board, card, args.seconds), lambda prompt: _dressed(args, base, prompt))

    common.make(args, 0.0, common.VIDEOS, build)


def _dressed(args: argparse.Namespace, base: Request, prompt: str) -> str:
    """A card's prompt with the style and camera of all cards, and shown where it was expanded."""
    told, asked = common.dressed_prompt(args, dataclasses.replace(base, prompt=prompt))
    if asked and not args.quiet:
        print(f"misora: expanded to: {told}", file=sys.stderr)
    return told
