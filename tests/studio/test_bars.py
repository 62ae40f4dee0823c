"""What holds on every page and window: open to everybody in both themes, in either language, by keys, on a phone; light at first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server.shop import Shop, new_key
from tests.server.test_content import ask, finished
from tests.studio.access import NEWS, faults
from tests.studio.conftest import Visitor
from tests.studio.film import Film

pytestmark = pytest.mark.browser
FIRST_LOAD, REQUESTS = 150_000, 20  # bytes over the wire, and files and answers; bench.studio takes the time
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
PAGES = (
    "/",
    "/library",
    "/watch/{id}",
    *(f"/edit/{{id}}?verb={verb}" for verb in ("remix", "recut", "extend", "blend", "loop", "inpaint")),
    "/storyboard",
    "/characters",
    "/feed",
    "/verify",
    *(f"/admin/{tab}" for tab in ("keys", "accounts", "usage", "review", "policy", "workers", "audit")),
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
    page.wait_for_timeout(120)  # what is asked for once it is drawn


def test_every_page_is_open_to_everybody(shop: Shop, admin: str, furnished: str, visitor: Visitor) -> None:
    page = visitor.page(bypass_csp=True)
    page.goto(shop.url)
    settle(page)
    found: dict[str, list[Any]] = {"signin": faults(page)}
    enter(page, admin)
    for address in PAGES:
        page.goto(shop.url + address.format(id=furnished))
        settle(page)
        found[address] = [*faults(page), *unreached(page), *too_wide(page)]
    assert not any(found.values()), found


def test_in_japanese_no_word_is_left_in_english(shop: Shop, admin: str, furnished: str, visitor: Visitor) -> None:
    page = visitor.page(language="ja", has_touch=True)
    page.goto(shop.url)
    settle(page)
    found: dict[str, list[Any]] = {"signin": left(page)}
    enter(page, admin)
    for address in PAGES:
        page.goto(shop.url + address.format(id=furnished))
        settle(page)
        wide = too_wide(page)
        for each in page.locator("details").all():
            each.evaluate("each => { each.open = true }")
        found[address] = [*left(page), *wide]
    assert page.evaluate("() => document.documentElement.lang") == "ja" and not any(found.values()), found


REACH = """() => {
  const wanted = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, canvas[tabindex]")]
    .filter((each) => each.tabIndex >= 0 && !each.disabled && each.checkVisibility({ visibilityProperty: true }));
  window.left = new Set(wanted);
  addEventListener("focusin", ({ target }) => {
    for (const each of [...window.left])
      if (each === target || each.type === "radio" && each.name === target.name) window.left.delete(each);
  });
  document.activeElement.blur();
  return wanted.length;
}"""


def unreached(page: Any) -> list[str]:
    """Controls that the tab key does not come to."""
    for _ in range(page.evaluate(REACH) + 12):  # a film's own controls are stops as well
        page.keyboard.press("Tab")
    return list(page.evaluate("() => [...window.left].map((each) => each.outerHTML.slice(0, 160))"))


def too_wide(page: Any) -> list[int]:
    """By how many pixels the page is wider than a phone, if it is."""
    page.set_viewport_size(PHONE)
    page.wait_for_timeout(30)
    over = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    page.set_viewport_size(DESK)
    return [over] if over > 1 else []


def enter(page: Any, key: str) -> None:
    """Sign in on the page that is shown."""
    page.fill("#key", key)
    page.press("#key", "Enter")
    page.wait_for_selector(".signout")


def left(page: Any) -> list[str]:
    """What the page says without having words for it in its language."""
    return [*page.evaluate(LATIN), *(["⟦"] if "⟦" in page.inner_text("body") else [])]


def typed(page: Any) -> None:
    """A word that nobody learned."""
    page.fill(".compose textarea", "a lion bounces")
    page.wait_for_selector(".unknown:has-text('lion')")


def opened(page: Any) -> None:
    """What a file says of itself."""
    page.click(".provenance summary")
    page.wait_for_selector(".provenance .verdict")


def deleted(page: Any) -> None:
    """Gone, with a way back."""
    page.focus(".vgrid a")
    page.keyboard.press("Delete")
    page.hover(".toast")  # as long as somebody points at it, it stays


def reported(page: Any) -> None:
    """The way from a published clip to what is wrong with it."""
    page.click(".feed .clip a")
    page.click("dialog footer .icon-button >> nth=-1")
    page.wait_for_selector("dialog textarea")


def judged(page: Any) -> None:
    """What the rules say."""
    page.fill("textarea", "赤い球")
    page.click(".panel footer .button")
    page.wait_for_selector(".verdict")


def created(page: Any) -> None:
    """A key that is shown once."""
    page.fill(".panel input[type=text] >> nth=0", "鍵")
    page.click(".panel footer .button")
    page.wait_for_selector(".key-secret")


def revoked(page: Any) -> None:
    """The question before a key ends."""
    page.click("tr:has(b:text-is('鍵')) .button.danger")
    page.wait_for_selector("dialog footer .button.danger")


def lost(page: Any) -> None:
    """No server in reach."""
    page.evaluate('async () => { (await import("/studio/live.js")).stop(); (await import("/studio/state.js")).tell("online", false); }')
    page.wait_for_selector(".offline:not([hidden])")


def refused(press: str) -> Callable[[Any], Any]:
    """A button that was pressed too soon says what is missing."""
    return lambda page: (page.click(press), page.wait_for_selector(".toast.error"))


MOMENTS: list[tuple[str, Callable[[Any], Any]]] = [
    ("/", typed),
    ("/", lambda page: (page.fill(".compose textarea", ""), page.click(".compose footer button"), page.wait_for_selector(".toast"))),
    ("/watch/{id}", opened),
    ("/watch/{id}", lambda page: (page.click(".actions button >> nth=1"), page.wait_for_selector("dialog .code"))),
    ("/watch/{id}", lambda page: (page.click(".actions button >> nth=3"), page.wait_for_selector("dialog .code"))),
    ("/watch/video_none", lambda page: page.wait_for_selector(".empty h1")),
    ("/edit/{id}?verb=blend", lambda page: (page.click(".blend .button"), page.wait_for_selector(".picker-item"))),
    ("/library", deleted),
    ("/feed", lambda page: (page.click(".feed .clip a"), page.wait_for_selector("dialog video"))),
    ("/feed", reported),
    ("/admin/policy", judged),
    ("/admin/keys", created),
    ("/admin/keys", revoked),
    ("/storyboard", refused(".board > footer .button.main")),
    ("/characters", refused(".panel footer .button")),
    ("/edit/{id}?verb=inpaint", refused(".edit-form footer .button.main")),
    ("/edit/{id}?verb=blend", refused(".edit-form footer .button.main")),
    ("/edit?upload=1", lambda page: page.wait_for_selector(".empty p")),
    ("/verify", lost),
]


def test_nor_is_one_in_windows_and_messages_which_are_open_to_everybody(
    shop: Shop, admin: str, furnished: str, visitor: Visitor, film: Callable[..., Film]
) -> None:
    visitor.forgiven = ("404",)  # the video that is not there
    page = visitor.page(language="ja")
    page.goto(shop.url)
    page.fill("#key", " ")
    page.press("#key", "Enter")
    page.wait_for_selector(".wrong:not(:empty)")
    found = [*left(page), *faults(page)]
    enter(page, admin)
    for address, act in MOMENTS:
        page.goto(shop.url + address.format(id=furnished))
        settle(page)
        act(page)
        found += [(address, each) for each in (*left(page), *faults(page, NEWS))]
        if act is deleted:
            page.click(".toast .button")  # undone
    film(steps=60, pause=0.5)
    page.set_viewport_size(PHONE)  # the menu at its foot
    page.goto(shop.url)
    page.fill(".compose textarea", "赤い球が弾む")
    page.press(".compose textarea", "Control+Enter")
    page.wait_for_selector(".working .now:has-text('%')")
    found += [*left(page), *page.evaluate("title => /[A-Za-z]{3}/.test(title.replace('Misora', '')) ? [title] : []", page.title())]
    found += faults(page)
    page.click(".working button")
    page.wait_for_selector(".toast")
    found += [*left(page), *faults(page, NEWS)]
    assert not found, found


def test_a_verified_file_is_told_in_japanese(shop: Shop, furnished: str, visitor: Visitor, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes((shop.files.folder(furnished) / "1" / "video.mp4").read_bytes())
    page = visitor.page(language="ja")
    page.goto(f"{shop.url}/verify")
    page.set_input_files("input[type=file]", path)
    page.wait_for_selector(".verdict.unsigned")
    assert not left(page)


def test_the_language_is_switched_and_kept(shop: Shop, visitor: Visitor) -> None:
    page = visitor.signed_in(shop.key.secret)
    page.click(".language")
    page.wait_for_selector("text=空に、何を映しましょう")
    page.click(".theme")
    page.reload()
    page.wait_for_selector("text=空に、何を映しましょう")
    assert page.evaluate("() => document.documentElement.dataset.theme") == "dark"


def test_the_first_load_is_light(shop: Shop, visitor: Visitor) -> None:
    page = visitor.page()
    sizes: list[int] = []
    page.on(
        "requestfinished", lambda request: sizes.append(sum(request.sizes()[name] for name in ("responseBodySize", "responseHeadersSize")))
    )
    page.goto(shop.url)
    page.wait_for_selector("html[data-ready] #key")
    assert 5 < len(sizes) <= REQUESTS and sum(sizes) <= FIRST_LOAD, (len(sizes), sum(sizes))
    files = page.evaluate("() => performance.getEntriesByType('resource').map((each) => [each.name, each.renderBlockingStatus])")
    waited = [name.removeprefix(shop.url) for name, status in files if status == "blocking"]
    assert waited and all(name.startswith("/studio/style/") for name in waited), waited
    assert page.evaluate("() => performance.getEntriesByName('ready').length") == 1  # what the bench reads
