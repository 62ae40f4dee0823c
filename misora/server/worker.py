"""The worker process: sets itself up, works until it is told to leave, never outlives its server; it knows nothing of HTTP."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import secrets
import signal
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

from misora.server.accounts.plans import load
from misora.server.files import Files, in_use
from misora.server.logs import set_up
from misora.server.rendering import Renderer
from misora.server.settings import Settings
from misora.server.store.database import Store
from misora.server.working import Worker

CANCELLED = 75  # exit code: a job that had to stop did not; the supervisor starts another worker
PR_SET_PDEATHSIG = 1
POLITE = 5  # the server beside it answers first


def run(settings: Settings, *, name: str | None = None, parent: int | None = None, threads: int = 0) -> NoReturn:
    """Work on the queue of ``settings`` until SIGTERM, then end the process with 0; a job in hand is finished first.

    ``parent``: the server that it must not outlive.
    """
    set_up()
    os.umask(0o077)
    if parent is not None:
        _die_with(parent)
        os.nice(POLITE)
    store = Store(settings.database())
    worker = Worker(
        name=name or f"worker-{os.getpid()}-{secrets.token_hex(4)}",
        store=store,
        files=Files(settings.data),
        plans=load(settings.plans),
        render=Renderer(Files(settings.data), settings),
        end=lambda: os._exit(CANCELLED),
    )

    ready = threading.Event()

    def leave(number: int, frame: FrameType | None) -> None:
        worker.leaving.set()
        if not ready.is_set():
            _exit()  # nothing is in hand yet, and loading torch takes seconds

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN if parent is not None else leave)
    worker.device = _use_threads(threads)
    ready.set()
    with in_use(settings.data), contextlib.closing(store):
        worker.run()
    _exit()  # all is in the database and on the disk; taking torch down would take seconds more


def _exit() -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _use_threads(threads: int) -> str:
    """Set the processor threads, if told so; the name of what networks run on here."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads"


def _die_with(parent: int) -> None:
    """End when the server ends, however it ends: by the kernel on Linux, by looking once a second elsewhere."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        logging.getLogger("misora.worker").warning("the server is gone")
        os._exit(1)

    threading.Thread(target=look, daemon=True, name="parent").start()
