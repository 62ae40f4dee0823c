"""Backups: everything comes back, and what was deleted or revoked since does not; older schemas are brought up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from misora.client.errors import UsageError
from misora.server import backup, upkeep
from misora.server.accounts import keys
from misora.server.files import Files, in_use
from misora.server.queue import cast, jobs, lease
from misora.server.serve import open_store
from misora.server.settings import Settings
from misora.server.store import migrate
from misora.server.store.database import Store
from tests.server.shop import new_key, put


def test_a_restore_brings_back_all_but_what_is_gone(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    store, files = open_store(settings), Files(settings.data)
    mine, leaked = new_key(store, "mine"), new_key(store, "leaked")
    kept, gone, later = put(store, mine), put(store, mine), put(store, leaked)
    for job in (kept, gone):
        (files.folder(job.id) / "1").mkdir(parents=True)
        (files.folder(job.id) / "1" / "video.mp4").write_bytes(b"film")
    old, new = keys.create(store, "old", account_id=mine.account_id), keys.create(store, "new", account_id=mine.account_id)
    for name in ("stays", "goes"):
        cast.add(store, name, mine.account_id, name, f"characters/{name}/video.mp4")
        (settings.data / "characters" / name).mkdir(parents=True)
    archive = backup.backup(settings, tmp_path / "b.tar")
    keys.change(store, "retired", key_id=old.id)
    cast.delete(store, "goes")
    backup.remember(settings.data, [{"character": "goes"}])
    jobs.delete(store, gone.id, mine.account_id)
    keys.revoke(store, key_id=leaked.id)
    upkeep.round_once(store, files)
    store.close()
    with in_use(settings.data), in_use(settings.data), pytest.raises(UsageError, match="stop that first"):
        backup.restore(settings, archive)
    assert backup.restore(settings, archive) == 3
    store = Store(settings.database())
    assert jobs.get(store, kept.id) is not None and jobs.get(store, gone.id) is None and not files.folder(gone.id).exists()
    assert (files.folder(kept.id) / "1" / "video.mp4").read_bytes() == b"film"
    ended = jobs.get(store, later.id)
    assert ended is not None and ended.error_code == "key_revoked" and keys.check(store, leaked.secret) is None
    assert [keys.check(store, each.secret) is None for each in (mine, old, new)] == [False, True, False]
    assert cast.get(store, "stays", mine.account_id) and not cast.get(store, "goes", mine.account_id)
    assert [path.name for path in (settings.data / "characters").iterdir()] == ["stays"]
    store.close()


def test_a_file_that_is_no_backup_changes_nothing(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    open_store(settings).close()
    (tmp_path / "x").write_bytes(b"no archive")
    for name in ("x", "none"):
        with pytest.raises(UsageError):
            backup.restore(settings, tmp_path / name)
    assert (settings.data / "misora.sqlite").exists()


def test_the_previous_schema_with_a_waiting_job_is_brought_up_to_date(tmp_path: Path) -> None:
    known = migrate.revisions()
    store = Store(tmp_path / "misora.sqlite")
    migrate.upgrade(store, to=known[0])
    with store.write() as db:
        row = "('a', 'n', 'default', 'active', 1)"
        db.exec_driver_sql(f"INSERT INTO accounts (id, name, plan, state, created_at) VALUES {row}")
        db.exec_driver_sql("INSERT INTO keys VALUES ('k', 'a', 'n', '', 'h', 'generate', 'active', 1, NULL, 0)")
        columns = "id, account_id, key_id, verb, model, prompt, seconds, size, request, status, progress, stage, created_at, facts"
        values = "'v', 'a', 'k', 'generate', 'sora-2', 'x', 4, '64x64', '{}', 'queued', 0, '', 1, '{}'"
        db.exec_driver_sql(f"INSERT INTO videos ({columns}, priority, attempts, fence, review) VALUES ({values}, 0, 0, 0, 'none')")
    migrate.upgrade(store, backups=tmp_path / "backups")
    assert migrate.revision(store) == known[-1] and len(list((tmp_path / "backups").iterdir())) == 1
    held = lease.claim(store, "w")
    assert held is not None and held.job.id == "v" and lease.finish(store, held, "f", {})
    store.close()
