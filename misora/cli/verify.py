"""``misora verify``: who signed a file, whether it was changed, whether we made it; it knows nothing of how that is found out."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misora.client.errors import ProvenanceError, UsageError

if TYPE_CHECKING:
    from misora.trust.verify import Report


def add_parser(verbs: Any) -> None:
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "verify", help="say who signed a file, whether it was changed, and whether we made it"
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a video or an image")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="a server's data folder, to know its certificates and watermark (default: yours)"
    )
    parser.add_argument("--trust", type=Path, metavar="PEM", help="root certificates to trust beside our own")
    parser.add_argument("--quick", action="store_true", help="look for the watermark at the likely sizes only")
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON")
    parser.set_defaults(run=run, computes=False)


def run(args: argparse.Namespace) -> None:
    """Print the report. Ends with 0 when we made the file and it is whole, and raises ProvenanceError (exit code 1) otherwise."""
    import dataclasses

    from misora.trust import authority
    from misora.trust.verify import verify

    if not os.path.isfile(args.file):
        raise UsageError(f"There is no file {args.file}; check the name.")
    folder = args.data / "signing" if args.data else authority.home()
    ours = authority.open_authority(folder) if (folder / "leaf.key").exists() else None
    anchors = (ours.anchors if ours else "") + _pem(args.trust)
    report = verify(args.file, anchors=anchors, mark_key=ours.mark_key if ours else None, thorough=not args.quick)
    if args.json:
        print(json.dumps(dataclasses.asdict(report), ensure_ascii=False))
    else:
        for line in tell(report, looked=ours is not None):
            print(line)
    if report.changed or not (report.made_here or report.trusted):
        raise ProvenanceError(verdict(args.file.name, report))


def _pem(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"{path} cannot be read; give root certificates as a PEM file.") from None


def verdict(name: str, report: Report) -> str:
    """One sentence on a file that could not be vouched for."""
    if report.changed:
        return (
            f"{name} was changed after it was signed ({', '.join(report.failures) or 'its manifest cannot be read'}); ask for the original."
        )
    if report.signed:
        return f"{name} is signed and whole, but by a signer not trusted here; give its root with --trust."
    return f"{name} carries neither a signature nor our watermark; nothing is known of it."


def tell(report: Report, *, looked: bool) -> list[str]:
    """The report as lines for a person."""
    state = "changed since" if report.changed else "whole, trusted" if report.trusted else "whole, signer not known here"
    signed = f"yes, by {report.signer or 'an unreadable signer'}: {state}" if report.signed else "no"
    mark = "found, mirrored" if report.mirrored else "found" if report.watermark else "none" if looked else "not looked for: no key here"
    lines = [f"signed     {signed}", f"watermark  {mark}", f"made here  {'yes' if report.made_here else 'not known'}"]
    if report.actions:
        lines.append(f"history    {', '.join(action.removeprefix('c2pa.') for action in report.actions)}")
    if report.job:
        lines.append(f"job        {report.job}")
    return lines
