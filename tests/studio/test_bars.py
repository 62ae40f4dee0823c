"""What holds on every page: accessible in both themes, no word left in English, nothing wider than a phone, light at the first load."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.shop import Shop, new_key
from tests.server.test_content import ask, finished
from tests.studio.conftest import Visitor

pytestmark = pytest.mark.browser
FIRST_LOAD = 150_000
SERIOUS = ("serious", "critical")
PAGES = (
    "/",
    "/library",
    "/watch/{id}",
    *(f"/edit/{{id}}?verb={verb}" for verb in ("remix", "recut", "extend", "blend", "loop", "inpaint")),
    "/storyboard",
    "/characters",
    "/feed",
    "/verify",
    *(f"/admin/{tab}" for tab in ("keys", "usage", "review", "policy", "workers", "audit")),
)
LATIN = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent, home = walker.currentNode.parentElement;
    if (/[A-Za-z]{3}/.test(text.replace(/Enter|Delete|Ctrl/g, "")) && !home.closest("[translate=no], noscript, script")) found.push(text);
  }
  for (const each of document.querySelectorAll("[aria-label], [title], [placeholder]"))
    for (const name of ["aria-label", "title", "placeholder"]) {
      const text = (each.getAttribute(name) || "").replace(/Enter|Delete|Ctrl/g, "");
      if (/[A-Za-z]{3}/.test(text) && !each.closest("[translate=no]") && !each.matches(".clip-link, video")) found.push(text);
    }
  return found;
}"""


@pytest.fixture(scope="module")
def furnished(shop: Shop, admin: str) -> str:
    """The id of a film of the operator's, beside one that waits for review, a published one and a character."""
    name = finished(shop, admin)
    finished(shop, new_key(shop.store, "author", plan="reviewed").secret)
    ask(shop, "POST", f"/v1/misora/videos/{name}/publish", {}, admin)
    ask(shop, "POST", "/v1/videos/characters", {"name": "空", "video": {"id": name}}, admin)
    ask(shop, "POST", f"/v1/videos/{name}/remix", {"prompt": "y"}, admin)
    return name


def settle(page: Any) -> None:
    """Until the page is drawn."""
    page.wait_for_selector("html[data-ready] main > *")
    page.wait_for_timeout(300)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_has_a_serious_fault_of_access(shop: Shop, admin: str, furnished: str, visitor: Visitor, theme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    axe, found = Axe(), {}
    page = visitor.page(color_scheme=theme, bypass_csp=True)
    page.goto(shop.url)
    settle(page)
    for address in ("signin", *PAGES):
        if address != "signin":
            page.goto(shop.url + address.format(id=furnished))
            settle(page)
        told = axe.run(page).response["violations"]
        wrong = [(each["id"], each["nodes"][0]["html"][:200]) for each in told if each["impact"] in SERIOUS]
        found |= {address: wrong} if wrong else {}
        if address == "signin":
            page.fill("#key", admin)
            page.press("#key", "Enter")
            page.wait_for_selector(".signout")
    assert not found


def test_in_japanese_no_word_is_left_in_english(shop: Shop, admin: str, furnished: str, visitor: Visitor) -> None:
    found = {}
    page = visitor.signed_in(admin, language="ja")
    for address in PAGES:
        page.goto(shop.url + address.format(id=furnished))
        settle(page)
        for each in page.locator("details").all():
            each.evaluate("each => { each.open = true }")
        left = page.evaluate(LATIN)
        found |= {address: left} if left or "⟦" in page.inner_text("body") else {}
    assert page.evaluate("() => document.documentElement.lang") == "ja" and not found


def test_the_language_is_switched_and_kept(shop: Shop, visitor: Visitor) -> None:
    page = visitor.signed_in(shop.key.secret)
    page.click(".language")
    page.wait_for_selector("text=空に、何を映しましょう")
    page.click(".theme")
    page.reload()
    page.wait_for_selector("text=空に、何を映しましょう")
    assert page.evaluate("() => document.documentElement.dataset.theme") == "dark"


def test_nothing_is_wider_than_a_phone(shop: Shop, admin: str, furnished: str, visitor: Visitor) -> None:
    page = visitor.signed_in(admin, viewport={"width": 360, "height": 740}, has_touch=True)
    wide = {}
    for address in PAGES:
        page.goto(shop.url + address.format(id=furnished))
        settle(page)
        over = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        wide |= {address: over} if over > 1 else {}
    assert not wide


def test_the_first_load_is_light_and_quick(shop: Shop, visitor: Visitor) -> None:
    page = visitor.page()
    sizes: list[int] = []
    page.on(
        "requestfinished", lambda request: sizes.append(sum(request.sizes()[name] for name in ("responseBodySize", "responseHeadersSize")))
    )
    page.goto(shop.url)
    settle(page)
    assert len(sizes) > 5 and sum(sizes) <= FIRST_LOAD


def test_every_page_is_reached_by_the_tab_key(shop: Shop, admin: str, furnished: str, visitor: Visitor) -> None:
    page = visitor.signed_in(admin, f"/edit/{furnished}?verb=extend")
    settle(page)
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.outerHTML.slice(0, 300)"))
    told = " ".join(reached)
    assert all(word in told for word in ('href="/library"', 'role="tab"', 'role="slider"', "<textarea", "button main", 'type="radio"'))
