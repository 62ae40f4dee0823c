"""Laws of lists: page by page each row once, also while rows are deleted; nobody else's row marks a place; it knows no rendering."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import openai
import pytest
from sqlalchemy import update

from misora.server import upkeep
from misora.server.queue import batches, publishing, uploads
from misora.server.store import places
from misora.server.store.database import Store
from misora.server.store.tables import endpoints, videos
from tests.server.shop import Shop, new_key, put

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")
MANY, TODAY = 6, 1_700_000_000


def filled(shop: Shop, account_id: str, key_id: str) -> None:
    """Six of everything, two in each second."""
    for number in range(MANY):
        row: dict[str, Any] = {"account_id": account_id, "created_at": TODAY + number // 2}
        name = f"{account_id[5:13]}-{number}"
        file = {"id": f"file-{name}", "name": "x", "purpose": "vision", "bytes": 1, "expires_at": None}
        uploads.add(shop.store, row | file)
        order = {"id": f"batch_{name}", "key_id": key_id, "input_file": "x", "notes": {}, "status": "completed", "errors": []}
        batches.add(shop.store, row | order, [])
        with shop.store.write() as db:
            hook = {"id": f"we_{name}", "name": "x", "url": "https://a.example", "event_types": [], "secret": "", "updated_at": 0}
            db.execute(endpoints.insert().values(**row | hook))


LISTS: dict[str, Callable[[openai.OpenAI], tuple[Any, Any]]] = {
    "videos": lambda client: (client.videos.list, client.videos.delete),
    "files": lambda client: (client.files.list, client.files.delete),
    "webhook_endpoints": lambda client: (client.webhooks.list, client.webhooks.delete),
    "batches": lambda client: (client.batches.list, None),
}


@pytest.mark.parametrize("name", LISTS)
def test_who_deletes_while_paging_meets_every_row_once(shop: Shop, name: str) -> None:
    key, other = new_key(shop.store), new_key(shop.store)
    for each in (key, other):
        filled(shop, each.account_id, each.id)
    for _ in range(MANY):
        put(shop.store, key)
    with openai.OpenAI(base_url=f"{shop.url}/v1", api_key=key.secret, max_retries=0) as client:
        listed, delete = LISTS[name](client)
        whole = [row.id for row in listed()]
        assert len(whole) == MANY and [row.id for row in listed(limit=2)] == whole
        seen = []
        for row in islice(listed(limit=2), 2 * MANY):  # every other one goes, the last of each page among them
            seen.append(row.id)
            if delete and len(seen) % 2 == 0:
                delete(row.id)
        assert seen == whole
        if delete:
            assert [row.id for row in listed(after=whole[1])] == [row.id for row in listed() if row.id in whole[2:]]
        if name in ("videos", "files"):
            assert [row.id for row in listed(order="asc", limit=1)] == [row.id for row in listed()][::-1]
            with pytest.raises(openai.BadRequestError, match="order|Supported"):
                listed(order="up")
        foreign = shop.key if name == "videos" else other
        with openai.OpenAI(base_url=f"{shop.url}/v1", api_key=foreign.secret, max_retries=0) as stranger:
            for after in (whole[0], whole[1], f"{whole[0]}x"):  # there, deleted, never
                with pytest.raises(openai.BadRequestError, match="was found to continue after"):
                    LISTS[name](stranger)[0](after=after)


def test_a_place_is_forgotten_after_a_day(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key(shop.store)
    filled(shop, key.account_id, key.id)
    gone = uploads.listing(shop.store, key.account_id)[0]
    uploads.delete(shop.store, gone["id"])
    where = lambda: places.find(shop.store, uploads.files, key.account_id, gone["id"])
    upkeep.round_once(shop.store, shop.files)
    assert where() == (gone["created_at"], gone["id"])
    now = time.time()
    monkeypatch.setattr(places.time, "time", lambda: now + places.KEPT + 2)
    upkeep.round_once(shop.store, shop.files)
    assert where() is None


def test_an_expired_file_is_listed_no_more(shop: Shop) -> None:
    key = new_key(shop.store)
    row = {"account_id": key.account_id, "created_at": 1, "name": "x", "purpose": "vision", "bytes": 1}
    uploads.add(shop.store, row | {"id": "file-late", "expires_at": 2})
    assert uploads.get(shop.store, "file-late", key.account_id) is None and uploads.listing(shop.store, key.account_id) == []


def test_the_feed_shows_every_clip_once_also_those_of_one_second(store: Store) -> None:
    key, seconds = new_key(store), [5, 5, 5, 5, 4, 3, 3, 2, 2]
    for second in seconds:
        job = put(store, key)
        with store.write() as db:
            db.execute(update(videos).where(videos.c.id == job.id).values(published_at=second, folder="x"))
    for limit in range(1, 11):
        seen: list[int] = []
        before, more = None, True
        while more:
            page, more = publishing.feed(store, limit=limit, before=before)
            before = page[-1].published_at
            seen += [job.seq for job in page]
        assert len(seen) == len(set(seen)) == len(seconds)
