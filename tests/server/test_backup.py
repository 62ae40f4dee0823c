"""Backups: everything comes back, and what was deleted or revoked since does not; older schemas are brought up to date."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from misora.client.errors import UsageError
from misora.server import backup, journal, upkeep
from misora.server.accounts import keys
from misora.server.accounts.plans import Plan, Plans
from misora.server.files import Files, in_use
from misora.server.queue import cast, jobs, lease, publishing
from misora.server.secret import Secret
from misora.server.serve import open_store
from misora.server.settings import Settings
from misora.server.store import migrate
from misora.server.store.database import Store
from misora.server.store.tables import endpoints
from tests.server.shop import Shop, new_key, put, quick


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
    journal.remember(settings.data, [{"character": "goes"}])
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
    (settings.data / "server.secret").write_bytes(bytes(32))
    elsewhere = dataclasses.replace(settings, db="postgresql://nobody@127.0.0.1:1/none")
    backup.backup(settings, tmp_path / "whole.tar")
    backup.backup(elsewhere, tmp_path / "files.tar")
    for name, meant in (("x", settings), ("none", settings), ("files.tar", settings), ("whole.tar", elsewhere), ("files.tar", elsewhere)):
        with pytest.raises(UsageError):
            backup.restore(meant, tmp_path / name)
    assert (settings.data / "misora.sqlite").exists() and not (settings.data / "backups").exists()


def test_a_database_that_lies_elsewhere_comes_back_to_its_place(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", db=f"sqlite:///{tmp_path / 'else.db'}")
    with contextlib.closing(open_store(settings)) as store:
        key = new_key(store)
    archive = backup.backup(settings, tmp_path / "b.tar")
    (tmp_path / "else.db").write_bytes(b"lost")
    assert backup.restore(settings, archive) == 0 and not (settings.data / "misora.sqlite").exists()
    with contextlib.closing(Store(settings.database())) as store:
        assert keys.check(store, key.secret) is not None


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


class Operator:
    """Somebody who may do everything, at a server whose clips each have a hash by their prompt's first letter."""

    def __init__(self, shop: Shop) -> None:
        self.url, self.key = shop.url, new_key(shop.store, "operator", scopes="generate publish admin")
        shop.render = lambda job, folder, progress: quick(job, folder, progress) | {"sha256": (job.prompt or "")[0] * 64}

    def ask(self, path: str, body: dict[str, object] | None = None, method: str = "POST") -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self.key.secret}", "content-type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/v1{path}", data, headers, method=method)) as answer:
            return dict(json.loads(answer.read()))

    def shown(self, prompt: str) -> str:
        """A published video."""
        name = str(self.ask("/videos", {"prompt": prompt})["id"])
        while self.ask(f"/videos/{name}", method="GET")["status"] != "completed":
            time.sleep(0.01)
        self.ask(f"/misora/videos/{name}/publish", {})
        return name

    def change(self, key: keys.NewKey, *actions: str) -> None:
        """Suspend or resume a key."""
        for action in actions:
            self.ask("/misora/keys/end", {"key_id": key.id, "action": action})

    def report(self, *names: str) -> None:
        """Object to videos."""
        for name in names:
            self.ask(f"/misora/feed/{name}/report", {"reason": f"about {name}"})


