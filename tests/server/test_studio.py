"""Beyond the contract: keys, review, the feed, links, events, moderations, pictures, OpenAPI; it knows nothing of rendering."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import openai
import pytest
from sqlalchemy import select, update

from misora.client.errors import MediaError
from misora.server import upkeep
from misora.server.accounts import keys
from misora.server.accounts.plans import Plan, Plans
from misora.server.api import sending
from misora.server.api.routes import ROUTES
from misora.server.guard import BLOCKED, Guard, Verdict
from misora.server.queue import jobs
from misora.server.queue.job import Job
from misora.server.store.tables import videos
from misora.server.working import SOURCE_GONE, Progress
from tests.server.shop import FILM, Shop, new_key, put, quick
from tests.server.test_content import ask, finished

PLANS = Plans({"reviewed": Plan(review=True), "single": Plan(concurrency=1)})

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")


@pytest.fixture(scope="module")
def admin(shop: Shop) -> str:
    """The operator's secret."""
    return new_key(shop.store, "operator", scopes="generate publish admin").secret


def told(shop: Shop, method: str, path: str, body: object = None, secret: str | None = None) -> tuple[int, dict[str, object]]:
    """A request and its JSON."""
    code, _, text = ask(shop, method, path, body, secret)
    return code, json.loads(text)


def test_review_then_publication_then_a_report(shop: Shop, admin: str) -> None:
    key = new_key(shop.store, "author", plan="reviewed", scopes="generate publish")
    name = finished(shop, key.secret)
    assert told(shop, "POST", f"/v1/misora/videos/{name}/publish", secret=key.secret)[0] == 403
    assert [each["id"] for each in told(shop, "GET", "/v1/misora/review", secret=admin)[1]["data"]] == [name]  # type: ignore[attr-defined]
    assert told(shop, "POST", f"/v1/misora/review/{name}", {"decision": "approved"}, key.secret)[0] == 403
    assert told(shop, "POST", f"/v1/misora/review/{name}", {"decision": "approved"}, admin)[0] == 200
    assert told(shop, "POST", f"/v1/misora/videos/{name}/publish", secret=key.secret)[0] == 200
    assert name in str(told(shop, "GET", "/v1/misora/feed")[1]) and ask(shop, "GET", f"/v1/misora/feed/{name}/content")[2] == FILM
    assert told(shop, "POST", f"/v1/misora/feed/{name}/report", {"reason": "it shows me"})[1]["hidden"]
    assert name not in str(told(shop, "GET", "/v1/misora/feed")[1]) and ask(shop, "GET", f"/v1/misora/feed/{name}/content")[0] == 404
    actions = [line["action"] for line in told(shop, "GET", "/v1/misora/audit", secret=admin)[1]["data"]]  # type: ignore[attr-defined]
    assert actions[:3] == ["reported", "published", "review.approved"]


def test_an_operator_features_what_was_published(shop: Shop, admin: str) -> None:
    first, second = finished(shop, admin), finished(shop, admin)
    choose = {"featured": True}
    assert told(shop, "POST", f"/v1/misora/feed/{first}/feature", choose, admin)[0] == 404  # not published
    for name in (first, second):
        told(shop, "POST", f"/v1/misora/videos/{name}/publish", secret=admin)
    assert told(shop, "POST", f"/v1/misora/feed/{first}/feature", choose)[0] == 403
    assert told(shop, "POST", f"/v1/misora/feed/{first}/feature", choose, admin)[1] == {"id": first, "featured": True}

    def names(query: str) -> list[str]:
        return [each["id"] for each in told(shop, "GET", f"/v1/misora/feed{query}")[1]["data"]]  # type: ignore[attr-defined]

    assert names("?featured=true") == [first] and {first, second} <= set(names("")) and not names("?featured=true&before=1")
    told(shop, "POST", f"/v1/misora/videos/{first}/unpublish", secret=admin)
    told(shop, "POST", f"/v1/misora/videos/{first}/publish", secret=admin)
    assert not names("?featured=true")  # whoever takes it back starts anew
    told(shop, "POST", f"/v1/misora/feed/{second}/feature", choose, admin)
    told(shop, "POST", f"/v1/misora/feed/{second}/feature", {"featured": False}, admin)
    assert not names("?featured=true") and second in names("")


def test_a_link_opens_without_a_key_until_the_key_is_revoked(shop: Shop) -> None:
    key = new_key(shop.store, "linker")
    name = finished(shop, key.secret)
    url = str(told(shop, "POST", f"/v1/misora/videos/{name}/link", {"seconds": 60}, key.secret)[1]["url"]).removeprefix(shop.url)
    assert ask(shop, "GET", url, secret="none")[2] == FILM
    assert ask(shop, "GET", url.replace("video&", "thumbnail&"))[0] == 404
    keys.revoke(shop.store, key_id=key.id)
    assert ask(shop, "GET", url)[0] == 404


