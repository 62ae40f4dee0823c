"""Laws of the queue: nothing acknowledged is lost, nothing is finished twice, turns are fair; it knows nothing of HTTP."""

from __future__ import annotations

import concurrent.futures
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.exc import IntegrityError

from misora.server.accounts import keys, ledger
from misora.server.queue import jobs, lease, lost, turns
from misora.server.store.database import Store, StoreFullError
from misora.server.store.tables import videos
from misora.server.supervisor import HOST, hand_on_orphans
from tests.server.shop import new_key, put
from tests.tree import ROOT


def expire(store: Store, video_id: str) -> None:
    """Let the lease of a job run out, as if its worker had been silent for long."""
    with store.write() as db:
        db.execute(update(videos).where(videos.c.id == video_id).values(lease_until=1.0))


def used(store: Store, account_id: str) -> float:
    """Seconds that the ledger counts this month."""
    with store.read() as db:
        return ledger.used(db, account_id)


def fill_the_disk(store: Store, key: keys.NewKey) -> None:
    """Add jobs in one transaction until the database may not grow any more."""
    with store.write() as db:
        pages = db.exec_driver_sql("PRAGMA page_count").scalar_one()
        db.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        try:
            for _ in range(50):
                jobs._insert(db, jobs.Order(account_id=key.account_id, key_id=key.id, prompt="x" * 4000), None)
        finally:
            db.exec_driver_sql("PRAGMA max_page_count=1073741823")


def claimed(store: Store, worker: str = "w") -> lease.Lease:
    """The next job's lease, which must be there."""
    found = lease.claim(store, worker)
    assert found is not None
    return found


def test_a_job_goes_from_queued_to_completed_and_its_seconds_are_spent(store: Store) -> None:
    key = new_key(store)
    job = put(store, key, seconds=8)
    assert (job.status, job.progress, used(store, key.account_id)) == ("queued", 0, 8)
    held = claimed(store)
    assert lease.progress(store, held, 40, "drawing")
    shown = jobs.get(store, job.id)
    assert shown is not None and (shown.status, shown.progress) == ("in_progress", 40)
    assert lease.finish(store, held, "videos/x/1", {"bytes": 3})
    done = jobs.get(store, job.id)
    assert done is not None and (done.status, done.progress, done.folder) == ("completed", 100, "videos/x/1")
    assert used(store, key.account_id) == 8 and lease.claim(store, "w") is None


def test_writes_that_wait_share_one_transaction_and_an_error_spoils_only_its_own(store: Store) -> None:
    key, commits = new_key(store), []
    event.listen(store.engine, "commit", lambda db: commits.append(1))

    def at_once(orders: list[jobs.Order]) -> list[object]:
        commits.clear()
        with concurrent.futures.ThreadPoolExecutor(len(orders)) as pool:
            with store._turn:  # everybody waits
                begun = [pool.submit(jobs.add, store, order) for order in orders]
                while len(store._waiting) < len(orders):
                    time.sleep(0.001)
            return [each.exception() or each.result().id for each in begun]

    good = [jobs.Order(account_id=key.account_id, key_id=key.id, prompt="x") for _ in range(6)]
    assert at_once(good) == [order.id for order in good] and len(commits) == 1
    fresh = jobs.Order(account_id=key.account_id, key_id=key.id, prompt="x")
    results = at_once([good[0], fresh])
    assert isinstance(results[0], IntegrityError) and results[1] == fresh.id and jobs.get(store, fresh.id) is not None
    assert used(store, key.account_id) == 7 * 4


def test_a_late_worker_finishes_nothing(store: Store) -> None:
    job = put(store, new_key(store))
    first = claimed(store, "one")
    expire(store, job.id)
    second = claimed(store, "two")
    assert second.fence > first.fence
    assert not lease.beat(store, first) and not lease.progress(store, first, 90, "") and not lease.finish(store, first, "old", {})
    assert not lease.fail(store, first, "x", "y") and not lease.holds(store, first)
    assert lease.finish(store, second, "new", {}) and not lease.finish(store, second, "again", {})
    done = jobs.get(store, job.id)
    assert done is not None and done.folder == "new"


def test_many_workers_share_the_jobs_and_none_is_done_twice(store: Store) -> None:
    key = new_key(store)
    names = {put(store, key).id for _ in range(24)}
    done: list[str] = []

    def work(worker: str) -> None:
        while (held := lease.claim(store, worker)) is not None:
            assert lease.finish(store, held, held.job.id, {})
            done.append(held.job.id)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == sorted(names)


def test_a_killed_worker_is_replaced_many_times_but_soon_others_go_first(store: Store) -> None:
    key = new_key(store)
    unlucky, good = put(store, key), put(store, key)
    for _ in range(lease.SUSPECT):
        assert claimed(store, "w").job.id == unlucky.id
        assert lost.release(store, "w") == [unlucky.id]
    held = claimed(store)
    assert held.job.id == good.id and lease.finish(store, held, "x", {})
    for _ in range(lease.SUSPECT, lease.ATTEMPTS):
        assert claimed(store, "w").job.id == unlucky.id
        lost.release(store, "w")
    assert lease.claim(store, "w") is None
    failed = jobs.get(store, unlucky.id)
    assert failed is not None and (failed.status, failed.error_code) == ("failed", "worker_lost")
    assert used(store, key.account_id) == 4  # the failed one's came back


