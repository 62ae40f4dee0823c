"""What a restore must not undo, written down beside the database and outside every backup: names and reports, never prompts.

One line of JSON a deed, in their order: who was suspended and let in again or got another plan, what was reported, decided on, withdrawn,
deleted, revoked, and the new secrets of webhooks, sealed as in the database.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeVar

from sqlalchemy import delete, select, update

from misora.client.errors import MisoraError
from misora.server.accounts import keys
from misora.server.files import Files
from misora.server.queue import cast, jobs, publishing, uploads
from misora.server.secret import Secret
from misora.server.store.database import Store
from misora.server.store.tables import accounts, blocked_files, endpoints, reports, videos
from misora.server.store.tables import keys as keys_table

GONE = "gone.jsonl"
STATES = {"key": "revoked", "retired": "retired", "suspended": "suspended", "active": "active"}  # what a line says of a key
SAID = {state: told for told, state in STATES.items()}
REVIEWED = ("reported", "approved", "refused")
ACCOUNT, SECRETS = ("state", "plan"), ("secret", "old_secret", "old_until")  # what a line says of an account, and of an endpoint
T = TypeVar("T")
Line = dict[str, Any]


def read(data: Path) -> list[Line]:
    """Every line, oldest first; one that a crash left half written is passed over."""
    path, found = data / GONE, []
    for line in path.read_text("utf-8", "replace").splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return [line for line in found if isinstance(line, dict)]


def remember(data: Path, lines: list[Line]) -> None:
    """Write down what happened, as it happens; a round of upkeep adds what was missed."""
    with _turn(data) as file:
        _append(file, lines)


def in_turn(data: Path, deed: Callable[[], T], told: Callable[[T], list[Line]]) -> T:
    """Do something and write down what is ``told`` of it before anybody else does: the journal's order is that of the deeds."""
    with _turn(data) as file:
        done = deed()
        _append(file, told(done))
    return done


def ended(state: str, names: list[str]) -> list[Line]:
    """What is told of keys that now have this state."""
    return [{SAID[state]: name} for name in names]


def account_changed(name: str, row: Mapping[str, Any] | None, changes: Mapping[str, Any]) -> list[Line]:
    """What is told of an account with another plan or state; nothing where there is no such account."""
    return [{"account": name} | {each: changes[each] for each in ACCOUNT if each in changes}] if row is not None else []


def rotated(name: str, values: Mapping[str, Any]) -> list[Line]:
    """What is told of an endpoint with another secret: what the database holds, which is sealed."""
    return [{"rotated": name} | {each: values[each] for each in SECRETS}]


