"""``misora backup`` and ``misora restore``: a server's data as one file and back; they know nothing of what is in it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from misora.cli import serving

POSTGRES = "This holds the files, not the PostgreSQL: a whole backup is `pg_dump -Fc -f DUMP URL`, and then this."


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
    from misora.server.backup import backup, sqlite_file

    print(backup(settings, args.file))
    if sqlite_file(settings) is None:
        print(POSTGRES, file=sys.stderr)


def run_restore(args: argparse.Namespace) -> None:
    """Restore, and say how much was done again. Raises MisoraError."""
    settings = serving.settings_from(args)
    from misora.server.backup import restore

    again = restore(settings, args.file)
    print(f"Restored; {again} deletions, revocations, suspensions, reports, changes of plan and new secrets were done again.")
