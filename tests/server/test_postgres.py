"""The queue's laws once more, on a real PostgreSQL, and what only several writers at once can break; it knows nothing of HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from bench.postgres import postgres
from misora.server.accounts import keys
from misora.server.queue import jobs, library
from misora.server.queue.jobs import Allowance, Once, Order, RefusedOrderError
from misora.server.store import migrate
from misora.server.store.database import Store
from misora.server.store.tables import metadata
from tests.server.shop import new_key, put
from tests.server.test_queue import (  # noqa: F401  collected here with the store below
    test_a_job_goes_from_queued_to_completed_and_its_seconds_are_spent,
    test_a_job_handed_back_is_no_attempt,
    test_a_job_past_its_deadline_is_not_begun,
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


def test_the_library_is_searched_without_regard_to_case(store: Store) -> None:
    key = new_key(store)
    job = put(store, key, prompt="A RED ball, 100%")
    put(store, key, prompt="a blue cube")
    found = library.search(store, key.account_id, library.Search(text="red 100%"), limit=5)
    assert found is not None and [each.id for each in found[0]] == [job.id]
    assert keys.revoke(store, key_id=key.id) == [key.id]
