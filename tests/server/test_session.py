"""Signing in from a browser: the cookie, the token against forgery, the end of the key; it knows nothing of pages."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time

import pytest

from misora.server.accounts import keys
from misora.server.accounts.plans import Plan, Plans
from misora.server.api.session import COOKIE, TOKEN
from tests.server.shop import Shop, new_key
from tests.server.test_content import finished

PLANS = Plans({"tight": Plan(requests_per_minute=2)})


def ask(shop: Shop, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """One request without a key."""
    connection = http.client.HTTPConnection(shop.url.removeprefix("http://"), timeout=20)
    sent = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, json.dumps(body) if body is not None else None, sent)
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


def signed_in(shop: Shop, secret: str | None = None) -> dict[str, str]:
    """The headers of somebody who signed in: the cookie and the token."""
    code, headers, body = ask(shop, "POST", "/v1/misora/session", {"key": secret or shop.key.secret})
    assert code == 200, body
    return {"cookie": headers["set-cookie"].split(";")[0], TOKEN: json.loads(body)["token"]}


def test_the_cookie_is_out_of_reach_and_holds_no_secret(shop: Shop) -> None:
    headers = ask(shop, "POST", "/v1/misora/session", {"key": shop.key.secret})[1]
    cookie = headers["set-cookie"]
    assert re.search("httponly", cookie, re.I) and re.search("samesite=strict", cookie, re.I) and "Path=/" in cookie
    assert shop.key.secret.split("-")[2] not in cookie


def test_a_session_may_look_and_with_its_token_change(shop: Shop) -> None:
    both = signed_in(shop)
    alone = {"cookie": both["cookie"]}
    assert ask(shop, "GET", "/v1/videos", **alone)[0] == 200
    assert ask(shop, "HEAD", "/v1/misora/session/events", **alone)[0] == 200, "which ends at once"
    code, _, body = ask(shop, "POST", "/v1/videos", {"prompt": "x"}, **alone)
    assert code == 403 and json.loads(body)["error"]["code"] == "csrf"
    assert ask(shop, "POST", "/v1/videos", {"prompt": "x"}, **alone | {TOKEN: "0" * 64})[0] == 403
    assert ask(shop, "POST", "/v1/videos", {"prompt": "x"}, **both)[0] == 200


def test_a_foreign_form_cannot_sign_in(shop: Shop) -> None:
    assert ask(shop, "POST", "/v1/misora/session", {"key": shop.key.secret}, content_type="text/plain")[0] == 415
    assert ask(shop, "POST", "/v1/misora/session", {"key": "misora-nothing"})[0] == 401


@pytest.mark.parametrize("wrong", ["", "a.b.c.d", "x" * 5000, "abc.99999999999.00.ffff"])
def test_a_made_up_cookie_is_nobody(shop: Shop, wrong: str) -> None:
    assert json.loads(ask(shop, "GET", "/v1/misora/session", cookie=f"{COOKIE}={wrong}")[2]) == {"signed_in": False}
    assert ask(shop, "GET", "/v1/videos", cookie=f"{COOKIE}={wrong}")[0] == 401


def test_a_revoked_key_ends_its_session_and_its_stream_within_a_second(shop: Shop) -> None:
    key = new_key(shop.store, "brief")
    both = signed_in(shop, key.secret)
    heard: list[tuple[float, bytes]] = []

    def listen() -> None:
        said = ask(shop, "GET", "/v1/misora/session/events", **both)[2]
        heard.append((time.monotonic(), said))

    thread = threading.Thread(target=listen)
    thread.start()
    time.sleep(0.2)
    began = time.monotonic()
    keys.revoke(shop.store, key_id=key.id)
    thread.join(5)
    assert 0 < heard[0][0] - began < 1 and b"event: end" in heard[0][1]
    assert json.loads(ask(shop, "GET", "/v1/misora/session", **both)[2]) == {"signed_in": False}
    code, _, body = ask(shop, "GET", "/v1/videos", **both)
    assert code == 401 and json.loads(body)["error"]["code"] == "session_ended"


def test_the_library_is_searched_and_marked(shop: Shop) -> None:
    key = new_key(shop.store, "reader")
    both = signed_in(shop, key.secret)
    names = [json.loads(ask(shop, "POST", "/v1/videos", {"prompt": text}, **both)[2])["id"] for text in ("赤いボール 100%", "a Blue cube")]

    def listed(query: str) -> list[str]:
        return [each["id"] for each in json.loads(ask(shop, "GET", f"/v1/misora/videos?{query}", **both)[2])["data"]]

    assert listed("q=blue") == [names[1]] and listed("q=100%25") == [names[0]] and listed("q=%25") == [names[0]]
    assert listed(f"q={names[0][:14]}") == [names[0]] and listed("q=_") == []
    assert listed("") == names[::-1] and listed(f"limit=1&after={names[1]}") == [names[0]] and listed("favourite=true") == []
    assert ask(shop, "POST", f"/v1/misora/videos/{names[0]}/favourite", {"favourite": True}, **both)[0] == 200
    assert listed("favourite=true") == [names[0]]
    ask(shop, "POST", f"/v1/misora/videos/{names[0]}/favourite", {"favourite": False}, **both)
    assert listed("favourite=true") == []


def test_a_family_is_told_from_both_sides(shop: Shop) -> None:
    key = new_key(shop.store, "parent")
    both, parent = signed_in(shop, key.secret), finished(shop, key.secret)
    child = json.loads(ask(shop, "POST", f"/v1/videos/{parent}/remix", {"prompt": "y"}, **both)[2])["id"]
    for name in (parent, child):
        rows = json.loads(ask(shop, "GET", f"/v1/misora/videos/{name}/family", **both)[2])["data"]
        assert [(row["id"], row["parents"]) for row in rows] == [(parent, []), (child, [parent])]


def test_prompts_are_dressed_expanded_and_read(shop: Shop) -> None:
    both = signed_in(shop)
    asked = {"prompt": "a lion rolls", "style": "night", "camera": "pan left"}
    told = json.loads(ask(shop, "POST", "/v1/misora/prompts", asked, **both)[2])
    assert told["prompt"].startswith("a lion rolls, ") and "night" in told["prompt"] and "pans to the left" in told["prompt"]
    assert told["expanded"].startswith(told["prompt"]) and [each["word"] for each in told["unknown"]] == ["lion"]
    known = json.loads(ask(shop, "GET", "/v1/misora/presets", **both)[2])
    assert "night" in [style["name"] for style in known["styles"]] and "plans" not in known


def test_characters_are_listed_shown_and_forgotten(shop: Shop) -> None:
    key = new_key(shop.store, "director")
    both, video = signed_in(shop, key.secret), finished(shop, key.secret)
    name = json.loads(ask(shop, "POST", "/v1/videos/characters", {"name": "Sora", "video": {"id": video}}, **both)[2])["id"]
    assert [each["id"] for each in json.loads(ask(shop, "GET", "/v1/misora/characters", **both)[2])["data"]] == [name]
    assert ask(shop, "GET", f"/v1/misora/characters/{name}/content", **both)[0] == 200
    assert ask(shop, "DELETE", f"/v1/misora/characters/{name}", **signed_in(shop))[0] == 404
    assert ask(shop, "DELETE", f"/v1/misora/characters/{name}", **both)[0] == 200
    assert json.loads(ask(shop, "GET", "/v1/misora/characters", **both)[2])["data"] == []


def test_a_page_may_look_at_more_than_it_may_do(shop: Shop) -> None:
    both = signed_in(shop, new_key(shop.store, "tight", plan="tight").secret)
    assert {ask(shop, "GET", "/v1/videos", **both)[0] for _ in range(15)} == {200}
    assert [ask(shop, "POST", "/v1/misora/prompts", {"prompt": "x"}, **both)[0] for _ in range(3)] == [200, 200, 429]
