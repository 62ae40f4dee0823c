"""What a stranger may try at every route: each answer is a 4xx in the one shape, soon, and nobody else's; it knows nothing of rendering."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from misora.server.api import sending
from misora.server.guard import Verdict
from misora.server.queue import publishing, uploads
from tests.server.shop import ALLOW, FILM, Shop, new_key
from tests.server.test_content import ask, finished

RANGES = ["bytes=abc", "items=0-1", "bytes=3-1", "bytes=", "bytes=-", "x", "bytes=0-1,4-5", "bytes=9-", "bytes=-0"]


def form(**fields: bytes) -> tuple[bytes, str]:
    """A form and its content type; the field named file is a file."""
    names = {name: f'name="{name}"' + ('; filename="a.png"' if name == "file" else "") for name in fields}
    parts = [f"--b\r\nContent-Disposition: form-data; {names[name]}\r\n\r\n".encode() + data for name, data in fields.items()]
    return b"\r\n".join([*parts, b"--b--\r\n"]), "multipart/form-data; boundary=b"


def keep(shop: Shop, secret: str | None = None, data: bytes = b"0123456", purpose: bytes = b"batch") -> str:
    """The name of a file just sent."""
    body, kind = form(file=data, purpose=purpose)
    return str(json.loads(ask(shop, "POST", "/v1/files", body, secret, content_type=kind)[2])["id"])


@pytest.mark.parametrize("asked", RANGES)
def test_an_odd_range_of_a_file_is_the_file_or_a_416_in_the_one_shape(shop: Shop, asked: str) -> None:
    code, headers, body = ask(shop, "GET", f"/v1/files/{keep(shop)}/content", range=asked)
    if asked in RANGES[-2:]:
        assert code == 416 and headers["content-range"] == "bytes */7" and json.loads(body)["error"]["code"] == "invalid_range"
    else:
        assert (code, body) == (200, b"0123456") and headers["content-disposition"].startswith("attachment")


def test_a_file_that_goes_while_it_is_asked_for_is_a_4xx(shop: Shop) -> None:
    name = keep(shop)
    (shop.files.data / "files" / name).unlink()
    batch = {"input_file_id": name, "endpoint": "/v1/videos", "completion_window": "24h"}
    ways = [("GET", f"/v1/files/{name}/content", None, 404), ("POST", "/v1/batches", batch, 400)]
    ways += [("POST", "/v1/videos", {"prompt": "x", "input_reference": {"file_id": name}}, 400)]
    for method, path, sent, status in ways:
        code, _, text = ask(shop, method, path, sent)
        assert code == status and set(json.loads(text)["error"]) == {"message", "type", "param", "code"}, path


def end_meanwhile(monkeypatch: pytest.MonkeyPatch, end: Callable[[], object]) -> None:
    """Let something happen in the middle of every download."""
    send, looks = sending._chunks, iter(range(1000))

    def watched(file: Any, span: sending.Span, goes_on: Callable[[], bool]) -> AsyncIterator[bytes]:
        def asked() -> bool:
            if next(looks) == 3:
                end()
            return goes_on()

        return send(file, span, asked)

    monkeypatch.setattr(sending, "CHUNK", 100)
    monkeypatch.setattr(sending, "CHECK_SECONDS", 0.0)
    monkeypatch.setattr(sending, "_chunks", watched)


def test_a_download_ends_when_its_clip_is_reported(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher = new_key(shop.store, "publisher", scopes="generate publish")
    clip = finished(shop, publisher.secret)
    ask(shop, "POST", f"/v1/misora/videos/{clip}/publish", {}, publisher.secret)
    path = f"/v1/misora/feed/{clip}/content"
    assert ask(shop, "GET", path)[2] == FILM
    end_meanwhile(monkeypatch, lambda: publishing.report(shop.store, clip, None, "why"))
    with pytest.raises(http.client.IncompleteRead):
        ask(shop, "GET", path)
    assert ask(shop, "GET", path)[0] == 404


def test_a_download_ends_when_its_file_is_deleted(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    file = keep(shop, data=FILM)
    path = f"/v1/files/{file}/content"
    assert ask(shop, "GET", path)[2] == FILM
    end_meanwhile(monkeypatch, lambda: uploads.delete(shop.store, file))
    with pytest.raises(http.client.IncompleteRead):
        ask(shop, "GET", path)
    assert ask(shop, "GET", path)[0] == 404


@pytest.mark.parametrize("text", [" ".join(f"zq{number:x}wv" for number in range(4000)), "漢字未知 " * 6000, "x" * 32_000])
def test_a_prompt_of_unknown_words_costs_little(shop: Shop, text: str) -> None:
    begun = time.process_time()
    code, _, body = ask(shop, "POST", "/v1/misora/prompts", {"prompt": text[:32_000]})
    assert code == 200 and json.loads(body)["unknown"] and time.process_time() - begun < 2


def test_a_stranger_sends_little_and_no_file(shop: Shop) -> None:
    path, long = "/v1/misora/feed/video_0/report", "x" * 30_000
    body, kind = form(reason=b"why", file=b"x")
    assert ask(shop, "POST", path, body, content_type=kind)[0] == 400
    assert ask(shop, "POST", path, {"reason": long})[0] == ask(shop, "POST", "/v1/misora/session", {"key": long})[0] == 413
    assert ask(shop, "POST", path, b"reason=" + long.encode(), content_type="application/x-www-form-urlencoded")[0] == 413


@pytest.mark.parametrize("text", ["\u200b\u200b", "\u202e \u2066", "\u3000", "\x7f\x01", "\ufeff"])
def test_a_prompt_that_nobody_can_see_is_a_400(shop: Shop, text: str) -> None:
    code, _, body = ask(shop, "POST", "/v1/videos", {"prompt": text})
    assert code == 400 and json.loads(body)["error"]["code"] == "string_below_min_length"


@pytest.mark.parametrize("limit", ["１", "1e3", "", "-1", "9" * 50, "1_0"])
@pytest.mark.parametrize("path", ["videos", "files", "batches", "webhook_endpoints", "misora/videos"])
def test_an_absurd_limit_is_a_400(shop: Shop, path: str, limit: str) -> None:
    code, _, text = ask(shop, "GET", f"/v1/{path}?limit={limit if limit.isascii() else '%EF%BC%91'}")
    assert code == 400 and json.loads(text)["error"]["param"] == "limit"


def test_one_request_has_only_so_much_judged(shop: Shop) -> None:
    card = {"prompt": "y" * 20_000, "seconds": 2}
    ways: list[tuple[str, dict[str, Any], int]] = [
        ("/v1/moderations", {"input": ["x" * 1000] * 64}, 200),
        ("/v1/moderations", {"input": ["x" * 1001] * 64}, 400),
        ("/v1/moderations", {"input": [{"type": "text", "text": "x" * 32_000}] * 3}, 400),
        ("/v1/videos", {"prompt": "x" * 32_000, "negative_prompt": "y" * 32_000}, 200),
        ("/v1/videos", {"prompt": "x" * 32_000, "storyboard": [card, card]}, 400),
    ]
    for path, sent, status in ways:
        code, _, text = ask(shop, "POST", path, sent)
        assert code == status, text
        assert code == 200 or json.loads(text)["error"]["code"] == "string_above_max_length"


def test_texts_that_take_long_keep_nobody_else_waiting(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    judging, over = threading.Semaphore(0), threading.Event()

    def judged(text: str) -> Verdict:
        if text == "long":
            judging.release()
            over.wait(60)
        return ALLOW

    monkeypatch.setattr(shop.services.guard, "check_text", judged)
    with concurrent.futures.ThreadPoolExecutor(48) as pool:  # more than the server has threads
        asked = [pool.submit(ask, shop, "POST", "/v1/moderations", {"input": "long"}) for _ in range(48)]
        try:
            assert judging.acquire(timeout=60)
            others = ask(shop, "GET", "/healthz"), ask(shop, "GET", "/v1/videos"), ask(shop, "POST", "/v1/videos", {"prompt": "x"})
            assert [code for code, _, _ in others] == [200] * 3 and not any(each.done() for each in asked)
        finally:
            over.set()
        assert {each.result()[0] for each in asked} == {200}
