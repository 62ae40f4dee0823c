"""An account's videos as a library: searched, marked, and as a family of what came from what; it knows nothing of HTTP."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, or_, select

from misora.server.queue.job import UNFINISHED, Job
from misora.server.store.database import Store
from misora.server.store.tables import favourites, videos

FAMILY = 5000  # videos of one account that are looked through for relatives, the newest


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
    """What to look for: words of the prompt or the start of an id, favourites alone, one verb, one status."""

    text: str = ""
    favourite: bool = False
    verb: str = ""
    status: str = ""


def search(store: Store, account_id: str, wanted: Search, *, limit: int, after: str | None = None) -> tuple[list[Job], bool, int] | None:
    """One page, newest first, whether more follow, and how many there are in all; None when ``after`` is no video of the account."""
    where = _where(account_id, wanted)
    with store.read() as db:
        total = db.execute(select(func.count()).select_from(videos).where(*where)).scalar_one()
        query = select(videos).where(*where)
        if after is not None:
            mark = db.execute(select(videos.c.seq).where(videos.c.id == after, videos.c.account_id == account_id)).scalar()
            if mark is None:
                return None
            query = query.where(videos.c.seq < mark)
        rows = db.execute(query.order_by(videos.c.seq.desc()).limit(limit + 1)).mappings().all()
    return [Job.of(row) for row in rows[:limit]], len(rows) > limit, total


def _where(account_id: str, wanted: Search) -> list[ColumnElement[bool]]:
    where = [videos.c.account_id == account_id, videos.c.deleted_at.is_(None), videos.c.verb != "image"]
    for word in wanted.text.split()[:20]:
        where.append(or_(videos.c.prompt.icontains(word, autoescape=True), videos.c.id.startswith(word, autoescape=True)))
    if wanted.favourite:
        where.append(videos.c.id.in_(select(favourites.c.video_id).where(favourites.c.account_id == account_id)))
    where += [videos.c.verb == wanted.verb] if wanted.verb else []
    where += [videos.c.status == wanted.status] if wanted.status else []
    return where


def moving(store: Store, account_id: str, *, since: int, limit: int) -> list[Job]:
    """The videos that are not finished, and those that finished after ``since``, newest first."""
    lately = or_(videos.c.status.in_(UNFINISHED), videos.c.completed_at >= since)
    query = select(videos).where(*_where(account_id, Search()), lately).order_by(videos.c.seq.desc()).limit(limit)
    with store.read() as db:
        return [Job.of(row) for row in db.execute(query).mappings()]


def mark(store: Store, account_id: str, video_id: str, *, favourite: bool) -> None:
    """Make a video a favourite, or no favourite any more."""
    mine = (favourites.c.account_id == account_id) & (favourites.c.video_id == video_id)
    with store.write() as db:
        if not favourite:
            db.execute(delete(favourites).where(mine))
        elif db.execute(select(favourites.c.video_id).where(mine)).first() is None:
            db.execute(insert(favourites).values(account_id=account_id, video_id=video_id, at=time.time()))


def marked(store: Store, account_id: str, names: list[str]) -> set[str]:
    """Which of these are favourites."""
    mine = (favourites.c.account_id == account_id) & favourites.c.video_id.in_(names)
    with store.read() as db:
        return set(db.execute(select(favourites.c.video_id).where(mine)).scalars())


def parents_of(request: dict[str, Any], remixed_from: str | None) -> list[str]:
    """The videos of ours that a job began from, each once."""
    used = [request.get(name) for name in ("video", "connect", "reference")]
    used += [card.get("video") for card in request.get("storyboard") or ()]
    names = [each["id"] for each in used if isinstance(each, dict) and "id" in each]
    return list(dict.fromkeys([*names, *([remixed_from] if remixed_from else [])]))


def family(store: Store, account_id: str, video_id: str, most: int = 100) -> list[dict[str, Any]]:
    """Whatever a video came from, and whatever came from it: rows with their parents' names, oldest first."""
    columns = (videos.c.seq, videos.c.id, videos.c.verb, videos.c.prompt, videos.c.status, videos.c.request, videos.c.remixed_from)
    query = select(*columns).where(*_where(account_id, Search())).order_by(videos.c.seq.desc()).limit(FAMILY)
    with store.read() as db:
        rows = {row["id"]: dict(row) for row in db.execute(query).mappings()}
    children: dict[str, list[str]] = {}
    for row in rows.values():
        row["parents"] = parents_of(row.pop("request") or {}, row.pop("remixed_from"))
        for parent in row["parents"]:
            children.setdefault(parent, []).append(row["id"])
    up = _reached(video_id, {name: row["parents"] for name, row in rows.items()}, most)
    found = up | _reached(video_id, children, most)
    return sorted((rows[name] for name in found if name in rows), key=lambda row: row["seq"])


def _reached(start: str, edges: dict[str, list[str]], most: int) -> set[str]:
    seen, waiting = {start}, deque([start])
    while waiting and len(seen) < most:
        for name in edges.get(waiting.popleft(), ()):
            if name not in seen:
                seen.add(name)
                waiting.append(name)
    return seen
