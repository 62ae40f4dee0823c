"""A small server for tests: a fresh store with keys and orders; it knows nothing of what is asserted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from misora.server.accounts import keys
from misora.server.accounts.plans import Plans
from misora.server.api.app import build
from misora.server.api.services import Services
from misora.server.files import SPRITESHEET, THUMBNAIL, VIDEO, Files
from misora.server.guard import Guard, Verdict
from misora.server.queue import jobs
from misora.server.queue.job import Job, Order
from misora.server.secret import Secret
from misora.server.settings import Settings
from misora.server.store.database import Store
from misora.server.store.tables import metadata
from misora.server.working import Progress, Worker


def fresh_store(folder: Path) -> Store:
    """An empty database with the newest schema; made without Alembic, which has its own tests."""
    store = Store(folder / "misora.sqlite")
    with store.write() as db:
        metadata.create_all(db)
    return store


def new_key(store: Store, name: str = "someone", **given: str) -> keys.NewKey:
    """A key with its own account."""
    return keys.create(store, name, **given)


def put(store: Store, key: keys.NewKey, **given: object) -> Job:
    """A job of that key in the queue."""
    values: dict[str, object] = {"account_id": key.account_id, "key_id": key.id, "prompt": "a red ball"}
    return jobs.add(store, Order(**(values | given)))  # type: ignore[arg-type]


class Shop:
    """A whole server in this process: the API under ``uvicorn`` and a worker thread that renders nothing real."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.store = fresh_store(folder)
        self.key = new_key(self.store, "tester", scopes="generate")
        plans = settings.pop("plans", None) or Plans()
        made = Settings(data=folder, **({"free_bytes": 0} | settings))
        self.files = Files(folder)
        self.services = Services(
            settings=made, store=self.store, files=self.files, guard=Guard(lambda text: ALLOW), plans=plans, secret=Secret(folder)
        )
        self.render: Callable[[Job, Path, Progress], dict[str, Any]] = quick
        self.worker = Worker(
            name="w", store=self.store, files=self.files, plans=plans, render=lambda *given: self.render(*given), end=lambda: None
        )
        config = uvicorn.Config(build(self.services), port=0, log_config=None, lifespan="off", ws="none")
        self.server = uvicorn.Server(config)
        self.threads = [threading.Thread(target=self.server.run), threading.Thread(target=self.worker.run, kwargs={"idle": 0.02})]

    def __enter__(self) -> Shop:
        for thread in self.threads:
            thread.start()
        while not self.server.started:
            time.sleep(0.005)
        self.url = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *error: object) -> None:
        self.server.should_exit = True
        self.worker.leaving.set()
        for thread in self.threads:
            thread.join()
        self.store.close()


ALLOW = Verdict(verdict="allow")
FILM = bytes(range(256)) * 40


def quick(job: Job, folder: Path, progress: Progress) -> dict[str, Any]:
    """A render that takes no time; the bytes are no video."""
    progress(50, "drawing")
    for name in (VIDEO, THUMBNAIL, SPRITESHEET):
        (folder / name).write_bytes(FILM)
    return {"sha256": "ab" * 32, "bytes": len(FILM)}
