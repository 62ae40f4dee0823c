"""What becomes of jobs whose worker is gone for certain; it knows nothing of processes.

Somebody who kills a worker is not the job's fault, so such a job begins again many times, though others soon go first. A job that crashes
its workers by itself, or takes the machine's memory, fails soon and alone.
"""

from __future__ import annotations

from sqlalchemy import and_, delete, select, update

from misora.server.queue.job import FAILED, QUEUED, RUNNING, Job
from misora.server.queue.lease import ATTEMPTS, LOST, end
from misora.server.store.database import Store
from misora.server.store.tables import videos, workers

CRASHES = 3  # workers that may die by themselves over one job
MEMORY = ("out_of_memory", "There was not enough memory for this video; ask for fewer seconds or a smaller size.")


def release(store: Store, worker: str, *, crashed: bool = False, starved: bool = False, drained: bool = False) -> list[str]:
    """Whatever the worker held waits again, at once instead of after the lease; the names.

    ``crashed``: it was not killed from outside. ``starved``: the system killed it for want of memory, so its job fails.
    ``drained``: its own server stopped it, so its job waits as if it had never been begun.
    """
    with store.write() as db:
        held = and_(videos.c.status == RUNNING, videos.c.worker == worker)
        jobs = [Job.of(row) for row in db.execute(select(videos).where(held).with_for_update()).mappings()]
        for job in jobs:
            if reason := MEMORY if starved else LOST if not drained and job.attempts >= (CRASHES if crashed else ATTEMPTS) else None:
                end(db, job, FAILED, error_code=reason[0], error_message=reason[1])
        again = {"status": QUEUED, "progress": 0, "stage": "", "lease_until": None, "worker": None, "fence": videos.c.fence + 1}
        db.execute(update(videos).where(held).values(**again, attempts=videos.c.attempts - int(drained)))
        db.execute(delete(workers).where(workers.c.id == worker))
    return [job.id for job in jobs]


def holders(store: Store, prefix: str) -> list[str]:
    """The workers whose names begin so and who hold a job."""
    query = select(videos.c.worker).where(videos.c.status == RUNNING, videos.c.worker.startswith(prefix, autoescape=True)).distinct()
    with store.read() as db:
        return [str(name) for name in db.execute(query).scalars()]