def test_a_job_that_crashes_its_workers_or_takes_all_memory_fails_soon_and_alone(store: Store) -> None:
    key = new_key(store)
    crashing, hungry, good = put(store, key), put(store, key), put(store, key)
    for _ in range(lost.CRASHES):
        assert claimed(store, "w").job.id == crashing.id
        lost.release(store, "w", crashed=True)
    assert claimed(store, "w").job.id == hungry.id
    lost.release(store, "w", starved=True)
    assert claimed(store).job.id == good.id
    ended = [jobs.get(store, name) for name in (crashing.id, hungry.id)]
    assert [each and each.error_code for each in ended] == ["worker_lost", "out_of_memory"]


def test_a_server_that_starts_again_hands_on_what_its_dead_workers_held(store: Store) -> None:
    key = new_key(store)
    orphan, held = put(store, key), put(store, key)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    claimed(store, f"{HOST}/{dead.pid}/ab")
    claimed(store, f"{HOST}/{os.getppid()}/cd")
    hand_on_orphans(store)
    states = [jobs.get(store, job.id) for job in (orphan, held)]
    assert [each and each.status for each in states] == ["queued", "in_progress"]


def test_a_job_that_a_drained_server_puts_back_is_no_attempt(store: Store) -> None:
    job = put(store, new_key(store))
    claimed(store, "w")
    assert lost.release(store, "w", drained=True) == [job.id]
    again = jobs.get(store, job.id)
    assert again is not None and (again.status, again.attempts) == ("queued", 0)


def test_keys_take_turns_and_priority_goes_first(store: Store) -> None:
    many, few = new_key(store, "many"), new_key(store, "few")
    for _ in range(3):
        put(store, many, prompt="many")
    put(store, few, prompt="few")
    put(store, many, prompt="urgent", priority=5)
    assert [claimed(store).job.prompt for _ in range(5)] == ["urgent", "few", "many", "many", "many"]


def test_the_place_in_the_queue_is_the_order_in_which_jobs_are_begun(store: Store) -> None:
    names = [new_key(store, name) for name in ("many", "few", "one")]
    for index, count in enumerate((4, 2, 1)):
        for number in range(count):
            put(store, names[index], priority=number == 3)
    waiting = list(range(7))
    while waiting:
        with store.read() as db:
            rows = [jobs.Job.of(row) for row in db.execute(select(videos).where(videos.c.status == "queued")).mappings()]
        places = {turns.place(store, job): job.id for job in rows}
        assert sorted(places) == list(range(len(rows))), "no two have one place"
        assert claimed(store).job.id == places[0]
        waiting.pop()


def test_deleting_stops_a_job_wherever_it_is(store: Store) -> None:
    key = new_key(store)
    queued, running = put(store, key, priority=-1), put(store, key)
    held = claimed(store)
    assert held.job.id == running.id
    for job in (queued, running):
        assert jobs.delete(store, job.id, key.account_id) is not None
        assert jobs.get(store, job.id) is None
    assert jobs.delete(store, queued.id, key.account_id) is None
    assert not lease.holds(store, held) and not lease.finish(store, held, "x", {}) and lease.claim(store, "w") is None
    assert used(store, key.account_id) == 0
    with store.read() as db:
        assert not any(db.execute(select(videos.c.prompt)).scalars()), "the prompt is erased"


def test_revoking_a_cohort_ends_its_jobs_and_no_others(store: Store) -> None:
    ours, theirs = new_key(store, "ours", cohort="leaked"), new_key(store, "theirs")
    running, waiting, spared = put(store, ours, priority=1), put(store, ours), put(store, theirs)
    held = claimed(store)
    assert held.job.id == running.id
    assert keys.revoke(store, cohort="leaked") == [ours.id]
    assert keys.check(store, ours.secret) is None and keys.check(store, theirs.secret) is not None
    assert not lease.holds(store, held) and not lease.finish(store, held, "x", {})
    ended = [jobs.get(store, name) for name in (running.id, waiting.id)]
    assert [job.error_code for job in ended if job] == ["key_revoked", "key_revoked"]
    assert claimed(store).job.id == spared.id
    assert keys.change(store, "active", key_id=ours.id) == [], "revoked is for good"


def test_rotating_a_key_loses_nothing(store: Store) -> None:
    old = new_key(store)
    job = put(store, old)
    new = keys.create(store, "new", account_id=old.account_id)
    keys.change(store, "retired", key_id=old.id)
    assert keys.check(store, old.secret) is None and keys.check(store, new.secret) is not None
    assert lease.finish(store, claimed(store), "x", {})
    assert jobs.get(store, job.id, new.account_id) is not None