@contextlib.contextmanager
def _turn(data: Path) -> Iterator[IO[bytes]]:
    """The journal, one writer at a time, so that what upkeep read is still so when it writes."""
    with open(data / GONE, "a+b", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        with contextlib.suppress(ImportError):  # not on every system
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _append(file: IO[bytes], lines: list[Line]) -> None:
    if not lines:
        return
    end = file.seek(0, os.SEEK_END)
    file.seek(max(end - 1, 0))
    torn = end > 0 and file.read(1) != b"\n"  # a crash ended the last line early
    file.write(("\n" if torn else "").encode() + "".join(f"{json.dumps(line)}\n" for line in lines).encode())
    file.flush()
    os.fsync(file.fileno())


class Words:
    """The journal's last word on everybody and everything."""

    def __init__(self, lines: list[Line]) -> None:
        self.keys: dict[str, str] = {}
        self.accounts: dict[str, Line] = {}
        self.secrets: dict[str, Line] = {}
        self.reviews: dict[str, list[Line]] = {}  # of each video since it was last approved
        self.shown: dict[str, bool] = {}
        self.gone: dict[tuple[str, str], None] = {}
        for line in lines:
            self._hear(line)

    def _hear(self, line: Line) -> None:
        told, name = next(iter(line.items()))
        if told in STATES:
            if self.keys.get(name) != "revoked":
                self.keys[name] = STATES[told]
        elif told == "account":
            self.accounts.setdefault(name, {}).update({each: line[each] for each in ACCOUNT if each in line})
        elif told == "rotated":
            self.secrets[name] = {each: line[each] for each in SECRETS}
        elif told in ("published", "unpublished"):
            self.shown[name] = told == "published"
        elif told == "approved":
            self.reviews[name] = [line]
        elif told in REVIEWED:
            self.reviews.setdefault(name, []).append(line)
        else:
            self.gone[told, name] = None


def note_gone(store: Store, data: Path) -> None:
    """Write down whatever was ended, suspended, hidden or deleted and is not written down yet; what was lifted is never guessed."""
    with _turn(data) as file:
        _append(file, _missing(store, Words(read(data))))


def _missing(store: Store, known: Words) -> list[Line]:
    gone = select(videos.c.id).where(videos.c.deleted_at.is_not(None))
    ended = select(keys_table.c.id, keys_table.c.state).where(keys_table.c.state != "active")
    out = select(accounts.c.id, accounts.c.state).where(accounts.c.state != "active")
    refused = select(videos.c.id).where(videos.c.review == "refused", videos.c.deleted_at.is_(None))
    with store.read() as db:
        lines: list[Line] = [{"video": name} for name in db.execute(gone).scalars() if ("video", name) not in known.gone]
        lines += [{SAID[state]: name} for name, state in db.execute(ended) if known.keys.get(name) not in (state, "revoked")]
        lines += [
            {"account": name, "state": state} for name, state in db.execute(out) if known.accounts.get(name, {}).get("state") != state
        ]
        for row in db.execute(select(blocked_files)).mappings().all():
            if not any("reported" in line for line in known.reviews.get(row["video_id"], ())):
                said = db.execute(select(reports).where(reports.c.video_id == row["video_id"]).order_by(reports.c.seq)).mappings().all()
                told = [{"reason": each["reason"], "at": each["at"]} for each in said] or [{"reason": "", "at": row["at"]}]
                lines += [{"reported": row["video_id"], "sha256": row["sha256"]} | each for each in told]
        for name in db.execute(refused).scalars():
            if "refused" not in (known.reviews.get(name) or [{}])[-1]:
                lines.append({"refused": name})
    return lines


def replay(store: Store, data: Path) -> int:
    """Do again what the database does not know of; how many deeds that were."""
    words, files = Words(read(data)), Files(data)
    count = _states_again(store, words)
    count += sum(_review_again(store, name, lines) for name, lines in words.reviews.items())
    count += sum(_withdraw(store, name) for name, shown in words.shown.items() if not shown)
    count += _secrets_again(store, data, words)
    return count + sum(DELETE[kind](store, files, name) for kind, name in words.gone if kind in DELETE)


def _states_again(store: Store, words: Words) -> int:
    with store.read() as db:
        states = {row[0]: row[1] for row in db.execute(select(keys_table.c.id, keys_table.c.state))}
        held = {row["id"]: row for row in db.execute(select(accounts)).mappings()}
    changed = [name for name, state in words.keys.items() if states.get(name, state) not in (state, "revoked")]
    for name in changed:
        if words.keys[name] == "revoked":
            keys.revoke(store, key_id=name, actor="restore")
        else:
            keys.change(store, words.keys[name], key_id=name, actor="restore")
    others = {name: told for name, said in words.accounts.items() if name in held and (told := dict(said.items() - held[name].items()))}
    for name, told in others.items():
        keys.change_account(store, name, told, "restore")
    return len(changed) + len(others)


def _secrets_again(store: Store, data: Path, words: Words) -> int:
    """The secrets that endpoints had last; one that this server's own secret cannot open is another server's."""
    changed, there = 0, [name for name in words.secrets if ("endpoint", name) not in words.gone]
    sealer = Secret(data) if there else None
    for name in there:
        values = words.secrets[name]
        with contextlib.suppress(MisoraError), store.write() as db:
            assert sealer is not None
            sealer.open(values["secret"])
            here = (endpoints.c.id == name) & (endpoints.c.secret != values["secret"])
            changed += db.execute(update(endpoints).where(here).values(**values)).rowcount
    return changed


def _review_again(store: Store, name: str, lines: list[Line]) -> int:
    """Reports and decisions about one video since it was last approved; its file stays barred also where the backup lacks the video."""
    before, last = jobs.get(store, name), next(word for word in REVIEWED if word in lines[-1])
    if last == "approved":
        publishing.unblock(store, name)
    for line in lines:
        if "reported" in line:
            publishing.report(store, name, line["sha256"], line["reason"], at=line["at"], actor="restore")
    if last != "reported" and before is not None and before.review != last:
        publishing.decide(store, name, last, "restore")
    after = jobs.get(store, name)
    return int(before is not None and after is not None and (before.review, before.hidden_at) != (after.review, after.hidden_at))


def _withdraw(store: Store, name: str) -> int:
    job = jobs.get(store, name)
    if job is None or job.published_at is None:
        return 0
    publishing.publish(store, job, "restore", shown=False)
    return 1


def _video(store: Store, files: Files, name: str) -> int:
    job = jobs.get(store, name, pictures=True)
    if job is not None:
        jobs.delete(store, job.id, job.account_id, pictures=True)
    files.erase(name)
    return int(job is not None)


def _character(store: Store, files: Files, name: str) -> int:
    cast.delete(store, name)
    files.erase_folder(f"characters/{name}")
    return 0


def _file(store: Store, files: Files, name: str) -> int:
    uploads.delete(store, name)
    files.path(f"files/{name}").unlink(missing_ok=True)
    return 0


def _endpoint(store: Store, files: Files, name: str) -> int:
    with store.write() as db:
        return db.execute(delete(endpoints).where(endpoints.c.id == name)).rowcount


DELETE: dict[str, Callable[[Store, Files, str], int]] = {"video": _video, "character": _character, "file": _file, "endpoint": _endpoint}