def test_events_follow_a_video_to_its_end(shop: Shop) -> None:
    name = json.loads(ask(shop, "POST", "/v1/videos", {"prompt": "x"})[2])["id"]
    code, headers, text = ask(shop, "GET", f"/v1/misora/videos/{name}/events")
    last = json.loads(text.decode().strip().split("data: ")[-1])
    assert code == 200 and headers["content-type"].startswith("text/event-stream") and last["status"] == "completed"
    assert last["misora"]["position"] == 0


def test_previews_come_with_the_events_and_go_with_the_job(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = threading.Event()

    def slow(job: Job, folder: Path, progress: Progress) -> dict[str, Any]:
        for number in (1, 2):
            path = shop.files.preview(job.id, job.fence, number)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"%d" % number)
            progress(10 * number, "drawing", number)
        assert seen.wait(20)
        return quick(job, folder, progress)

    monkeypatch.setattr(shop, "render", slow)
    name = json.loads(ask(shop, "POST", "/v1/videos", {"prompt": "x"})[2])["id"]
    while (facts := told(shop, "GET", f"/v1/misora/videos/{name}")[1]["misora"])["preview"] != 2:  # type: ignore[index]
        assert ask(shop, "GET", f"/v1/misora/videos/{name}/preview")[0] in (200, 204)
    assert facts["started_at"] and facts["position"] == 0  # type: ignore[index]
    code, headers, picture = ask(shop, "GET", f"/v1/misora/videos/{name}/preview")
    assert (code, picture, headers["content-type"], headers["x-misora-preview"]) == (200, b"2", "image/webp", "2")
    assert ask(shop, "GET", f"/v1/misora/videos/{name}/preview", secret=new_key(shop.store, "stranger").secret)[0] == 404
    seen.set()
    ask(shop, "GET", f"/v1/misora/videos/{name}/events")
    assert ask(shop, "GET", f"/v1/misora/videos/{name}/preview")[0] == 204
    while shop.worker.current is not None:
        time.sleep(0.01)
    assert not (shop.files.folder(name) / "previews").exists()


