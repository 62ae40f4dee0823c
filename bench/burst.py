"""How long the server takes to acknowledge a burst of orders, and to list and show with many jobs in the table; it renders one video.

``python -m bench.burst`` starts ``misora serve --workers 1`` in a fresh folder. While the worker draws: 500 creates from 20 connections.
Then 100 000 jobs are put into the table directly and list and retrieve are timed. It knows the server only from outside, but for filling
the table.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.faults import Server
from misora.client.http import Client

ORDER = {"prompt": "a red ball", "size": "64x64", "steps": 1}


def timed(call: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1000


def percentiles(times: list[float]) -> dict[str, float]:
    """The middle and the 99th."""
    return {"p50_ms": round(statistics.median(times), 1), "p99_ms": round(statistics.quantiles(times, n=100)[98], 1)}


def burst(port: int, key: str, count: int) -> list[float]:
    """Milliseconds of each of ``count`` creates over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers, body = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}, json.dumps(ORDER)

    def create() -> None:
        connection.request("POST", "/v1/videos", body, headers)
        answer = connection.getresponse()
        assert json.load(answer)["status"] == "queued" and answer.status == 200

    times = [timed(create) for _ in range(count)]
    connection.close()
    return times


def fill(data: Path, count: int, account_id: str, key_id: str) -> None:
    """Put finished jobs into the table."""
    from sqlalchemy import insert

    from misora.server.queue.job import Order
    from misora.server.store.database import Store
    from misora.server.store.tables import videos

    store = Store(data / "misora.sqlite")
    ended = {"status": "completed", "progress": 100, "stage": "", "created_at": 1, "facts": {}, "attempts": 1, "fence": 2, "folder": "none"}
    for _ in range(0, count, 5000):
        orders = [vars(Order(account_id=account_id, key_id=key_id, prompt="a red ball")) | ended for _ in range(5000)]
        with store.write() as db:
            db.execute(insert(videos), orders)
    store.close()


def main() -> None:
    """Run and print one line of JSON."""
    parser = argparse.ArgumentParser(description="Times the server's answers.")
    parser.add_argument("--creates", type=int, default=500)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--port", type=int, default=8196)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="misora-burst-") as folder:
        server = Server(Path(folder) / "data", args.port, 1, None)
        first, second = timed(server.start), 0.0
        try:
            found = measure(server, args)
            server.stop()
            second = timed(server.start)
            print(json.dumps({"first_ready_ms": round(first), "ready_ms": round(second)} | found))
        finally:
            server.stop()


def measure(server: Server, args: argparse.Namespace) -> dict[str, object]:
    """The figures."""
    client = Client(base_url=f"http://127.0.0.1:{args.port}", api_key=(server.data / "admin.key").read_text().strip())
    first = client.create("a red ball", seconds="20", size="1280x720")
    while client.retrieve(first.id).status == "queued":
        time.sleep(0.2)
    with concurrent.futures.ThreadPoolExecutor(args.connections) as pool:
        share = args.creates // args.connections
        creates = [each for times in pool.map(lambda _: burst(args.port, client._key, share), range(args.connections)) for each in times]
    left = sum(video.status == "queued" for video in client.list())
    assert left == share * args.connections, f"{left} of {share * args.connections} are in the queue"
    name = next(client.list(limit=1)).id
    key = client._send("GET", "/misora/keys")["data"][0]
    fill(server.data, args.jobs, key["account_id"], key["id"])
    lists = [timed(lambda: client._send("GET", "/videos?limit=20")) for _ in range(200)]
    shown = [timed(lambda: client.retrieve(name)) for _ in range(200)]
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    most = int(status.split("VmHWM:")[1].split()[0]) // 1024
    return {"create": percentiles(creates), "list": percentiles(lists), "retrieve": percentiles(shown), "web_mb_at_most": most}


if __name__ == "__main__":
    main()
