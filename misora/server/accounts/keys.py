"""API keys: made, checked, retired, revoked alone or as a cohort; it knows nothing of requests.

A key reads ``misora-ID-SECRET-CHECK``: a name to look it up by, 256 secret bits, and a checksum, so that scanners for leaked secrets
can tell one at sight. Only the SHA-256 of the whole is stored: with 256 random bits there is nothing that a slow hash would protect.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import re
import secrets
import time
import zlib
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from misora.client.errors import UsageError
from misora.server.queue import jobs
from misora.server.store.database import Store
from misora.server.store.tables import accounts, audit, keys, videos

SCOPES = ("generate", "publish", "admin")
KEY = re.compile(r"misora-([0-9a-f]{12})-([0-9a-f]{64})-([0-9a-f]{8})")
WORKING = select(keys.c.secret_hash, keys.c.account_id, accounts.c.plan, keys.c.scopes).join(accounts, accounts.c.id == keys.c.account_id)
WORKING = WORKING.where(keys.c.id == bindparam("key"), keys.c.state == "active", accounts.c.state == "active")  # built once for all
AFTER = {"suspend": "suspended", "resume": "active", "retire": "retired", "revoke": "revoked"}  # a key's state after what was done
REVOKED = ("key_revoked", "The key that asked for this video was revoked.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Caller:
    """Who is asking: a working key and its account."""

    key_id: str
    account_id: str
    plan: str
    scopes: frozenset[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class NewKey:
    """A key just made: ``secret`` is shown now and never again."""

    id: str
    secret: str = dataclasses.field(repr=False)
    account_id: str


def create(
    store: Store, name: str, *, plan: str = "default", cohort: str = "", scopes: str = "generate", account_id: str | None = None
) -> NewKey:
    """Make a key, and an account of the same name unless one is given. Raises UsageError."""
    asked = scopes.split()
    if not asked or not set(asked) <= set(SCOPES):
        raise UsageError(f"The scopes {scopes!r} are not known; choose from {', '.join(SCOPES)}.")
    if not 0 < len(name.strip()) <= 200 or len(cohort) > 80 or not (name + cohort).isprintable():
        raise UsageError("The key's name must have 1 to 200 printable characters, its group at most 80.")
    key_id = secrets.token_hex(6)
    body = f"misora-{key_id}-{secrets.token_hex(32)}"
    secret = f"{body}-{zlib.crc32(body.encode()):08x}"
    now = int(time.time())
    with store.write() as db:
        if account_id is None:
            account_id = f"acct_{secrets.token_hex(12)}"
            db.execute(accounts.insert().values(id=account_id, name=name, plan=plan, state="active", created_at=now))
        elif db.execute(select(accounts.c.id).where(accounts.c.id == account_id)).first() is None:
            raise UsageError(f"There is no account {account_id}; see `misora keys list`.")
        row = {"id": key_id, "account_id": account_id, "name": name, "cohort": cohort, "scopes": " ".join(asked), "state": "active"}
        db.execute(keys.insert().values(**row, secret_hash=_hash(secret), created_at=now, served=0))
        note(db, "system", "key.created", key_id, {"account": account_id, "group": cohort, "scopes": asked, "plan": plan})
    return NewKey(id=key_id, secret=secret, account_id=account_id)


def check(store: Store, secret: str) -> Caller | None:
    """The caller whose key this is, or None when it is no key, unknown, suspended, retired or revoked."""
    found = KEY.fullmatch(secret)
    if found is None:
        return None
    row = _row(store, found[1])
    return _caller(found[1], row) if row is not None and hmac.compare_digest(row[0], _hash(secret)) else None


def named(store: Store, key_id: str) -> Caller | None:
    """The caller with the key of that name, for those who have already shown that they hold it; None unless the key works."""
    row = _row(store, key_id)
    return _caller(key_id, row) if row is not None else None


def _row(store: Store, key_id: str) -> Any:
    with store.read() as db:
        return db.execute(WORKING, {"key": key_id}).first()


def _caller(key_id: str, row: Any) -> Caller:
    return Caller(key_id=key_id, account_id=row[1], plan=row[2], scopes=frozenset(row[3].split()))


def working(store: Store, key_id: str) -> bool:
    """Whether a key and its account still work: asked again while something long goes on, such as a download."""
    return _row(store, key_id) is not None


def standing(store: Store, key_id: str) -> str | None:
    """The account of a key whose links still hold: it works, or was retired because the account goes on with another; else None."""
    known = select(keys.c.account_id).join(accounts, accounts.c.id == keys.c.account_id)
    with store.read() as db:
        found = known.where(keys.c.id == key_id, keys.c.state.in_(("active", "retired")), accounts.c.state == "active")
        return db.execute(found).scalar()


def revoke(store: Store, *, key_id: str | None = None, cohort: str | None = None, actor: str = "system") -> list[str]:
    """End a key, or every key of a cohort: its jobs fail, its links die, what it published is hidden. The names of the keys."""
    with store.write() as db:
        ended = _of(db, key_id, cohort, ("active", "suspended", "retired"))
        _set_state(db, ended, "revoked")
        stopped = jobs.stop_all_of(db, ended, *REVOKED)
        hidden = videos.c.key_id.in_(ended) & videos.c.published_at.is_not(None)
        db.execute(update(videos).where(hidden).values(hidden_at=int(time.time())))
        for each in ended:
            note(db, actor, "key.revoked", each, {"group": cohort or "", "jobs": len(stopped)})
    return ended


def change(store: Store, state: str, *, key_id: str | None = None, cohort: str | None = None, actor: str = "system") -> list[str]:
    """Set keys to active, suspended (jobs wait) or retired (jobs go on); a revoked key stays so. The names of the keys."""
    assert state in ("active", "suspended", "retired"), state
    with store.write() as db:
        changed = _of(db, key_id, cohort, ("active", "suspended", "retired"))
        _set_state(db, changed, state)
        for each in changed:
            note(db, actor, f"key.{state}", each, {})
    return changed


def change_account(store: Store, account_id: str, changes: dict[str, str], actor: str) -> dict[str, object] | None:
    """Another ``plan`` or ``state`` for an account; its row, or None when there is none."""
    with store.write() as db:
        db.execute(update(accounts).where(accounts.c.id == account_id).values(**changes))
        row = db.execute(select(accounts).where(accounts.c.id == account_id)).mappings().first()
        if row is not None:
            note(db, actor, "account.changed", account_id, dict(changes))
    return dict(row) if row is not None else None


def listing(store: Store, account_id: str | None = None) -> list[dict[str, object]]:
    """Every key with its account's name and plan, never a secret."""
    columns = (keys.c.id, keys.c.name, keys.c.account_id, accounts.c.plan, keys.c.cohort, keys.c.scopes, keys.c.state, keys.c.created_at)
    query = select(*columns).join(accounts, accounts.c.id == keys.c.account_id).order_by(keys.c.created_at, keys.c.id)
    with store.read() as db:
        rows = db.execute(query if account_id is None else query.where(keys.c.account_id == account_id)).mappings().all()
    return [{"group" if name == "cohort" else name: value for name, value in row.items()} for row in rows]


def note(db: Connection, actor: str, action: str, subject: str, detail: dict[str, object]) -> None:
    """Write one line of the audit log, within the transaction that does the deed. Never prompts, never keys."""
    db.execute(audit.insert().values(at=time.time(), actor=actor, action=action, subject=subject, detail=detail))


def _of(db: Connection, key_id: str | None, cohort: str | None, states: tuple[str, ...]) -> list[str]:
    assert (key_id is None) != (cohort is None), "one key or one cohort"
    which = keys.c.id == key_id if key_id is not None else keys.c.cohort == cohort
    return list(db.execute(select(keys.c.id).where(which, keys.c.state.in_(states))).scalars())


def _set_state(db: Connection, names: list[str], state: str) -> None:
    ended_at = None if state in ("active", "suspended") else int(time.time())
    db.execute(update(keys).where(keys.c.id.in_(names)).values(state=state, ended_at=ended_at))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
