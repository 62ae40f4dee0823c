"""Keeps the worker processes alive: starts them, starts others when they die, hands their jobs on at once; it knows nothing of HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from misora.server.files import Files
from misora.server.queue import jobs, lost
from misora.server.settings import Settings
from misora.server.store.database import Store

QUICK = 5.0  # a worker that lived for less than this many seconds failed to start: wait before the next one
SLOWEST = 30.0
HANDING_ON = 2.0  # seconds for putting back the jobs of killed workers; what is not put back then, the next start hands on
OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM)  # how a worker ends that did nothing wrong
HOST = socket.gethostname()[:40]
log = logging.getLogger("misora.server")


class Supervisor:
    """``workers`` child processes of this one."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings, self.store, self.files = settings, store, Files(settings.data)
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._leaving = asyncio.Event()

    def start(self) -> None:
        """Begin to keep them alive; jobs of a server that died here before go on at once."""
        hand_on_orphans(self.store)  # before there are workers of our own
        self._tasks = [asyncio.create_task(self._keep(), name=f"worker {n}") for n in range(self.settings.workers)]

    async def stop(self, hurry: asyncio.Event) -> None:
        """Let each finish the job in hand for at most ``drain_seconds``, or until ``hurry``; then its job goes back to the queue."""
        self._leaving.set()
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        hurried: asyncio.Future[Any] = asyncio.create_task(hurry.wait())
        ended: asyncio.Future[Any] = asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.wait([hurried, ended], timeout=self.settings.drain_seconds, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await asyncio.wait([ended], timeout=HANDING_ON)
        ended.cancel()

    async def _keep(self) -> None:
        wait = 0.0
        while not self._leaving.is_set():
            name, begun, starved = f"{HOST}/{os.getpid()}/{secrets.token_hex(4)}", time.monotonic(), oom_kills()
            process = await asyncio.create_subprocess_exec(*self._command(name), env=_environment(self.settings.workers))
            self._processes[name] = process
            if self._leaving.is_set():  # told to stop while it was being started
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
            code = await process.wait()
            del self._processes[name]
            await self._hand_on(name, code, starved=code == -signal.SIGKILL and oom_kills() > starved)
            wait = min(SLOWEST, max(0.5, wait * 2)) if time.monotonic() - begun < QUICK else 0.0
            if wait:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._leaving.wait(), wait)

    async def _hand_on(self, name: str, code: int, *, starved: bool) -> None:
        """The process is gone for certain, so its job need not wait for the lease to run out."""
        leaving = self._leaving.is_set()
        told = {"crashed": code not in OUTSIDE, "starved": starved, "drained": leaving and code in OUTSIDE}
        for pause in (0.2, 1.0, 5.0):
            try:
                names = await asyncio.to_thread(lost.release, self.store, name, **told)
                if names or not leaving:
                    log.warning("worker ended", extra={"worker": name, "code": code, "jobs": names})
                await asyncio.to_thread(self._forget_previews, names)
                return
            except SQLAlchemyError as error:
                log.error("database: %s", type(error).__name__)
                await asyncio.sleep(pause)

    def _forget_previews(self, names: list[str]) -> None:
        """Of jobs that failed with their worker; who takes up one that goes on forgets them then."""
        for name in names:
            job = jobs.get(self.store, name, pictures=True)
            if job is not None and job.finished:
                self.files.erase_previews(name, job.fence, folder=True)

    def _command(self, name: str) -> list[str]:
        settings = self.settings
        command = [sys.executable, "-m", "misora", "worker", "--data", str(settings.data), "--name", name, "--parent", str(os.getpid())]
        command += ["--db", settings.db] if settings.db else []
        command += ["--plans", str(settings.plans)] if settings.plans else []
        command += ["--moderation-url", settings.moderation_url] if settings.moderation_url else []
        command += ["--classifier", settings.classifier] if settings.classifier else []
        command += ["--check-fails", settings.check_fails, *(["--visible-mark"] if settings.visible_mark else [])]
        if settings.certificate and settings.certificate_key:
            command += ["--certificate", str(settings.certificate), "--certificate-key", str(settings.certificate_key)]
        return command + [part for model, folder in settings.models.items() for part in ("--model", f"{model}={folder}")]


def _environment(workers: int) -> dict[str, str]:
    """The workers share the cores between them, unless the operator decided otherwise."""
    cores = os.cpu_count() or 1
    return {"OMP_NUM_THREADS": str(max(1, cores // max(1, workers)))} | dict(os.environ)


def hand_on_orphans(store: Store) -> None:
    """Release what is still held by the workers of servers that died on this machine: workers die with their server."""
    for name in lost.holders(store, f"{HOST}/"):
        server = name.split("/")[1]
        if server == str(os.getpid()) or not (server.isdigit() and _alive(int(server))):
            log.warning("server died", extra={"worker": name, "jobs": lost.release(store, name)})


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's
    return True


def oom_kills() -> int:
    """How many processes the kernel has killed for want of memory; 0 where it does not say."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/vmstat").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("oom_kill ")).split()[1])
    return 0
