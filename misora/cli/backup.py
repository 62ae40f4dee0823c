"""``misora backup`` and ``misora restore``: a server's data as one file and back; they know nothing of what is in it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from misora.cli import serving


def add_parser(verbs: Any) -> None:
    """Add both verbs and their flags."""
    make: argparse.ArgumentParser = verbs.add_parser("backup", help="write a server's data to one file, also while it runs")
    bring: argparse.ArgumentParser = verbs.add_parser(
        "restore", help="bring a backup back; what was deleted, ended or reported since stays so"
    )
    for parser, does in ((make, run_backup), (bring, run_restore)):
        parser.add_argument("file", type=Path, metavar="FILE", help="the backup")
        serving.add_place(parser)
        parser.set_defaults(run=does, computes=False)


def run_backup(args: argparse.Namespace) -> None:
    """Write the backup. Raises MisoraError."""
    settings = serving.settings_from(args)
    from misora.server.backup import backup

    print(backup(settings, args.file))


def run_restore(args: argparse.Namespace) -> None:
    """Restore, and say how much was deleted or revoked again. Raises MisoraError."""
    settings = serving.settings_from(args)
    from misora.server.backup import restore

    print(f"Restored; {restore(settings, args.file)} deletions, revocations, suspensions and reports were done again.")