def test_a_dead_workers_previews_go_when_its_job_is_taken_up_again_or_ends(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, left = threading.Event(), []

    def looking(job: Job, folder: Path, progress: Progress) -> dict[str, Any]:
        left.extend(path.name for path in shop.files.preview(job.id, 0, 0).parent.glob("*"))
        seen.set()
        return quick(job, folder, progress)

    monkeypatch.setattr(shop, "render", looking)
    key = new_key(shop.store, "unlucky")
    keys.change(shop.store, "suspended", key_id=key.id)
    ended, again = put(shop.store, key), put(shop.store, key)
    with shop.store.write() as db:
        db.execute(update(videos).where(videos.c.id == ended.id).values(status="failed", fence=7))
        db.execute(update(videos).where(videos.c.id == again.id).values(fence=7))
    for job in (ended, again):
        for name in ("3-1.webp", ".3-2.ab.unsigned.webp"):
            path = shop.files.preview(job.id, 0, 0).with_name(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    keys.change(shop.store, "active", key_id=key.id)
    assert seen.wait(20)
    upkeep.round_once(shop.store, shop.files)
    assert not left and not shop.files.preview(ended.id, 0, 0).parent.exists()


def test_rotating_a_key_breaks_no_link_and_no_download_of_the_feed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "CHUNK", 100)
    monkeypatch.setattr(sending, "CHECK_SECONDS", 0.0)
    key = new_key(shop.store, "old", scopes="generate publish")
    name = finished(shop, key.secret)
    url = str(told(shop, "POST", f"/v1/misora/videos/{name}/link", {"seconds": 60}, key.secret)[1]["url"]).removeprefix(shop.url)
    told(shop, "POST", f"/v1/misora/videos/{name}/publish", secret=key.secret)
    ways = (url, f"/v1/misora/feed/{name}/content")
    for state, link, feed in (("retired", 200, 200), ("suspended", 404, 200), ("active", 200, 200)):
        keys.change(shop.store, state, key_id=key.id)
        answers = [ask(shop, "GET", path, secret="none") for path in ways]
        assert [answer[0] for answer in answers] == [link, feed] and all(answer[2] == FILM for answer in answers if answer[0] == 200), state
    keys.revoke(shop.store, key_id=key.id)
    assert [ask(shop, "GET", path, secret="none")[0] for path in ways] == [404, 404]


def test_keys_are_made_and_ended_over_http(shop: Shop, admin: str) -> None:
    made = told(shop, "POST", "/v1/misora/keys", {"name": "new", "group": "spring"}, admin)[1]
    assert told(shop, "GET", "/v1/videos", secret=str(made["key"]))[0] == 200
    assert str(made["key"]) not in str(told(shop, "GET", "/v1/misora/keys", secret=admin)[1])
    assert told(shop, "POST", "/v1/misora/keys/end", {"action": "revoke", "group": "spring"}, admin)[1]["changed"] == [made["id"]]
    assert told(shop, "GET", "/v1/videos", secret=str(made["key"]))[0] == 401
    assert told(shop, "POST", "/v1/misora/keys", {"name": "x"})[0] == 403


def test_the_operator_sees_use_workers_and_metrics(shop: Shop, admin: str) -> None:
    finished(shop)
    assert told(shop, "GET", "/v1/misora/usage")[1]["seconds"] and not told(shop, "GET", "/v1/misora/usage")[1]["accounts"]
    assert told(shop, "GET", "/v1/misora/usage", secret=admin)[1]["accounts"]
    assert told(shop, "GET", "/v1/misora/workers", secret=admin)[1]["data"]
    assert b'misora_jobs{status="completed"}' in ask(shop, "GET", "/metrics", secret=admin)[2] and ask(shop, "GET", "/metrics")[0] == 403


def test_what_the_policy_blocks_fails_with_the_contracts_code(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = Verdict(verdict="block", category="violence", rule="r", version="1")
    monkeypatch.setattr(shop.services, "guard", Guard(lambda text: verdict))
    with openai.OpenAI(base_url=f"{shop.url}/v1", api_key=shop.key.secret, _strict_response_validation=True) as client:
        video = client.videos.create_and_poll(prompt="x")
        assert video.status == "failed" and video.error and (video.error.code, video.error.message) == BLOCKED
        judged = client.moderations.create(input=["a", "b"])
        assert [result.flagged for result in judged.results] == [True, True] and judged.results[0].categories.violence


def test_a_check_that_fails_is_a_block(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop.services, "guard", Guard(lambda text: 1 / 0))
    name = json.loads(ask(shop, "POST", "/v1/videos", {"prompt": "x"})[2])["id"]
    job = jobs.get(shop.store, name)
    assert job is not None and job.error_code == "moderation_blocked"


def test_a_picture_comes_back_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def picture(job, folder, progress):  # type: ignore[no-untyped-def]
        (folder / "picture.png").write_bytes(FILM)
        return {"file": "picture.png"}

    monkeypatch.setattr(shop, "render", picture)
    with openai.OpenAI(base_url=f"{shop.url}/v1", api_key=shop.key.secret, _strict_response_validation=True) as client:
        made = client.images.generate(prompt="a ball", n=2, size="512x512")
        assert made.data is not None and len(made.data) == 2 and made.data[0].b64_json
        assert all(video.id.startswith("video_") and video.seconds != "0" for video in client.videos.list())
        linked = client.images.generate(prompt="a ball", response_format="url").data
        assert linked and linked[0].url
        with urllib.request.urlopen(linked[0].url) as answer:
            assert answer.read() == FILM and answer.headers["content-type"] == "image/png"
        assert ask(shop, "GET", linked[0].url.removeprefix(shop.url).replace("png", "jpeg"))[0] == 404
        client.files.delete(client.files.list().data[0].id)
        assert ask(shop, "GET", linked[0].url.removeprefix(shop.url))[0] == 404


def test_a_job_whose_source_was_deleted_before_its_turn_says_so(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    parent, gone = finished(shop), threading.Event()

    def slow(job: Job, folder: Path, progress: Progress) -> dict[str, Any]:
        assert gone.wait(60)
        raise MediaError(f"{shop.files.data}/videos/x is not a file")

    monkeypatch.setattr(shop, "render", slow)
    first = str(told(shop, "POST", "/v1/videos", {"prompt": "x"})[1]["id"])
    remix = str(told(shop, "POST", f"/v1/videos/{parent}/remix", {"prompt": "x"})[1]["id"])
    told(shop, "DELETE", f"/v1/videos/{parent}")
    gone.set()
    errors = []
    for name in (first, remix):
        while (job := jobs.get(shop.store, name)) is None or not job.finished:
            time.sleep(0.02)
        errors.append((job.error_code, job.error_message))
    assert errors == [("generation_failed", "videos/x is not a file"), SOURCE_GONE]


def test_pictures_that_are_not_answered_leave_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop, "render", lambda job, folder, progress: time.sleep(0.05) or {})
    secret = new_key(shop.store, "one at a time", plan="single").secret
    code, answer = told(shop, "POST", "/v1/images/generations", {"prompt": "a ball", "n": 2}, secret)
    assert code == 429 and answer["error"]["type"] == "video_generation_user_error"  # type: ignore[index]
    with shop.store.write() as db:
        assert not db.execute(select(videos.c.id).where(videos.c.verb == "image", videos.c.deleted_at.is_(None))).all()
    left = put(shop.store, new_key(shop.store), verb="image", priority=-1)
    with shop.store.write() as db:
        db.execute(update(videos).where(videos.c.id == left.id).values(created_at=1))
    upkeep.round_once(shop.store, shop.files)
    assert jobs.get(shop.store, left.id, pictures=True) is None


def test_the_page_names_every_route(shop: Shop) -> None:
    page = told(shop, "GET", "/openapi.json")[1]
    paths: dict[str, dict[str, object]] = page["paths"]  # type: ignore[assignment]
    assert all(route.method.lower() in paths[f"/v1{route.path}"] for route in ROUTES)
    names = [operation["operationId"] for methods in paths.values() for operation in methods.values()]  # type: ignore[index]
    assert len(names) == len(set(names))
    assert ask(shop, "GET", "/healthz")[0] == 200
