"""What a person does early holds, whatever arrives late: nothing moves under the pointer or takes the keyboard; nothing is drawn."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.server.shop import Shop
from tests.server.test_content import finished
from tests.studio.conftest import Visitor

pytestmark = pytest.mark.browser
WISH = {"prompt": "a lion bounces", "style": "night"}
LATE = ("**/v1/misora/prompts", "**/v1/misora/videos?limit=8")
PLACES = """() => [...document.querySelectorAll(".compose :is(input, select, textarea, label, summary, footer button)")].map((each) => {
  const { x, y, width, height } = each.getBoundingClientRect();
  return [each.outerHTML.slice(0, 90), x, y + scrollY, width, height];
})"""


def held_back(page: Any, patterns: tuple[str, ...]) -> list[Any]:
    """Answers that wait until somebody lets them go on."""
    held: list[Any] = []
    for pattern in patterns:
        page.route(pattern, lambda route: held.append(route))
    return held


@pytest.mark.parametrize("given", [{}, {"viewport": {"width": 390, "height": 844}}], ids=["desk", "phone"])
def test_late_answers_move_nothing_and_undo_nothing(shop: Shop, visitor: Visitor, given: dict[str, Any]) -> None:
    finished(shop)
    page = visitor.signed_in(shop.key.secret, "/verify", **given)
    page.evaluate("wish => localStorage.setItem('misora.wish', wish)", json.dumps(WISH))
    held = held_back(page, LATE)
    page.goto(shop.url)
    page.check("legend:text-is('Size') + .row input[value='1']")
    page.click("label:text-is('Variations') + input", click_count=3)
    while len(held) < len(LATE):
        page.wait_for_timeout(20)
    before = page.evaluate(PLACES)
    for route in held:
        route.continue_()
    for late in (".unknown:has-text('lion')", ".expanded:not(.idle)", ".compose > .hint:has-text('night')", ".recent .clip"):
        page.wait_for_selector(late)
    assert page.evaluate(PLACES) == before
    page.keyboard.type("3")
    assert page.input_value("label:text-is('Variations') + input") == "3" and page.is_checked(
        "legend:text-is('Size') + .row input[value='1']"
    )
    kept = json.loads(page.evaluate("() => localStorage.getItem('misora.wish')"))
    assert (kept["size"], kept["variations"], kept["prompt"], kept["style"]) == (1, 3, WISH["prompt"], "night")


def test_a_fuller_prompt_stays_open_while_the_next_one_is_asked_for(shop: Shop, visitor: Visitor) -> None:
    page = visitor.signed_in(shop.key.secret)
    page.fill(".compose textarea", "a red ball bounces")
    page.click(".expanded summary")
    page.fill(".compose textarea", "a blue cube falls")
    page.wait_for_selector(".expanded p:has-text('a blue cube falls')")
    page.click(".expanded button")
    assert page.input_value(".compose textarea").startswith("a blue cube falls")
