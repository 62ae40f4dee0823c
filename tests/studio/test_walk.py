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
    page.wait_for_timeout(600)
    began = time.monotonic()
    keys.revoke(shop.store, key_id=key.id)
    page.wait_for_selector(".toast.error:has-text('ended by the operator')")
    assert time.monotonic() - began < 3  # a second, and a busy machine's patience
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


CONTROLS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], Any]] = {
    "shape": (lambda page: page.check("input[value='9:16']", force=True), lambda job: job.size, "384x704"),
    "size": (lambda page: page.check("legend:has-text('Size') + .row input[value='1']", force=True), lambda job: job.size, "1280x720"),
    "seconds": (lambda page: page.fill("#seconds", "7"), lambda job: job.seconds, 7),
    "style": (lambda page: page.select_option("label:text-is('Style') + select", "night"), lambda job: "night" in job.prompt, True),
    "camera": (lambda page: page.select_option("label:text-is('Camera') + select", "zoom in"), lambda job: "zooms in" in job.prompt, True),
    "seed": (lambda page: page.fill("label:text-is('Seed') + input", "42"), lambda job: job.request["seed"], 42),
    "negative": (lambda page: page.fill("label:text-is('What not to show') + input", "x"), lambda job: job.request["negative_prompt"], "x"),
    "guidance": (lambda page: page.fill("label:text-is('Guidance') + input", "5.5"), lambda job: job.request["guidance"], 5.5),
    "steps": (lambda page: page.fill("label:text-is('Steps') + input", "9"), lambda job: job.request["steps"], 9),
    "model": (lambda page: page.select_option("label:text-is('Model') + select", "misora"), lambda job: job.model, "misora"),
    "loop": (lambda page: page.check("text=Loop without an end"), lambda job: job.request["loop"], True),
}


def test_each_control_changes_what_is_made(shop: Shop, visitor: Visitor, film: Callable[..., Film]) -> None:
    made = film(shrink=8)
    page = visitor.signed_in(shop.key.secret)
    for name, (move, look, wanted) in CONTROLS.items():
        page.evaluate("() => localStorage.clear()")
        page.goto(shop.url)
        page.wait_for_selector(".compose textarea")
        page.click(".more summary")
        before = len(made.jobs)
        move(page)
        order(page, "a ball rolls")
        page.wait_for_selector(".watch .stage > video")
        assert look(made.jobs[before]) == wanted, name
    page.evaluate("() => localStorage.clear()")
    page.goto(shop.url)
    page.fill("label:text-is('Variations') + input", "3")
    before = len(made.jobs)
    page.fill(".compose textarea", "a ball rolls")
    page.click(".compose footer button")
    page.wait_for_selector(".toast:has-text('3 videos')")
    while len(made.jobs) < before + 3:
        page.wait_for_timeout(100)
    first = made.jobs[before].request["seed"]
    assert [job.request["seed"] for job in made.jobs[before:]] == [first, first + 1, first + 2]
