"""Laws of the schema: migrations lead exactly to the tables, keep what is there, and refuse a newer one; it knows nothing of HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from misora.client.errors import UsageError
from misora.server.queue import jobs
from misora.server.store import migrate
from misora.server.store.database import Store
from misora.server.store.tables import metadata
from tests.server.shop import new_key, put


def test_migrations_lead_to_the_tables_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "misora.sqlite")
    migrate.upgrade(store, to=migrate.revisions()[0])  # all migrations, one after the other
    migrate.upgrade(store)
    job = put(store, new_key(store))
    migrate.upgrade(store, backups=tmp_path / "backups")
    with store.read() as db:
        assert compare_metadata(MigrationContext.configure(db), metadata) == []
    assert jobs.get(store, job.id) is not None
    assert not (tmp_path / "backups").exists(), "nothing was changed, so nothing had to be put aside"
    store.close()


def test_an_empty_database_gets_the_same_tables_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "misora.sqlite")
    migrate.upgrade(store, backups=tmp_path / "backups")
    assert migrate.revision(store) == migrate.revisions()[-1]
    with store.read() as db:
        assert compare_metadata(MigrationContext.configure(db), metadata) == []
    store.close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "misora.sqlite")
    migrate.upgrade(store)
    with store.write() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(UsageError, match="newer Misora"):
        migrate.upgrade(store)
    store.close()
