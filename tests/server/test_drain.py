"""Laws of the end of a server: what SIGTERM lets finish, puts back and cuts off; the weights are replaced, the processes are real."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from misora.server.queue import jobs
from misora.server.queue.job import Job
from misora.server.store.database import Store
from misora.server.store.tables import videos
from tests.tree import ROOT

ENDS = 30.0  # seconds after which a server that should have ended hangs
FOREVER = 600
SERVER = """
import sys, time
from pathlib import Path
from misora.server import guard, serve, supervisor
from misora.server.settings import Settings
from tests.server.shop import ALLOW
from tests.server.test_drain import FOREVER, WORKER

def check(text):
    if text == "hang":
        time.sleep(FOREVER)
    return ALLOW

guard.installed = lambda config: guard.Guard(check)
supervisor.Supervisor._command = lambda self, name: [sys.executable, "-c", WORKER, str(self.settings.data), name]
serve.serve(Settings(data=Path(sys.argv[1]), drain_seconds=float(sys.argv[2]), port=0, free_bytes=0))
"""
WORKER = """
import atexit, os, sys, time
from pathlib import Path
from misora.server import worker
from misora.server.settings import Settings
from tests.server.shop import quick
from tests.server.test_drain import FOREVER

def render(job, folder, progress):
    while not Path(sys.argv[1], "go").exists():
        progress(1, "drawing")
        time.sleep(0.02)
    return quick(job, folder, progress)

atexit.register(time.sleep, FOREVER)  # as taking torch down takes long
worker.Renderer = lambda *given: render
worker._use_threads = lambda threads: ""
worker.run(Settings(data=Path(sys.argv[1])), name=sys.argv[2], parent=os.getppid())
"""


class Served:
    """One ``misora serve`` with a worker whose jobs last until there is a file ``go`` in the data folder."""

    def __init__(self, data: Path, drain: float) -> None:
        self.data = data
        command = [sys.executable, "-c", SERVER, str(data), str(drain)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        self.url = next(line for line in self.process.stdout if "ready" in line).split()[-1]
        self.key = (data / "admin.key").read_text().strip()

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        """Status and JSON, or text, of the answer."""
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode() if body else None, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=ENDS) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                status, text = error.code, error.read().decode()
        return status, json.loads(text) if text.startswith("{") else text

    def running(self) -> str:
        """Order a video; its id once the worker has it."""
        made = self.ask("POST", "/v1/videos", {"prompt": "a red ball"})[1]
        until(lambda: self.ask("GET", f"/v1/videos/{made['id']}")[1]["status"] == "in_progress")
        return str(made["id"])

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def code(self) -> int:
        """The exit code, once it has ended."""
        return self.process.wait(ENDS)


def until(true: Any) -> None:
    """Wait for something that must become true."""
    end = time.monotonic() + ENDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextlib.contextmanager
def served(data: Path, drain: float) -> Iterator[Served]:
    """A server that is gone afterwards, however it went."""
    made = Served(data, drain)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()
        assert made.process.stdout is not None
        made.process.stdout.close()


def kept(data: Path, video_id: str) -> Job:
    """The job as the database has it."""
    store = Store(data / "misora.sqlite")
    job = jobs.get(store, video_id)
    store.close()
    assert job is not None
    return job


def ordered(data: Path) -> int:
    """How many orders the database has."""
    store = Store(data / "misora.sqlite")
    with store.read() as db:
        count = int(db.execute(select(func.count()).select_from(videos)).scalar_one())
    store.close()
    return count


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    """Threads that wait for answers."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


def ended(waiting: Future[Any]) -> bool:
    """Whether an answer came, or the connection ended."""
    with contextlib.suppress(OSError):
        waiting.result(ENDS)
    return waiting.done()


def test_sigterm_lets_the_job_in_hand_finish_takes_no_new_one_and_ends_streams(tmp_path: Path, aside: ThreadPoolExecutor) -> None:
    with served(tmp_path, FOREVER) as server:
        name = server.running()
        stream = aside.submit(server.ask, "GET", f"/v1/misora/videos/{name}/events")
        picture = aside.submit(server.ask, "POST", "/v1/images/generations", {"prompt": "a red ball"})
        until(lambda: ordered(tmp_path) == 2)
        server.terminate()
        until(lambda: server.ask("GET", "/readyz")[1]["draining"])
        status, told = server.ask("POST", "/v1/videos", {"prompt": "a blue cube"})
        assert (status, told["error"]["code"], told["error"]["type"]) == (503, "draining", "server_error")
        status, told = picture.result(ENDS)
        assert (status, told["error"]["code"]) == (503, "draining"), "a picture that waits will not be begun"
        assert stream.result(ENDS)[0] == 200
        assert server.ask("GET", f"/v1/videos/{name}")[1]["status"] == "in_progress", "who asks is still answered"
        (tmp_path / "go").touch()
        assert server.code() == 0
    job = kept(tmp_path, name)
    assert (job.status, job.attempts) == ("completed", 1)


def test_an_idle_server_waits_for_no_teardown_of_its_worker(tmp_path: Path) -> None:
    with served(tmp_path, FOREVER) as server:
        until(lambda: server.ask("GET", "/readyz")[1]["workers"])
        server.terminate()
        assert server.code() == 0


def test_when_the_drain_is_over_the_job_waits_again_nothing_hangs_and_it_is_finished_once(
    tmp_path: Path, aside: ThreadPoolExecutor
) -> None:
    with served(tmp_path, 0.5) as server:
        name = server.running()
        judged = aside.submit(server.ask, "POST", "/v1/videos", {"prompt": "hang"})
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), ENDS) as slow:
            slow.sendall(b"POST /v1/videos HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")  # and never the rest
            server.terminate()
            assert server.code() == 0
            with contextlib.suppress(ConnectionError):
                while slow.recv(1 << 16):
                    pass
        assert ended(judged)
    job = kept(tmp_path, name)
    assert (job.status, job.attempts, job.progress) == ("queued", 0, 0)
    (tmp_path / "go").touch()
    with served(tmp_path, 0.5) as server:
        until(lambda: server.ask("GET", f"/v1/videos/{name}")[1]["status"] == "completed")
        server.terminate()
        assert server.code() == 0
    assert kept(tmp_path, name).attempts == 1
    assert [path.name for path in (tmp_path / "videos" / name).iterdir() if path.name.isdigit()] == [str(kept(tmp_path, name).fence - 1)]
    assert not list((tmp_path / "videos" / name).glob("*.part")), "what the first left unfinished is gone"


def test_a_second_sigterm_ends_at_once_and_the_job_waits_again(tmp_path: Path) -> None:
    with served(tmp_path, FOREVER) as server:
        name = server.running()
        server.terminate()
        until(lambda: server.ask("GET", "/readyz")[1]["draining"])
        server.terminate()
        assert server.code() == 0
    job = kept(tmp_path, name)
    assert (job.status, job.attempts) == ("queued", 0)
