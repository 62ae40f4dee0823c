"""The queue's laws once more, on a real PostgreSQL, and what only several writers at once can break; it knows nothing of HTTP."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from bench.postgres import postgres, programs
from misora.client.errors import UsageError
from misora.server import backup, journal
from misora.server.accounts import keys
from misora.server.files import Files
from misora.server.queue import jobs, library
from misora.server.queue.jobs import Allowance, Once, Order, RefusedOrderError
from misora.server.secret import Secret
from misora.server.settings import Settings
from misora.server.store import migrate
from misora.server.store.database import Store
from misora.server.store.tables import metadata
from tests.server.shop import new_key, put
from tests.server.test_queue import (  # noqa: F401  collected here with the store below
    test_a_job_goes_from_queued_to_completed_and_its_seconds_are_spent,
    test_a_job_past_its_deadline_is_not_begun,
    test_a_job_that_a_drained_server_puts_back_is_no_attempt,
    test_a_job_that_crashes_its_workers_or_takes_all_memory_fails_soon_and_alone,
    test_a_killed_worker_is_replaced_many_times_but_soon_others_go_first,
    test_a_late_worker_finishes_nothing,
    test_a_plan_limits_what_runs_at_once_and_the_months_seconds,
    test_a_server_that_starts_again_hands_on_what_its_dead_workers_held,
    test_a_suspended_keys_jobs_wait,
    test_deleting_stops_a_job_wherever_it_is,
    test_keys_take_turns_and_priority_goes_first,
    test_many_workers_share_the_jobs_and_none_is_done_twice,
    test_one_idempotency_key_is_one_job_and_never_anothers,
    test_pages_hold_every_job_once,
    test_revoking_a_cohort_ends_its_jobs_and_no_others,
    test_rotating_a_key_loses_nothing,
    test_the_place_in_the_queue_is_the_order_in_which_jobs_are_begun,
)

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A PostgreSQL for all tests of this file."""
    with postgres() as made:
        yield made


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    """Its tables, empty."""
    made = Store(address)
    migrate.upgrade(made)
    with made.write() as db:
        db.execute(text(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY"))
    yield made
    made.close()


def together(calls: int, call: object) -> list[object]:
    """What that many threads got, results and errors alike."""
    found: list[object] = []

    def one(number: int) -> None:
        try:
            found.append(call(number))  # type: ignore[operator]
        except RefusedOrderError as error:
            found.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_migrations_lead_to_the_tables(store: Store) -> None:
    with store.read() as db:
        assert compare_metadata(MigrationContext.configure(db), metadata) == []


def test_servers_that_start_together_migrate_once(address: str) -> None:
    stores = [Store(address) for _ in range(3)]
    with stores[0].write() as db:
        db.execute(text("DROP SCHEMA public CASCADE"))
        db.execute(text("CREATE SCHEMA public"))
    together(3, lambda number: migrate.upgrade(stores[number]))
    assert {migrate.revision(each) for each in stores} == {migrate.revisions()[-1]}
    for each in stores:
        each.close()


def test_orders_at_the_same_moment_keep_to_the_plan(store: Store) -> None:
    key = new_key(store)
    order = lambda number: jobs.add(
        store, Order(account_id=key.account_id, key_id=key.id, prompt="x"), allowance=Allowance(concurrency=2, seconds_per_month=100)
    )
    assert sum(isinstance(each, RefusedOrderError) for each in together(8, order)) == 6


def test_one_idempotency_key_at_the_same_moment_is_one_job(store: Store) -> None:
    key, once = new_key(store), Once(key="k", body_hash="h")
    made = together(6, lambda number: jobs.add(store, Order(account_id=key.account_id, key_id=key.id, prompt="x"), once=once).id)
    assert len(set(made)) == 1


def test_a_dump_and_a_backup_come_back_without_what_is_gone(address: str, store: Store, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", db=address)
    with pytest.raises(UsageError, match="no server's database"):
        backup.backup(settings, tmp_path / "b.tar")
    mine, leaked = new_key(store), new_key(store, "leaked")
    kept, gone = (put(store, mine).id for _ in range(2))
    film, lost = (Files(settings.data).folder(name) for name in (kept, gone))
    for folder in (film, lost):
        folder.mkdir(parents=True)
    Secret(settings.data)
    program = lambda name, *more: subprocess.run([str(programs() / name), *more, str(tmp_path / "dump")], check=True)
    program("pg_dump", "-Fc", "-d", address, "-f")
    archive = backup.backup(settings, tmp_path / "b.tar")
    journal.in_turn(settings.data, lambda: keys.revoke(store, key_id=leaked.id), lambda names: journal.ended("revoked", names))
    jobs.delete(store, gone, mine.account_id)
    journal.remember(settings.data, [{"video": gone}])
    with store.write() as db:
        db.execute(text("DROP SCHEMA public CASCADE"))
        db.execute(text("CREATE SCHEMA public"))
    with pytest.raises(UsageError, match="pg_restore --clean"):
        backup.restore(settings, archive)
    program("pg_restore", "--clean", "--if-exists", "-d", address)
    assert keys.check(store, leaked.secret) is not None and film.is_dir(), "nothing was changed"
    with pytest.raises(UsageError, match="give its --db"):
        backup.restore(Settings(data=settings.data), archive)
    assert backup.restore(settings, archive) == 2
    assert keys.check(store, leaked.secret) is None and jobs.get(store, kept) is not None and jobs.get(store, gone) is None
    assert film.is_dir() and not lost.exists()


def test_the_library_is_searched_without_regard_to_case(store: Store) -> None:
    key = new_key(store)
    job = put(store, key, prompt="A RED ball, 100%")
    put(store, key, prompt="a blue cube")
    found = library.search(store, key.account_id, library.Search(text="red 100%"), limit=5)
    assert found is not None and [each.id for each in found[0]] == [job.id]
    assert keys.revoke(store, key_id=key.id) == [key.id]
