"""Kills a real server's processes under load and counts what was lost: nothing may be; it knows the server only from outside.

``python -m bench.faults --kills 50`` starts ``misora serve`` with the embedded weights. One process (this one) only orders and writes down
what was acknowledged, in a file of its own; faults hit a random worker or the whole server: SIGKILL, or SIGSTOP past the lease. At the
end every acknowledged job must be there and finished, each once, with a whole and signed file. ``--postgres`` starts a PostgreSQL first.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.postgres import postgres
from misora.client.errors import ServerError
from misora.client.http import Client

STOPPED = 25.0  # seconds: longer than a lease
READY = 120.0
PATIENCE = 3600.0  # seconds for the last jobs


class Server:
    """One ``misora serve`` that is started again whenever it dies."""

    def __init__(self, data: Path, port: int, workers: int, db: str | None) -> None:
        self.data, self.port, self.log = data, port, data.parent / "server.log"
        self.command = [sys.executable, "-m", "misora", "serve", "--data", str(data), "--port", str(port), "--workers", str(workers)]
        self.command += ["--db", db] if db else []
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and wait for its line."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "ready" in line:
                return
        raise SystemExit(f"the server did not start; see {self.log}")

    def workers(self) -> list[int]:
        """The processes that it started."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(each) for each in children.read_text().split()] if children.exists() else []

    def stop(self) -> None:
        """Let it drain."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(90)
        except subprocess.TimeoutExpired:
            self.process.kill()


def fault(server: Server, chance: random.Random) -> str:
    """Do one harm; its name."""
    workers = server.workers()
    kind = chance.choice(("kill worker", "kill worker", "stop worker", "kill server"))
    if kind == "kill server" or not workers:
        assert server.process is not None
        server.process.kill()
        server.process.wait()
        server.start()
        return "kill server"
    victim = chance.choice(workers)
    with contextlib.suppress(ProcessLookupError):
        if kind == "kill worker":
            os.kill(victim, signal.SIGKILL)
        else:
            os.kill(victim, signal.SIGSTOP)
            time.sleep(STOPPED)
            os.kill(victim, signal.SIGCONT)
    return kind


def order(client: Client, ledger: Path, number: int) -> None:
    """Ask for one small video and write down that it was acknowledged, on the disk before anything else happens."""
    try:
        video = client.create(f"a red ball bounces, take {number}", seconds="4", size="128x128", steps=1, seed=number)
    except ServerError:
        return  # not acknowledged: nothing was promised
    with ledger.open("a") as file:
        file.write(video.id + "\n")
        file.flush()
        os.fsync(file.fileno())


def verdict(client: Client, ledger: Path, data: Path) -> dict[str, int]:
    """What became of every acknowledged job."""
    names = ledger.read_text().split()
    found = {"acknowledged": len(names), "lost": 0, "failed": 0, "unfinished": 0, "broken files": 0, "unsigned": 0, "finished twice": 0}
    end = time.monotonic() + PATIENCE
    for name in names:
        try:
            video = client.wait(name, seconds=max(1.0, end - time.monotonic()))
        except ServerError as error:
            found["lost" if error.status == 404 else "unfinished"] += 1
            continue
        if video.status != "completed":
            found["failed"] += 1
            continue
        _check_file(client, name, data, found)
    return found


def _check_file(client: Client, name: str, data: Path, found: dict[str, int]) -> None:
    from misora.media.read import read_video
    from misora.trust.provenance import read

    path = data.parent / "check.mp4"
    client.download(name, path)
    frames, _ = read_video(path)
    found["broken files"] += len(frames) != 96
    told = read(path, (data / "signing" / "root.pem").read_text())
    found["unsigned"] += told is None or told["state"] == "Invalid"
    whole = [each for each in (data / "videos" / name).iterdir() if each.name.isdigit()]
    found["finished twice"] += len(whole) != 1


def main() -> None:
    """Run and print one line of JSON; the exit code is 1 when anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--port", type=int, default=8197)
    parser.add_argument("--jobs", type=int, default=2, help="ordered between two faults")
    parser.add_argument("--pause", type=float, default=4.0, help="seconds between two faults")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--postgres", action="store_true")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="misora-faults-"))
    with postgres() if args.postgres else contextlib.nullcontext() as db:
        found = run(args, folder, db)
    shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(found))
    sys.exit(any(found[name] for name in ("lost", "failed", "unfinished", "broken files", "unsigned", "finished twice")))


def run(args: argparse.Namespace, folder: Path, db: str | None) -> dict[str, int]:
    """The whole ordeal."""
    chance, ledger = random.Random(args.seed), folder / "ledger"
    ledger.touch()
    server = Server(folder / "data", args.port, args.workers, db)
    server.start()
    client = Client(base_url=f"http://127.0.0.1:{args.port}", api_key=(folder / "data" / "admin.key").read_text().strip(), timeout=READY)
    harms: dict[str, int] = {}
    for number in range(args.kills):
        for each in range(args.jobs):
            order(client, ledger, number * args.jobs + each)
        time.sleep(chance.uniform(0, 2 * args.pause))
        kind = fault(server, chance)
        harms[kind] = harms.get(kind, 0) + 1
        print(f"{number + 1}/{args.kills} {kind}", file=sys.stderr, flush=True)
    found = verdict(client, ledger, folder / "data")
    server.stop()
    return found | harms


if __name__ == "__main__":
    main()
