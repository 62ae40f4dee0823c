"""Sends the server whatever its own OpenAPI page allows, and what it forbids, and looks for one thing: no answer may be a 5xx.

``python -m bench.fuzz`` starts ``misora serve`` without workers in a fresh folder, orders one video, and
runs ``schemathesis``, which must be installed somewhere (``--schemathesis PROGRAM``; not beside pytest, whose plugin it would be). It
knows the server only from outside.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.faults import Server
from misora.client.http import Client

UNENDING = "/events$|/images/generations$"  # streams, and what waits for a worker: with ``--workers`` these alone are sent requests


def main() -> None:
    """Run, show what schemathesis says, and end with its exit code."""
    parser = argparse.ArgumentParser(description="Fuzzes the whole API.")
    parser.add_argument("--schemathesis", default="schemathesis", metavar="PROGRAM")
    parser.add_argument("--examples", type=int, default=20, help="of each operation")
    parser.add_argument("--port", type=int, default=8195)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--phases", default="examples,coverage,fuzzing")
    parser.add_argument("--workers", type=int, default=0, help="that draw: what waits for them is tested, and nothing else")
    parser.add_argument("--only", metavar="PATH", help="one path of the page alone")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="misora-fuzz-") as folder:
        server = Server(Path(folder) / "data", args.port, args.workers, None)
        server.start()
        try:
            code = fuzz(server, args)
        finally:
            server.stop()
    sys.exit(code)


def fuzz(server: Server, args: argparse.Namespace) -> int:
    """The exit code of schemathesis: 0 when nothing was a 5xx."""
    url, key = f"http://127.0.0.1:{args.port}", (server.data / "admin.key").read_text().strip()
    Client(base_url=url, api_key=key).create("a red ball", size="64x64", steps=1)
    command = [args.schemathesis, "run", f"{url}/openapi.json", "--url", url, "-H", f"Authorization: Bearer {key}"]
    command += ["--checks", "not_a_server_error", "--phases", args.phases, "--max-examples", str(args.examples)]
    command += ["--seed", str(args.seed), "--suppress-health-check", "all", "--request-timeout", "120", "--continue-on-failure"]
    command += ["--include-path-regex" if args.workers else "--exclude-path-regex", UNENDING, "--warnings", "off", "--no-color"]
    command += ["--include-path", args.only] if args.only else []
    return subprocess.run(command, check=False, cwd=server.data).returncode


if __name__ == "__main__":
    main()