def test_a_suspended_keys_jobs_wait(store: Store) -> None:
    key = new_key(store)
    put(store, key)
    keys.change(store, "suspended", key_id=key.id)
    assert lease.claim(store, "w") is None and keys.check(store, key.secret) is None
    keys.change(store, "active", key_id=key.id)
    assert lease.claim(store, "w") is not None


def test_a_job_past_its_deadline_is_not_begun(store: Store) -> None:
    job = put(store, new_key(store), deadline=1.0)
    assert lease.claim(store, "w") is None
    late = jobs.get(store, job.id)
    assert late is not None and late.error_code == "deadline_exceeded"
    alone, spared = put(store, new_key(store, "alone"), deadline=1.0), put(store, new_key(store, "spared"))
    lease.end_late(store)
    ended, waits = jobs.get(store, alone.id), jobs.get(store, spared.id)
    assert ended is not None and ended.error_code == "deadline_exceeded", "also where no worker comes to it"
    assert waits is not None and waits.status == "queued"


def test_one_idempotency_key_is_one_job_and_never_anothers(store: Store) -> None:
    key = new_key(store)
    order = lambda: jobs.Order(account_id=key.account_id, key_id=key.id, prompt="x")
    first = jobs.add(store, order(), once=jobs.Once(key="k", body_hash="a"))
    assert jobs.add(store, order(), once=jobs.Once(key="k", body_hash="a")).id == first.id
    with pytest.raises(jobs.ReusedKeyError):
        jobs.add(store, order(), once=jobs.Once(key="k", body_hash="b"))


def test_a_plan_limits_what_runs_at_once_and_the_months_seconds(store: Store) -> None:
    key = new_key(store)
    order = lambda: jobs.Order(account_id=key.account_id, key_id=key.id, prompt="x")
    jobs.add(store, order(), allowance=jobs.Allowance(concurrency=1, seconds_per_month=8))
    for allowance in (jobs.Allowance(concurrency=1), jobs.Allowance(seconds_per_month=7)):
        with pytest.raises(jobs.RefusedOrderError):
            jobs.add(store, order(), allowance=allowance)
    jobs.add(store, order(), allowance=jobs.Allowance(concurrency=2, seconds_per_month=8))


@pytest.mark.parametrize(
    "verb, asked, paid",
    [
        ("extend", {"new_seconds": 4}, 4),
        ("connect", {"gap": 3.0}, 3),
        ("connect", {}, 2),
        ("remix", {}, 12),
        ("loop", {"loop": "short"}, 12),
    ],
)
def test_the_ledger_counts_what_is_made_anew_and_gives_back_just_that(store: Store, verb: str, asked: dict[str, object], paid: int) -> None:
    key = new_key(store)
    order = lambda: jobs.Order(account_id=key.account_id, key_id=key.id, prompt="x", verb=verb, seconds=12, request=dict(asked))
    within = jobs.Allowance(seconds_per_month=paid)
    kept = jobs.add(store, order(), allowance=within)
    with pytest.raises(jobs.RefusedOrderError):
        jobs.add(store, order(), allowance=within)
    assert lease.finish(store, claimed(store), "videos/x/1", {}) and used(store, key.account_id) == paid
    assert jobs.delete(store, kept.id, key.account_id) and used(store, key.account_id) == paid  # it was made
    deleted, failed = jobs.add(store, order()), jobs.add(store, order())
    jobs.delete(store, deleted.id, key.account_id)
    assert used(store, key.account_id) == 2 * paid
    assert lease.fail(store, claimed(store), "wrong", "It went wrong.") and used(store, key.account_id) == paid
    jobs.add(store, order())
    keys.revoke(store, key_id=key.id)
    assert used(store, key.account_id) == paid and failed.seconds == 12


def test_pages_hold_every_job_once(store: Store) -> None:
    key, other = new_key(store), new_key(store, "other")
    names = [put(store, key).id for _ in range(7)]
    put(store, other)
    for newest_first in (True, False):
        seen: list[str] = []
        after = None
        while True:
            page = jobs.listing(store, key.account_id, limit=3, after=after, newest_first=newest_first)
            assert page is not None
            seen += [job.id for job in page[0]]
            if not page[1]:
                break
            after = page[0][-1].id
        assert seen == (names[::-1] if newest_first else names)
    assert jobs.listing(store, other.account_id, limit=3, after=names[0]) is None


def test_a_full_disk_refuses_the_new_job_and_keeps_the_old(store: Store) -> None:
    key = new_key(store)
    kept = put(store, key)

    with pytest.raises(StoreFullError):
        fill_the_disk(store, key)
    page = jobs.listing(store, key.account_id, limit=100)
    assert page is not None and [job.id for job in page[0]] == [kept.id]


WRITER = """
import sys
from pathlib import Path
from misora.server.store.database import Store
from tests.server.shop import new_key, put
store = Store(Path(sys.argv[1]))
key = new_key(store)
while True:
    print(put(store, key).id, flush=True)
"""


def test_what_was_acknowledged_survives_a_kill(store: Store, tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "misora.sqlite")], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(8)]
    process.kill()
    acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
    process.stdout.close()
    process.wait()
    assert all(jobs.get(store, name) is not None for name in acknowledged)
