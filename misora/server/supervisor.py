"""Keeps the worker processes alive: starts them, starts others when they die, hands their jobs on at once; it knows nothing of HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import sys
import time

from sqlalchemy.exc import SQLAlchemyError

from misora.server.queue import lease
from misora.server.settings import Settings
from misora.server.store.database import Store

QUICK = 5.0  # a worker that lived for less than this many seconds failed to start: wait before the next one
SLOWEST = 30.0
log = logging.getLogger("misora.server")


class Supervisor:
    """``workers`` child processes of this one."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings, self.store = settings, store
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.leaving = False

    def start(self) -> None:
        """Begin to keep them alive."""
        self._tasks = [asyncio.create_task(self._keep(), name=f"worker {n}") for n in range(self.settings.workers)]

    async def stop(self) -> None:
        """Let each finish the job in hand for at most ``drain_seconds``; then its job goes back to the queue."""
        self.leaving = True
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self.settings.drain_seconds)
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        for task in self._tasks:
            if not task.done():
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(asyncio.shield(task), 5)
                task.cancel()

    async def _keep(self) -> None:
        wait = 0.0
        while not self.leaving:
            name, begun = f"worker-{os.getpid()}-{secrets.token_hex(4)}", time.monotonic()
            process = await asyncio.create_subprocess_exec(*self._command(name), env=_environment(self.settings.workers))
            self._processes[name] = process
            if self.leaving:  # told to stop while it was being started
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
            code = await process.wait()
            del self._processes[name]
            await self._hand_on(name, code)
            wait = min(SLOWEST, max(0.5, wait * 2)) if time.monotonic() - begun < QUICK else 0.0
            if wait and not self.leaving:
                await asyncio.sleep(wait)

    async def _hand_on(self, name: str, code: int) -> None:
        """The process is gone for certain, so its job need not wait for the lease to run out."""
        for pause in (0.2, 1.0, 5.0):
            try:
                jobs = await asyncio.to_thread(lease.release, self.store, name)
                if not self.leaving or jobs:
                    log.warning("worker ended", extra={"worker": name, "code": code, "jobs": jobs})
                return
            except SQLAlchemyError as error:
                log.error("database: %s", type(error).__name__)
                await asyncio.sleep(pause)

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
