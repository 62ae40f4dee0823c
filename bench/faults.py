"""Kills a real server's processes under load and counts what was lost: nothing may be; it knows the server only from outside.

``python -m bench.faults --kills 50`` starts ``misora serve`` with the embedded weights. One process (this one) only orders and writes down
what was acknowledged, in a file of its own; faults hit a random worker or the whole server: SIGKILL, or SIGSTOP past the lease. All the
while it downloads whatever it gets. At the end every acknowledged job must be there and finished, told of once, with a whole and signed
file. ``--postgres`` starts a PostgreSQL first.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from bench.postgres import postgres
from misora.client.errors import ServerError
from misora.client.http import Client

STOPPED = 25.0  # seconds: longer than a lease
READY = 120.0
PATIENCE = 3600.0  # seconds for the last jobs
WRONG = ("told twice", "never told", "bad while it broke")
TOLD = 90.0  # seconds for the last webhooks


class Server:
    """One ``misora serve`` that is started again whenever it dies."""

    def __init__(self, data: Path, port: int, workers: int, db: str | None) -> None:
        self.data, self.port, self.log = data, port, data.parent / "server.log"
        self.command = [sys.executable, "-m", "misora", "serve", "--data", str(data), "--port", str(port), "--workers", str(workers)]
        self.command += ["--private-webhooks"]
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
            threading.Timer(STOPPED, _go_on, (victim,)).start()  # meanwhile others are harmed
    return kind


def _go_on(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGCONT)


class Told(http.server.ThreadingHTTPServer):
    """Takes webhooks: which events each video was told of by."""

    def __init__(self) -> None:
        self.events: dict[str, set[str]] = {}
        super().__init__(("127.0.0.1", 0), _Ear)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def endpoint(self) -> dict[str, object]:
        """What the server has to know to tell us."""
        return {"name": "faults", "url": f"http://127.0.0.1:{self.server_port}/", "event_types": ["video.completed", "video.failed"]}


class _Ear(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert isinstance(self.server, Told)
        self.server.events.setdefault(body["data"]["id"], set()).add(self.headers["webhook-id"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *given: object) -> None:
        """Say nothing."""


class Reader(threading.Thread):
    """Downloads a random job again and again while everything breaks: what comes must be whole and signed, or nothing."""

    def __init__(self, client: Client, ledger: Path, data: Path, seed: int) -> None:
        super().__init__(daemon=True)
        self.client, self.ledger, self.data, self.chance = client, ledger, data, random.Random(seed)
        self.seen, self.bad, self.done = 0, 0, threading.Event()

    def run(self) -> None:
        """Until ``done``."""
        while not self.done.wait(0.5):
            names = self.ledger.read_text().split()
            path = self.data.parent / "seen.mp4"
            with contextlib.suppress(ServerError):  # not ready, or the server is down
                self.client.download(self.chance.choice(names or ["none"]), path)
                self.seen += 1
                self.bad += not signed(path, self.data)


def signed(path: Path, data: Path) -> bool:
    """Whether the file is whole and as it was signed by this server."""
    from misora.trust.provenance import read

    told = read(path, (data / "signing" / "root.pem").read_text())
    return told is not None and told["state"] == "Trusted"


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

    path = data.parent / "check.mp4"
    client.download(name, path)
    frames, _ = read_video(path)
    found["broken files"] += len(frames) != 96
    found["unsigned"] += not signed(path, data)
    whole = [each for each in (data / "videos" / name).iterdir() if each.name.isdigit()]
    found["finished twice"] += len(whole) != 1


def heard(told: Told, names: list[str]) -> dict[str, int]:
    """How many jobs were told of more than once, and how many not at all."""
    end = time.monotonic() + TOLD
    while time.monotonic() < end and any(name not in told.events for name in names):
        time.sleep(1.0)
    counts = [len(told.events.get(name, ())) for name in names]
    return {"told twice": sum(count > 1 for count in counts), "never told": counts.count(0)}


def main() -> None:
    """Run and print one line of JSON; the exit code is 1 when anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--port", type=int, default=8197)
    parser.add_argument("--jobs", type=float, default=1, help="ordered between two faults on average")
    parser.add_argument("--pause", type=float, default=5.0, help="seconds between two faults")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--postgres", action="store_true")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="misora-faults-"))
    with postgres() if args.postgres else contextlib.nullcontext() as db:
        found = run(args, folder, db)
    shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(found))
    sys.exit(any(found[name] for name in ("lost", "failed", "unfinished", "broken files", "unsigned", "finished twice", *WRONG)))


def run(args: argparse.Namespace, folder: Path, db: str | None) -> dict[str, int]:
    """The whole ordeal."""
    chance, ledger = random.Random(args.seed), folder / "ledger"
    ledger.touch()
    server = Server(folder / "data", args.port, args.workers, db)
    server.start()
    client = Client(base_url=f"http://127.0.0.1:{args.port}", api_key=(folder / "data" / "admin.key").read_text().strip(), timeout=READY)
    told, reader, harms = Told(), Reader(client, ledger, folder / "data", args.seed), dict[str, int]()
    client._send("POST", "/webhook_endpoints", told.endpoint())
    reader.start()
    for number in range(args.kills):
        for _ in range(int(args.jobs + chance.random())):
            order(client, ledger, number)
        time.sleep(chance.uniform(0, 2 * args.pause))
        kind = fault(server, chance)
        harms[kind] = harms.get(kind, 0) + 1
        print(f"{number + 1}/{args.kills} {kind}", file=sys.stderr, flush=True)
    found = verdict(client, ledger, folder / "data")
    reader.done.set()
    found |= heard(told, ledger.read_text().split()) | {"downloads": reader.seen, "bad while it broke": reader.bad}
    server.stop()
    return found | harms


if __name__ == "__main__":
    main()
