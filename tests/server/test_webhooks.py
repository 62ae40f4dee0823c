"""Webhooks: what the SDK verifies, sent to checked addresses, again until it is taken; it knows nothing of rendering."""

from __future__ import annotations

import contextlib
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from misora.server import fetch, webhooks
from tests.server.shop import Shop, new_key

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")
Got = list[tuple[dict[str, str], bytes]]


@contextlib.contextmanager
def listener(*statuses: int) -> Iterator[tuple[str, Got]]:
    """A place that webhooks may be sent to: it answers with each status in turn, then 200."""
    got: Got = []
    answers = list(statuses)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(
                ({name.lower(): value for name, value in self.headers.items()}, self.rfile.read(int(self.headers["content-length"])))
            )
            self.send_response(answers.pop(0) if answers else 200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got
    server.shutdown()
    thread.join()
    server.server_close()


def test_events_are_signed_retried_and_tell_only_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "FIRST", 0.0)
    with (
        Shop(tmp_path, private_webhooks=True) as shop,
        listener(500) as (url, got),
        openai.OpenAI(base_url=f"{shop.url}/v1", api_key=shop.key.secret, max_retries=0, _strict_response_validation=True) as client,
    ):
        endpoint = client.webhooks.create(name="mine", url=url, event_types=["video.completed"])
        assert endpoint.signing_secret not in (tmp_path / "misora.sqlite-wal").read_bytes().decode("latin1")
        video = client.videos.create_and_poll(prompt="x", poll_interval_ms=20)
        for _ in range(2):
            assert webhooks.deliver_due(shop.store, shop.services.secret, private=True) == 1
        assert webhooks.deliver_due(shop.store, shop.services.secret, private=True) == 0
        headers, body = got[-1]
        assert len(got) == 2 and headers["webhook-id"] == got[0][0]["webhook-id"]
        event = client.webhooks.unwrap(body, headers, secret=endpoint.signing_secret)
        assert (event.type, event.data.id) == ("video.completed", video.id) and b"prompt" not in body
        changed = client.webhooks.rotate_secret(endpoint.id, keep_old_secret_active_for_24_hours=True)
        assert changed.signing_secret != endpoint.signing_secret
        client.videos.create_and_poll(prompt="y", poll_interval_ms=20)
        webhooks.deliver_due(shop.store, shop.services.secret, private=True)
        for secret in (endpoint.signing_secret, changed.signing_secret):
            client.webhooks.verify_signature(got[-1][1], got[-1][0], secret=secret)
        with pytest.raises(openai.InvalidWebhookSignatureError):
            client.webhooks.verify_signature(got[-1][1] + b" ", got[-1][0], secret=changed.signing_secret)
        renamed = client.webhooks.update(endpoint.id, name="yours", url=url, event_types=["video.failed"])
        assert renamed.name == "yours" and client.webhooks.retrieve(endpoint.id).event_types == ["video.failed"]
        assert "video.completed" in client.webhooks.event_types.list().data
        assert client.webhooks.test(endpoint.id, event_type="video.failed").status_code == 200
        assert [each.id for each in client.webhooks.list()] == [endpoint.id]
        assert client.webhooks.delete(endpoint.id).deleted


@pytest.mark.parametrize(
    "given, param",
    [
        ({"url": "http://192.0.2.1/"}, "url"),
        ({"url": "https://127.0.0.1/"}, "url"),
        ({"url": "https://localhost/hook"}, "url"),
        ({"url": "https://169.254.169.254/latest"}, "url"),
        ({"url": "https://[::1]/"}, "url"),
        ({"url": "https://user:word@192.0.2.1/"}, "url"),
        ({"url": "https:///hook"}, "url"),
        ({"url": "https://1.1.1.1:99999/"}, "url"),
        ({"url": "https://" + "a" * 70 + ".example/"}, "url"),
        ({"url": "https://1.1.1.1/a b"}, "url"),
        ({"event_types": ["video.finished"]}, "event_types"),
        ({"event_types": []}, "event_types"),
        ({"name": ""}, "name"),
    ],
)
def test_an_endpoint_that_cannot_be_meant_is_refused_at_once(client: openai.OpenAI, given: dict[str, object], param: str) -> None:
    asked: dict[str, object] = {"name": "mine", "url": "https://1.1.1.1/hook", "event_types": ["video.failed", "batch.completed"]}
    with pytest.raises(openai.BadRequestError) as caught:
        client.webhooks.create(**(asked | given))  # type: ignore[arg-type]
    assert caught.value.param == param
    made = client.webhooks.create(**asked)  # type: ignore[arg-type]
    assert client.webhooks.delete(made.id).deleted


def test_an_odd_endpoint_keeps_nobody_waiting(tmp_path: Path) -> None:
    with Shop(tmp_path, private_webhooks=True) as shop, listener() as (url, got):
        both = [new_key(shop.store, name) for name in ("theirs", "ours")]
        for key, where in zip(both, (f"{url}?\u00e9", url), strict=True):
            with openai.OpenAI(base_url=f"{shop.url}/v1", api_key=key.secret) as client:
                client.webhooks.create(name="x", url=where, event_types=["video.completed"])
                client.videos.create_and_poll(prompt="x", poll_interval_ms=20)
        assert webhooks.deliver_due(shop.store, shop.services.secret, private=True) == 2
        assert len(got) == 2, "an address that is no ASCII is written as one"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost/", "http://[::1]/", "http://169.254.169.254/", "http://10.0.0.1/", "http://0.0.0.0/",
        "http://[::ffff:127.0.0.1]/", "http://2130706433/", "http://user@192.0.2.1/", "ftp://192.0.2.1/", "http:///x", "http://a b/",
        "http://224.0.0.1/", "http://[64:ff9b::7f00:1]/",
    ],
)  # fmt: skip
def test_no_address_leads_inside(url: str) -> None:
    with pytest.raises(fetch.FetchError):
        fetch.connect(url, time.monotonic() + 1)


def test_a_redirect_is_checked_like_the_first_address(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = fetch.public_address

    def first_is_public(host: str, port: int, *, private: bool = False) -> str:
        asked.append(host)
        return "127.0.0.1" if len(asked) == 1 else real(host, port, private=private)

    class Redirect(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("location", "http://127.0.0.1:1/secret")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    server = http.server.HTTPServer(("127.0.0.1", 0), Redirect)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    monkeypatch.setattr(fetch, "public_address", first_is_public)
    with pytest.raises(fetch.FetchError, match="private"):
        fetch.get(f"http://public.example:{server.server_port}/", most=1000)
    thread.join()
    server.server_close()
    assert asked == ["public.example", "127.0.0.1"]
