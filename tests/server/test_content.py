"""Downloads byte by byte, answers in one shape, and what cuts a caller off; it knows nothing of rendering."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import http.client
import json
import logging
import threading
import time
from pathlib import Path

import pytest
import torch
import uvicorn
from sqlalchemy import update

from misora.media.write import write_video
from misora.server import serve, upkeep
from misora.server.accounts import keys
from misora.server.accounts.plans import Plan, Plans
from misora.server.api import content, sending
from misora.server.logs import Lines
from misora.server.queue import jobs
from misora.server.store.tables import videos
from tests.server.shop import FILM, Shop, new_key

PLANS = Plans({"tight": Plan(requests_per_minute=2, concurrency=1), "reviewed": Plan(review=True), "brief": Plan(retention_hours=1)})

Answer = tuple[int, dict[str, str], bytes]


def ask(shop: Shop, method: str, path: str, body: object = None, secret: str | None = None, **headers: str) -> Answer:
    """One request and its answer, raw."""
    connection = http.client.HTTPConnection(shop.url.removeprefix("http://"), timeout=90)
    sent = {"authorization": f"Bearer {secret or shop.key.secret}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
    with contextlib.closing(connection):
        connection.request(method, path, data, {"content-type": "application/json"} | sent)
        with connection.getresponse() as answer:
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def finished(shop: Shop, secret: str | None = None) -> str:
    """The name of a finished video."""
    name = json.loads(ask(shop, "POST", "/v1/videos", {"prompt": "x"}, secret)[2])["id"]
    while not (job := jobs.get(shop.store, name)) or not job.finished:
        time.sleep(0.01)
    return str(name)


@pytest.mark.parametrize(
    "asked, status, first, last",
    [
        ("bytes=0-0", 206, 0, 0),
        ("bytes=5-9", 206, 5, 9),
        ("bytes=10000-", 206, 10000, len(FILM) - 1),
        ("bytes=-7", 206, len(FILM) - 7, len(FILM) - 1),
        ("bytes=0-", 206, 0, len(FILM) - 1),
        ("bytes=0-999999", 206, 0, len(FILM) - 1),
        ("bytes=-999999", 206, 0, len(FILM) - 1),
        ("bytes=9-5", 200, 0, len(FILM) - 1),
        ("bytes=0-1,4-5", 200, 0, len(FILM) - 1),
        ("lines=1-2", 200, 0, len(FILM) - 1),
    ],
)
def test_a_range_is_exact(shop: Shop, asked: str, status: int, first: int, last: int) -> None:
    path = f"/v1/videos/{finished(shop)}/content"
    code, headers, body = ask(shop, "GET", path, range=asked)
    assert (code, body) == (status, FILM[first : last + 1]) and headers["content-length"] == str(last + 1 - first)
    assert headers.get("content-range") == (f"bytes {first}-{last}/{len(FILM)}" if status == 206 else None)
    assert ("accept-ranges" in headers) == (status == 206)


def test_a_range_outside_or_of_another_file(shop: Shop) -> None:
    path = f"/v1/videos/{finished(shop)}/content"
    code, headers, body = ask(shop, "GET", path, range=f"bytes={len(FILM)}-")
    assert code == 416 and headers["content-range"] == f"bytes */{len(FILM)}" and json.loads(body)["error"]["code"] == "invalid_range"
    assert ask(shop, "GET", path, range="bytes=0-3", if_range='"other"')[0] == 200
    tag = ask(shop, "HEAD", path)[1]["etag"]
    assert ask(shop, "GET", path, range="bytes=0-3", if_range=tag)[2] == FILM[:4]


@pytest.mark.parametrize(
    "method, path, body, status",
    [
        ("GET", "/v1/nothing", None, 404),
        ("PUT", "/v1/videos", None, 405),
        ("GET", "/v1/videos/video_0/content", None, 404),
        ("GET", "/v1/videos/..%2F..%2Fetc/content", None, 404),
        ("GET", "/v1/videos/%00", None, 404),
        ("GET", "/v1/videos?limit=many", None, 400),
        ("GET", "/v1/videos?limit=101", None, 400),
        ("GET", "/v1/videos?order=up", None, 400),
        ("GET", "/v1/videos?after=video_0", None, 400),
        ("POST", "/v1/videos", b"{", 400),
        ("POST", "/v1/videos", b"[]", 400),
        ("POST", "/v1/videos", b'{"prompt": NaN}', 400),
        ("POST", "/v1/videos", b'{"prompt": "\\ud800"}', 400),
        ("POST", "/v1/videos", b"[" * 100_000, 400),
        ("POST", "/v1/videos", {"prompt": ["x"]}, 400),
        ("POST", "/v1/videos", {"prompt": "x", "seed": 2**70}, 400),
        ("POST", "/v1/videos", {"prompt": "x", "input_reference": "x"}, 400),
        ("POST", "/v1/videos", {"prompt": "x", "input_reference": {"image_url": "http://127.0.0.1/x.png"}}, 400),
        ("POST", "/v1/videos", {"prompt": "x", "input_reference": {"image_url": "file:///etc/passwd"}}, 400),
        ("POST", "/v1/videos", {"prompt": "x", "input_reference": {"image_url": "data:image/png;base64,AAAA"}}, 400),
        ("POST", "/v1/videos/extensions", {"prompt": "x", "video": {"id": "video_0"}}, 400),
        ("POST", "/v1/videos/edits", {"prompt": "x", "video": {"id": "video_0"}}, 404),
        ("GET", "/v1/videos?after=%00", None, 400),
        ("GET", "/v1/videos/", None, 404),
        ("OPTIONS", "/v1/videos", None, 405),
        ("POST", "/v1/videos/x%0Dy/remix", {"prompt": "x"}, 404),
        ("POST", "/v1/videos", b'{"prompt": "x", "\\ud800": 1}', 400),
        ("POST", "/v1/videos", b'{"prompt": "x", "seconds": 4.0}', 400),
        ("POST", "/v1/moderations", b'{"input": "x", "\\udc00": 1}', 400),
    ],
)
def test_every_mistake_has_the_one_shape(shop: Shop, method: str, path: str, body: object, status: int) -> None:
    code, headers, text = ask(shop, method, path, body)
    assert code == status, text
    error = json.loads(text)["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["message"] and headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=x", "text/plain"])
def test_a_broken_body_is_a_4xx(shop: Shop, kind: str) -> None:
    code, _, text = ask(shop, "POST", "/v1/videos", b"--y\r\nnonsense", content_type=kind)
    assert 400 <= code < 500 and json.loads(text)["error"]["message"]


def test_an_idempotency_key_is_one_job_while_that_is_there(shop: Shop) -> None:
    again = lambda: json.loads(ask(shop, "POST", "/v1/videos", {"prompt": "x"}, idempotency_key="k")[2])["id"]
    name = again()
    assert again() == name
    assert ask(shop, "POST", "/v1/videos", {"prompt": "y"}, idempotency_key="k")[0] == 400
    ask(shop, "DELETE", f"/v1/videos/{name}")
    assert again() != name


def test_an_idempotency_key_knows_one_upload_from_another(shop: Shop, tmp_path: Path) -> None:
    films = [write_video(tmp_path / f"{n}.mp4", torch.full((8, 64, 64, 3), 80 * n, dtype=torch.uint8), 8).read_bytes() for n in (0, 1)]

    def edit(film: bytes) -> tuple[int, dict[str, object]]:
        parts = (b'name="prompt"\r\n\r\nx', b'name="video"; filename="v"\r\n\r\n' + film)
        form = b"".join(b"--b\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts) + b"--b--\r\n"
        answer = ask(shop, "POST", "/v1/videos/edits", form, content_type="multipart/form-data; boundary=b", idempotency_key="u")
        return answer[0], json.loads(answer[2])

    first = edit(films[0])
    assert first[0] == 200 and edit(films[0])[1]["id"] == first[1]["id"]
    assert edit(films[1])[0] == 400


@pytest.mark.parametrize(
    "path, wrong", [("edits", "model=nothing"), ("edits", 'trim={"from": 5, "to": 9}'), ("extensions", 'trim={"from": 5, "to": 9}')]
)
def test_an_upload_of_a_refused_order_does_not_stay(shop: Shop, tmp_path: Path, path: str, wrong: str) -> None:
    film = write_video(tmp_path / "film.mp4", torch.zeros((8, 64, 64, 3), dtype=torch.uint8), 8).read_bytes()
    fields = ["prompt=x", wrong, *(["seconds=4"] if path == "extensions" else [])]
    parts = [f'name="{name}"\r\n\r\n{value}'.encode() for name, _, value in (field.partition("=") for field in fields)]
    parts.append(b'name="video"; filename="v"\r\n\r\n' + film)
    form = b"".join(b"--b\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts) + b"--b--\r\n"
    there = set((shop.files.data / "videos").glob("*"))
    code, _, text = ask(shop, "POST", f"/v1/videos/{path}", form, content_type="multipart/form-data; boundary=b")
    assert code == 400 and json.loads(text)["error"]["param"] in ("model", "trim")
    assert set((shop.files.data / "videos").glob("*")) == there


def test_our_own_mistake_has_the_shape_too(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for error, status in ((KeyError("x"), 500), (OSError(errno.ENOSPC, "full"), 507)):

        def broken(*given: object) -> None:
            raise error  # noqa: B023

        monkeypatch.setattr(shop.files, "check_room", broken)
        code, headers, text = ask(shop, "POST", "/v1/videos", {"prompt": "x"})
        assert code == status and json.loads(text)["error"]["type"] == "server_error" and headers["x-request-id"]


def test_logs_are_one_line_a_request_without_prompt_and_key(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "misora.server"):
        answers = [
            ask(shop, "POST", "/v1/videos", {"prompt": "open sesame"}),
            ask(shop, "GET", "/v1/videos/x%0A%22forged%22?after=sesame"),
            ask(shop, "GET", "/v1/videos", secret="sk-sesame"),
        ]
        ours = [answer[1]["x-request-id"] for answer in answers]  # a line is written after its answer: one of an earlier law may come late
        while len(lines := [line for line in map(Lines().format, caplog.records) if any(name in line for name in ours)]) < 3:
            time.sleep(0.01)
    assert all("\n" not in line and json.loads(line)["request_id"].startswith("req_") for line in lines)
    assert "sesame" not in str(lines) and shop.key.secret not in str(lines) and shop.key.id in lines[0]


def test_a_log_tells_of_an_error_where_it_was_and_not_what_it_says(caplog: pytest.LogCaptureFixture) -> None:
    try:
        try:
            {}["open sesame"]
        except KeyError as error:
            raise ValueError("open sesame") from error
    except ValueError:
        logging.getLogger("misora.worker").exception("rendering failed")
    line = Lines().format(caplog.records[-1])
    assert "sesame" not in line and "ValueError" in line and "KeyError" in line and "test_content.py" in line


def test_a_plan_answers_429_with_when_to_come_back(shop: Shop) -> None:
    secret = new_key(shop.store, "tight", plan="tight").secret
    answers = [ask(shop, "GET", path, secret=secret) for path in ("/v1/videos", "/v1/videos/video_0", "/v1/videos")]
    assert [answer[0] for answer in answers] == [200, 404, 429]
    assert [answer[1]["x-ratelimit-remaining-requests"] for answer in answers] == ["1", "0", "0"] and int(answers[2][1]["retry-after"]) > 0
    assert answers[0][1]["openai-organization"].startswith("acct_")


def test_a_reviewed_plan_shows_nothing_unapproved(shop: Shop) -> None:
    secret = new_key(shop.store, "reviewed", plan="reviewed").secret
    name = finished(shop, secret)
    from_it = {"prompt": "the same", "video": {"id": name}}
    ways = [
        ("GET", f"/v1/videos/{name}/content", None),
        ("POST", f"/v1/videos/{name}/remix", {"prompt": "the same", "strength": 0}),
        ("POST", "/v1/videos/edits", from_it),
        ("POST", "/v1/videos/extensions", from_it | {"seconds": "4"}),
        ("POST", "/v1/videos/characters", {"name": "me", "video": {"id": name}}),
        ("POST", "/v1/videos", {"prompt": "x", "reference": {"id": name}}),
        ("POST", f"/v1/misora/videos/{name}/link", {}),
    ]
    for method, path, body in ways:
        code, _, text = ask(shop, method, path, body, secret)
        assert code == 403 and json.loads(text)["error"]["code"] == "awaiting_review", path


def test_revoking_cuts_off_a_download_and_every_request(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "CHUNK", 100)
    monkeypatch.setattr(sending, "CHECK_SECONDS", 0.0)
    key = new_key(shop.store, "leaked", cohort="leak")
    name = finished(shop, key.secret)
    monkeypatch.setattr(content, "_may_go_on", lambda services, job, key_id: bool(keys.revoke(shop.store, cohort="leak")) and False)
    with pytest.raises(http.client.IncompleteRead):
        ask(shop, "GET", f"/v1/videos/{name}/content", secret=key.secret)
    assert ask(shop, "GET", "/v1/videos", secret=key.secret)[0] == 401


def test_a_full_disk_refuses_and_loses_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = finished(shop)
    monkeypatch.setattr(shop.files, "free_bytes", 1 << 60)
    code, headers, text = ask(shop, "POST", "/v1/videos", {"prompt": "x"})
    assert code == 507 and json.loads(text)["error"]["code"] == "insufficient_storage" and headers["x-should-retry"] == "false"
    assert ask(shop, "GET", f"/v1/videos/{kept}")[0] == 200


def test_a_plan_says_how_long_a_video_is_kept(shop: Shop) -> None:
    key = new_key(shop.store, "brief", plan="brief")
    brief, kept = finished(shop, key.secret), finished(shop)
    told = [json.loads(ask(shop, "GET", f"/v1/videos/{name}", None, secret)[2]) for name, secret in ((brief, key.secret), (kept, None))]
    assert told[0]["expires_at"] == told[0]["completed_at"] + 3600 and told[1]["expires_at"] is None
    with shop.store.write() as db:
        db.execute(update(videos).where(videos.c.id == brief).values(expires_at=1))
    for _ in range(2):  # before and after it is erased
        code, _, text = ask(shop, "GET", f"/v1/videos/{brief}/content", None, key.secret)
        assert code == 404 and json.loads(text)["error"]["code"] == "video_expired"
        upkeep.round_once(shop.store, shop.files)
    assert not shop.files.folder(brief).exists() and ask(shop, "GET", f"/v1/videos/{kept}/content")[2] == FILM


def test_a_forwarded_address_counts_only_from_a_trusted_proxy(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for trusted, address in (((), "127.0.0.1"), (("127.0.0.1",), "203.0.113.7"), (("10.0.0.1",), "127.0.0.1")):
        services = dataclasses.replace(shop.services, settings=dataclasses.replace(shop.services.settings, trusted_proxies=trusted, port=0))
        seen: list[str] = []
        monkeypatch.setattr(services.addresses, "seen", lambda key, who, seen=seen: seen.append(who))
        server = uvicorn.Server(serve._config(services))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=90)) as line:
            line.request("GET", "/v1/models", headers={"authorization": f"Bearer {shop.key.secret}", "x-forwarded-for": "203.0.113.7"})
            assert line.getresponse().status == 200
        server.should_exit = True
        thread.join()
        assert seen == [address]
