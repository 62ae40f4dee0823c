"""One worker's round: claim a job, hold it, have it rendered, hand in the result once; it knows nothing of how rendering is done."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from misora.client.errors import CheckpointError, MisoraError
from misora.server.accounts.plans import Plans
from misora.server.files import Files, publish
from misora.server.guard import BLOCKED
from misora.server.queue import jobs, lease
from misora.server.queue.job import Job
from misora.server.queue.lease import LATE, Lease
from misora.server.store.database import Store, StoreFullError
from misora.server.store.tables import accounts

WATCH = 0.4  # seconds between two looks whether the job is still ours: cancelling and revoking bite within one
GRACE = 1.5  # how long a lost job may take to notice before the worker ends itself
REPORT = 0.4  # seconds between two writes of progress


class Progress(Protocol):
    """Told how far a job is; raises Stopped. ``preview`` is the number of the newest preview, 0 where none is new."""

    def __call__(self, percent: int, stage: str, preview: int = 0) -> None: ...


SOURCE_GONE = ("source_deleted", "What this video begins from was deleted before its turn came; order it again from another.")
Render = Callable[[Job, Path, Progress], dict[str, Any]]  # writes the files of the job into the folder; facts about them
log = logging.getLogger("misora.worker")


class Stopped(BaseException):
    """The job is no longer ours; not an Exception, so that nothing on the way treats it as a failure."""


class BlockedError(MisoraError):
    """The policy does not let the result out."""


@dataclasses.dataclass(kw_only=True)
class Worker:
    """What a worker needs; ``end`` is called when a lost job does not stop by itself, and must not return."""

    name: str
    store: Store
    files: Files
    plans: Plans
    render: Render
    end: Callable[[], None]
    device: str = ""
    lease_seconds: float = lease.LEASE
    started_at: float = dataclasses.field(default_factory=time.time)
    leaving: threading.Event = dataclasses.field(default_factory=threading.Event)
    current: str | None = None

    def round(self) -> bool:
        """Do one job; False when there was none."""
        held = lease.claim(self.store, self.name, lease=self.lease_seconds)
        if held is None:
            return False
        self.current = held.job.id
        self.files.erase_previews(held.job.id, held.fence - 1)  # of a worker that died over it
        part = self.files.folder(held.job.id) / f"{held.fence}.part"
        try:
            with self._watched(held) as lost:
                self._do(held, part, lost)
        except Stopped:
            log.info("stopped", extra={"video": held.job.id})
        finally:
            self.current = None
            self._sweep(held)
        return True

    def _do(self, held: Lease, part: Path, lost: threading.Event) -> None:
        if not all(self.files.path(name).exists() for name in _named(held.job.request)):
            lease.fail(self.store, held, *SOURCE_GONE)
            return
        part.mkdir(parents=True, exist_ok=True)
        try:
            facts = self.render(held.job, part, self._reporter(held, lost))
        except BlockedError as error:
            lease.fail(self.store, held, BLOCKED[0], str(error) or BLOCKED[1])
        except MemoryError:
            lease.fail(
                self.store, held, "out_of_memory", "There was not enough memory for this video; ask for fewer seconds or a smaller size."
            )
        except CheckpointError as error:
            log.error("weights: %s", error, extra={"video": held.job.id})
            lease.fail(
                self.store, held, "model_unavailable", "The model's weights cannot be used here now; ask the operator of this server."
            )
        except MisoraError as error:  # whoever ordered it need not know where things lie
            lease.fail(self.store, held, "generation_failed", str(error).replace(f"{self.files.data}/", ""))
        except (StoreFullError, SQLAlchemyError):
            raise
        except Exception as error:
            log.exception("rendering failed", extra={"video": held.job.id})
            lease.fail(
                self.store, held, "server_error", f"The video could not be made because of an internal error ({type(error).__name__})."
            )
        else:
            self._hand_in(held, part, facts)

    def _hand_in(self, held: Lease, part: Path, facts: dict[str, Any]) -> None:
        whole = part.with_suffix("")
        publish(part, whole)
        name = str(whole.relative_to(self.files.data))
        hours = self.plans[plan_of(self.store, held.job)].retention_hours
        expires = int(time.time()) + hours * 3600 if hours else None
        review = bool(facts.pop("review", False))  # somebody has to look at the result first
        if not lease.finish(self.store, held, name, facts, expires_at=expires, review=review):
            shutil.rmtree(whole, ignore_errors=True)

    def _reporter(self, held: Lease, lost: threading.Event) -> Progress:
        last = [0.0, -1]

        def report(percent: int, stage: str, preview: int = 0) -> None:
            if lost.is_set():
                raise Stopped
            now = time.monotonic()
            if preview or (percent > last[1] and now - last[0] >= REPORT):
                last[:] = [now, percent]
                if not lease.progress(self.store, held, percent, stage, preview):
                    raise Stopped

        return report

    @contextlib.contextmanager
    def _watched(self, held: Lease) -> Iterator[threading.Event]:
        """Beat while the block runs; the event is set when the job is lost, and a block that does not end then ends the process."""
        lost, done = threading.Event(), threading.Event()
        thread = threading.Thread(target=self._watch, args=(held, lost, done), daemon=True, name="heartbeat")
        thread.start()
        try:
            yield lost
        finally:
            done.set()
            thread.join()

    def _watch(self, held: Lease, lost: threading.Event, done: threading.Event) -> None:
        beaten = said = time.monotonic()
        while not done.wait(WATCH):
            try:
                late = held.job.deadline is not None and held.job.deadline < time.time()
                if late and lease.fail(self.store, held, *LATE):
                    break
                if not lease.holds(self.store, held):
                    break
                now = time.monotonic()
                if now - beaten > self.lease_seconds / 5:
                    lease.beat(self.store, held)
                    beaten = now
                if now - said > 5:
                    lease.seen(self.store, self.name, self.started_at, held.job.id, self.device)
                    said = now
            except SQLAlchemyError as error:  # a database that is away for a moment costs the job only when the lease runs out
                log.warning("database: %s", type(error).__name__)
        else:
            return
        lost.set()
        if not done.wait(GRACE):
            log.warning("ending: a cancelled job did not stop", extra={"video": held.job.id})
            self.end()

    def _sweep(self, held: Lease) -> None:
        self.files.erase_parts(held.job.id, held.fence)
        self.files.erase_previews(held.job.id, held.fence, folder=True)
        if jobs.get(self.store, held.job.id, pictures=True) is None:  # deleted meanwhile: nothing of it may stay
            self.files.erase(held.job.id)

    def run(self, *, idle: float = 0.25) -> None:
        """Work until ``leaving`` is set."""
        said = 0.0
        while not self.leaving.is_set():
            try:
                if time.monotonic() - said > 5:
                    lease.seen(self.store, self.name, self.started_at, None, self.device)
                    said = time.monotonic()
                if not self.round():
                    self.leaving.wait(idle)
            except (StoreFullError, SQLAlchemyError, OSError) as error:
                log.error("cannot work now: %s", type(error).__name__)
                self.leaving.wait(2.0)


def _named(value: Any) -> Iterator[str]:
    """Every file that a request leans on."""
    if isinstance(value, dict):
        if isinstance(value.get("file"), str):
            yield value["file"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _named(each)


def plan_of(store: Store, job: Job) -> str:
    """The plan of the job's account."""
    with store.read() as db:
        return str(db.execute(select(accounts.c.plan).where(accounts.c.id == job.account_id)).scalar_one())
