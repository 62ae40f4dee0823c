"""``misora worker``: makes videos for a server, also one on another machine; it knows nothing of how a job is done."""

from __future__ import annotations

import argparse
from typing import Any

from misora.cli import serving


def add_parser(verbs: Any) -> None:
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("worker", help="make videos for a running server (misora serve starts its own)")
    serving.add_place(parser)
    serving.add_work(parser)
    parser.add_argument("--name", metavar="NAME", help="its name in the list of workers (default: a new one)")
    parser.add_argument("--parent", type=int, metavar="PID", help="end when this process, which started it, ends")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="processor threads (default: as the environment says)")
    parser.set_defaults(run=run, computes=True)


def run(args: argparse.Namespace) -> None:
    """Work until SIGTERM. Raises MisoraError."""
    settings = serving.settings_from(args)
    from misora.server.worker import run as work

    work(settings, name=args.name, parent=args.parent, threads=args.threads)
