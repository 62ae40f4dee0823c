"""Somebody walks through the studio in a real browser: signs in, makes films, watches them appear; the films are drawn by a fake."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from misora.server.accounts import keys
from misora.server.queue import jobs
from tests.server.shop import Shop, new_key
from tests.studio.conftest import Visitor
from tests.studio.film import Film

pytestmark = pytest.mark.browser
PLAYS = "video => video.readyState >= 2 && video.videoWidth > 0 && video.duration > 3"


def order(page: Any, prompt: str) -> str:
    """Ask for a film from the first page; its id."""
    page.fill(".compose textarea", prompt)
    page.press(".compose textarea", "Control+Enter")
    page.wait_for_url("**/watch/*")
    return str(page.url.rsplit("/", 1)[1])


def test_from_the_first_visit_to_the_finished_film(shop: Shop, visitor: Visitor, film: Callable[..., Film]) -> None:
    film(steps=6, pause=0.7)
    visitor.forgiven = ("401",)  # the wrong key
    page = visitor.page()
    page.goto(shop.url)
    page.fill("#key", "misora-wrong")
    page.press("#key", "Enter")
    page.wait_for_selector("[role=alert]:has-text('no working key')")
    page.fill("#key", shop.key.secret)
    page.press("#key", "Enter")
    page.wait_for_selector(".compose textarea")
    page.fill(".compose textarea", "a lion bounces")
    page.wait_for_selector(".under u:has-text('lion')")
    page.wait_for_selector(".unknown:has-text('lion')")
    page.click(".expanded summary")
    assert page.inner_text(".expanded p").startswith("a lion bounces ")
    order(page, "a red ball bounces")
    seen = set()
    end = time.monotonic() + 60
    while len(seen) < 2 and time.monotonic() < end:
        seen.add(page.evaluate("() => document.querySelector('.preview')?.src || ''"))
        seen.discard("")
        page.wait_for_timeout(60)
    assert len(seen) == 2 and "%" in page.title()
    page.wait_for_selector(".watch .stage > video")
    page.wait_for_function(f"() => ({PLAYS})(document.querySelector('.stage > video'))")
    assert page.inner_text(".side h1") == "a red ball bounces"


def test_a_reload_and_a_second_window_follow_the_same_film(shop: Shop, visitor: Visitor, film: Callable[..., Film]) -> None:
    film(steps=12, pause=0.5)
    page = visitor.signed_in(shop.key.secret)
    name = order(page, "a cone falls")
    page.wait_for_selector(".preview:not([hidden])")
    page.reload()
    page.wait_for_selector(".working .now:has-text('%')")
    other = page.context.new_page()
    visitor.watch(other)
    other.goto(f"{shop.url}/library")
    other.wait_for_selector(".picture.in_progress")
    page.wait_for_selector(".watch .stage > video")
    other.wait_for_selector(".toast:has-text('a cone falls')")
    other.wait_for_selector(f".clip[data-id={name}] img")


HIDE = """(away) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => away });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_a_tab_that_nobody_sees_says_in_its_title_that_a_film_is_done(shop: Shop, visitor: Visitor, film: Callable[..., Film]) -> None:
    film(steps=3, pause=0.4)
    page = visitor.signed_in(shop.key.secret)
    order(page, "a cone spins")
    page.evaluate(HIDE, True)
    page.wait_for_function("() => document.title.startsWith('✓ 1 finished')")
    page.wait_for_selector(".toast:has-text('a cone spins')")
    page.evaluate(HIDE, False)
    assert not page.title().startswith("✓")


def test_where_streams_fail_it_asks(shop: Shop, visitor: Visitor, film: Callable[..., Film]) -> None:
    film(steps=4, pause=0.4)
    visitor.forgiven = ("ERR_FAILED", "ERR_CONNECTION")
    page = visitor.page()
    page.route("**/session/events", lambda route: route.abort())
    page.goto(shop.url)
    page.fill("#key", shop.key.secret)
    page.press("#key", "Enter")
    page.wait_for_selector(".compose textarea")
    order(page, "a cube rolls")
    page.wait_for_selector(".watch .stage > video")


def test_a_lost_network_is_said_and_comes_back(shop: Shop, visitor: Visitor, film: Callable[..., Film]) -> None:
    film(steps=8, pause=0.5)
    visitor.forgiven = ("ERR_INTERNET_DISCONNECTED", "ERR_NETWORK_CHANGED", "ERR_FAILED")
    page = visitor.signed_in(shop.key.secret)
    order(page, "a cone slides")
    page.wait_for_selector(".preview:not([hidden])")
    page.context.set_offline(True)
    page.wait_for_selector(".offline:not([hidden])")
    page.context.set_offline(False)
    page.wait_for_selector(".offline", state="hidden")
    page.click(".menu a[href='/library']")
    page.wait_for_selector(".clip:has-text('a cone slides') img")


def test_cancelling_cancels(shop: Shop, visitor: Visitor, film: Callable[..., Film]) -> None:
    film(steps=60, pause=0.5)
    page = visitor.signed_in(shop.key.secret)
    name = order(page, "a cube spins")
    page.click(".working button")
    page.wait_for_url("**/library")
    assert jobs.get(shop.store, name) is None


def test_a_revoked_key_ends_the_open_studio_within_a_second(shop: Shop, visitor: Visitor) -> None:
    key = new_key(shop.store, "brief")
    page = visitor.signed_in(key.secret)
    page.evaluate(
        """() => { new MutationObserver(() => { window.told ||= document.querySelector('.toast.error') && Date.now(); })
                   .observe(document.body, { childList: true, subtree: true }); }"""
    )
    keys.revoke(shop.store, key_id=key.id)
    began = time.time()
    page.wait_for_selector(".toast.error:has-text('ended by the operator')")
    assert page.evaluate("() => window.told") / 1000 - began < 1
    page.wait_for_selector("#key")


@pytest.mark.parametrize(
    "prompt",
    [
        "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script> & \"quotes\" 'too'",
        "\u202egnitirw sdrawkcab \u2066mixed\u2069 \u0645\u0631\u062d\u0628\u0627",
        "x" * 30_000,
    ],
    ids=["markup", "direction", "long"],
)
def test_whatever_was_typed_is_shown_as_text(shop: Shop, visitor: Visitor, prompt: str) -> None:
    page = visitor.signed_in(shop.key.secret)
    order(page, prompt)
    page.wait_for_selector(".watch .stage > video")
    assert page.evaluate("() => document.querySelector('.side h1').textContent") == prompt
    assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 1
    page.click(".actions button[title='Copy as code']")
    assert prompt[:20] in page.inner_text("pre.code").replace('\\"', '"')
    page.goto(f"{shop.url}/library")
    page.wait_for_selector(".clip")
    assert "owned" not in page.title() and page.evaluate("() => document.querySelectorAll('main img[src=x], main script').length") == 0
