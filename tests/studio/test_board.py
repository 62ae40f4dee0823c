"""The storyboard's controls, moved in the browser, change the decoded film as they are named; drawn by the embedded weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from torch import Tensor

from misora.server.queue.job import Job
from tests.server.shop import Shop
from tests.studio.drawn import Guest, apart, steps

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser
RATE = 24
SAME = 4.0  # grey levels between frames that were kept: the watermark and the codec
DAY, NIGHT = "a red ball stands still on grass by day", "a white cone stands still on a black floor at night"
ROLLS = "a red ball rolls to the right on grass by day"  # what can come of the first card without a cut
NOTHING: Callable[[Any], Any] = lambda page: None


@pytest.fixture(scope="module")
def teller(browser: Browser, shop: Shop) -> Iterator[Guest]:
    """Somebody at the storyboard."""
    made = Guest(browser, shop)
    made.drawn.steps = 3  # with fewer the words are hardly heard
    yield made
    made.visitor.close()


def boarded(guest: Guest, words: tuple[str, str] = (DAY, DAY), move: Callable[[Any], Any] = NOTHING) -> tuple[Job, Tensor]:
    """The film of a board of four seconds with two cards, once something was moved; its job and its frames."""
    page = guest.page
    page.evaluate("() => localStorage.removeItem('misora.board')")
    page.goto(f"{guest.shop.url}/storyboard")
    page.fill("#board-seconds", "4")
    for place, each in enumerate(words):
        page.locator(".card textarea").nth(place).fill(each)
    page.fill(".board > .prompt textarea", "on a beach")
    page.fill("label:text-is('Seed') + input", "5")
    move(page)
    return guest.film(lambda: page.click(".board > footer .button.main"))


def apart_by_a_second(page: Any) -> None:
    """Room between the two cards."""
    page.focus("[data-grip='0-to']")
    for _ in range(4):
        page.keyboard.press("ArrowLeft")


def test_cards_rule_their_seconds_and_a_gap_belongs_to_both(teller: Guest) -> None:
    _, plain = boarded(teller)
    job, told = boarded(teller, (DAY, ROLLS))
    assert [card["prompt"] for card in job.request["storyboard"]] == [DAY, ROLLS]
    assert apart(plain[:40], told[:40]) < SAME < apart(plain[60:], told[60:])
    job, gap = boarded(teller, (DAY, ROLLS), apart_by_a_second)
    cards = job.request["storyboard"]
    assert [(card["prompt"], card["seconds"]) for card in cards] == [(DAY, 1), (f"{DAY} {ROLLS}", 1), (ROLLS, 2)]
    assert job.prompt == "on a beach" and job.seconds == 4 and len(gap) == 4 * RATE
    same, other = (apart(told[part], gap[part]) for part in (slice(18), slice(26, 48)))
    assert same < SAME and other > same, (same, other)


def test_a_card_may_begin_with_a_cut(teller: Guest) -> None:
    job, cut = boarded(teller, (DAY, NIGHT), lambda page: page.locator(".card").nth(1).locator("input[type=checkbox]").check())
    assert job.request["storyboard"][1]["cut"]
    _, plain = boarded(teller)
    assert apart(plain[:40], cut[:40]) < SAME < apart(plain[60:], cut[60:])
    moved = steps(cut)[:-1]
    assert abs(int(moved.argmax()) - (2 * RATE - 1)) <= 4 and moved.max() > 5 * moved.median()  # at the next latent frame


def test_a_board_has_the_shape_that_was_chosen(teller: Guest) -> None:
    job, square = boarded(teller, move=lambda page: page.check("input[value='512x512']", force=True))
    assert job.size == "512x512" and square.shape == (4 * RATE, 512, 512, 3)