def test_a_restore_undoes_no_suspension_and_no_report(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    settings.data.mkdir()
    with Shop(settings.data) as shop:
        operator = Operator(shop)
        bad, good, out = (new_key(shop.store, name) for name in ("bad", "good", "out"))
        hidden, freed, again, refused, taken_back = map(operator.shown, "abcde")
        hook: dict[str, object] = {"name": "x", "url": "https://1.1.1.1/", "event_types": ["video.completed"]}
        stays, goes = (operator.ask("/webhook_endpoints", hook)["id"] for _ in range(2))
        operator.change(good, "suspend")
        operator.change(out, "suspend")
        operator.report(freed)
        archive = backup.backup(settings, tmp_path / "b.tar")
        late = operator.shown("f")  # no backup knows this one
        operator.change(bad, "suspend")
        operator.change(good, "resume")
        operator.change(out, "resume", "suspend")
        operator.ask(f"/misora/accounts/{out.account_id}", {"state": "suspended"})
        operator.report(hidden, again, refused, late)
        for name, decision in ((freed, "approved"), (again, "approved"), (refused, "refused")):
            operator.ask(f"/misora/review/{name}", {"decision": decision, "reason": "seen"})
        operator.report(again)
        operator.ask(f"/misora/videos/{taken_back}/unpublish", {})
        operator.ask(f"/webhook_endpoints/{goes}", method="DELETE")
    with (settings.data / journal.GONE).open("a") as file:
        file.write('{"video": "vid')  # a crash
    written = journal.read(settings.data)
    assert backup.restore(settings, archive) == 9 and journal.read(settings.data) == written
    store = Store(settings.database())
    assert {row["id"] for row in keys.listing(store) if row["state"] != "active"} == {bad.id, out.id}
    assert keys.check(store, bad.secret) is None and keys.check(store, good.secret) is not None
    keys.change(store, "active", key_id=out.id)
    assert keys.check(store, out.secret) is None, "its account is still suspended"
    assert [job.id for job in publishing.feed(store, limit=9)[0]] == [freed]
    assert {job.id for job in publishing.waiting(store, 9)} == {hidden, again} and jobs.get(store, late) is None
    assert [publishing.barred(store, letter * 64) for letter in "abcdef"] == [True, False, True, True, False, True]
    assert publishing.reasons(store, [hidden]) == {hidden: [f"about {hidden}"]}
    with store.read() as db:
        assert db.execute(select(endpoints.c.id)).scalars().all() == [stays]
    assert journal.replay(store, settings.data) == 1, "all of it is done, but for the key that was just let in"
    journal.note_gone(store, settings.data)
    assert journal.read(settings.data) == written
    store.close()


def test_a_restore_brings_back_no_old_plan_and_no_old_secret(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    settings.data.mkdir()
    with Shop(settings.data, plans=Plans({"free": Plan(priority=-1), "paid": Plan(priority=1)})) as shop:
        operator = Operator(shop)
        down, both, same, late = (new_key(shop.store, name, plan="paid") for name in ("down", "both", "same", "late"))
        hook: dict[str, object] = {"name": "x", "url": "https://1.1.1.1/", "event_types": ["video.completed"]}
        once, twice, kept, gone = (operator.ask("/webhook_endpoints", hook) for _ in range(4))
        operator.ask(f"/misora/accounts/{both.account_id}", {"plan": "free", "state": "suspended"})
        archive = backup.backup(settings, tmp_path / "b.tar")
        for account, plan in ((down, "default"), (down, "free"), (both, "default"), (late, "free"), (late, "paid")):
            operator.ask(f"/misora/accounts/{account.account_id}", {"plan": plan})
        rotate = lambda each, keep=False: operator.ask(
            f"/webhook_endpoints/{each['id']}/rotate_secret", {"keep_old_secret_active_for_24_hours": keep}
        )["signing_secret"]
        made = [rotate(once), rotate(twice), rotate(twice, True), rotate(gone)]
        operator.ask(f"/webhook_endpoints/{gone['id']}", method="DELETE")
    written = (settings.data / journal.GONE).read_text()
    for secret in (*made, once["signing_secret"]):
        assert secret not in written and secret.removeprefix("whsec_") not in written
    assert (settings.data / journal.GONE).stat().st_mode & 0o777 == 0o600
    journal.remember(settings.data, [{"rotated": kept["id"], "secret": Secret(tmp_path).seal("x"), "old_secret": None, "old_until": None}])
    assert backup.restore(settings, archive) == 5, "two plans, two secrets, one endpoint deleted"
    store, sealer = Store(settings.database()), Secret(settings.data)
    assert {row["name"]: row["plan"] for row in keys.listing(store)} == {
        "operator": "default",
        "tester": "default",
        "down": "free",
        "both": "default",
        "same": "paid",
        "late": "paid",
    }
    assert keys.check(store, both.secret) is None and keys.check(store, same.secret) is not None, "another plan lifts no suspension"
    with store.read() as db:
        rows = {row["id"]: row for row in db.execute(select(endpoints)).mappings()}
    assert set(rows) == {each["id"] for each in (once, twice, kept)}
    opened = [
        [sealer.open(secret) for secret in (row["secret"], row["old_secret"]) if secret]
        for row in map(rows.get, (once["id"], twice["id"], kept["id"]))
    ]
    assert opened == [[made[0]], [made[2], made[1]], [kept["signing_secret"]]], "what another server sealed is left alone"
    assert rows[twice["id"]]["old_until"] > time.time() and journal.replay(store, settings.data) == 0
    store.close()


def test_the_journal_has_the_order_of_the_deeds(store: Store, tmp_path: Path) -> None:
    key = new_key(store)

    def change(plan: str) -> None:
        deed = lambda: keys.change_account(store, key.account_id, {"plan": plan}, "x")
        journal.in_turn(tmp_path, deed, lambda row: journal.account_changed(key.account_id, row, {"plan": plan}))

    threads = [threading.Thread(target=change, args=(f"p{number}",)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert keys.listing(store)[0]["plan"] == journal.read(tmp_path)[-1]["plan"] and len(journal.read(tmp_path)) == 12


def test_what_was_not_written_down_is_found_by_upkeep(store: Store, tmp_path: Path) -> None:
    key, other = new_key(store), new_key(store, "other")
    gone, bad = put(store, key), put(store, key)
    keys.change(store, "suspended", key_id=key.id)
    keys.change_account(store, other.account_id, {"state": "suspended"}, "x")
    jobs.delete(store, gone.id, key.account_id)
    at = publishing.report(store, bad.id, "0" * 64, "why")
    for _ in range(2):
        journal.note_gone(store, tmp_path)
    told = [{"video": gone.id}, {"suspended": key.id}, {"account": other.account_id, "state": "suspended"}]
    assert journal.read(tmp_path) == [*told, {"reported": bad.id, "sha256": "0" * 64, "reason": "why", "at": at}]
