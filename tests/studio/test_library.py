"""A library of a thousand clips: only what is seen is in the page, and the keyboard reaches everything; nothing is rendered."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import insert, select

from misora.server.queue import jobs
from misora.server.store.tables import videos
from tests.server.shop import Shop, new_key
from tests.server.test_content import finished
from tests.studio.conftest import Visitor

pytestmark = pytest.mark.browser
MANY = 1000


@pytest.fixture(scope="module")
def rich(shop: Shop) -> str:
    """The secret of somebody with a thousand clips, which share one film."""
    key = new_key(shop.store, "rich")
    first = finished(shop, key.secret)
    with shop.store.write() as db:
        row = dict(db.execute(select(videos).where(videos.c.id == first)).mappings().one())
        del row["seq"]
        rows = [row | {"id": f"video_{place:032x}", "prompt": f"clip number {place}"} for place in range(1, MANY)]
        db.execute(insert(videos), rows)
    return key.secret


def clips(page: Any) -> int:
    """How many clips are in the page."""
    return int(page.locator(".vgrid .clip").count())


def held(page: Any) -> tuple[int, float]:
    """What the page holds once the garbage is gone: nodes of the document and beside it, and megabytes of the heap."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    for _ in range(3):
        session.send("HeapProfiler.collectGarbage")
    told = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return int(told["Nodes"]), told["JSHeapUsedSize"] / 1e6


SCROLL = """async (down) => { // three screens each frame, until the end stays the end; the most clips that the page held
  const wait = () => new Promise(requestAnimationFrame), bar = document.documentElement;
  let most = 0, still = 0;
  for (let i = 0; i < 4000 && still < 20; i += 1) {
    scrollBy(0, down * innerHeight * 3);
    await wait();
    most = Math.max(most, document.querySelectorAll(".vgrid .clip").length);
    const ended = down > 0 ? scrollY + innerHeight >= bar.scrollHeight - 2 : scrollY === 0;
    still = ended ? still + 1 : 0;
  }
  return most;
}"""


def test_a_thousand_clips_scroll_in_little_memory(rich: str, visitor: Visitor) -> None:
    page = visitor.signed_in(rich, "/library")
    page.wait_for_selector(f".count:has-text('{MANY:,} clips')")
    page.wait_for_selector(".vgrid .clip")
    last = ".vgrid .clip-link[aria-label^='x,']"  # the oldest of them
    while not page.locator(last).count():
        assert page.evaluate(SCROLL, 1) <= 60
    assert page.evaluate(SCROLL, -1) <= 60
    page.wait_for_selector(f".clip[data-id='video_{MANY - 1:032x}']")
    nodes, heap = held(page)
    page.evaluate(SCROLL, 1)
    page.evaluate(SCROLL, -1)
    again, later = held(page)
    assert max(nodes, again) < 1500 and later <= heap + 1.5, (nodes, again, heap, later)  # all clips at once would be 20 000 nodes


FRAMES = """async () => { // 150 pixels each frame, some screens a second; how many frames
  const wait = () => new Promise(requestAnimationFrame);
  let count = 0;
  for (; count < 150; count += 1) { scrollBy(0, 150); await wait(); }
  return count;
}"""


def test_scrolling_leaves_time_in_every_frame(rich: str, visitor: Visitor) -> None:
    page = visitor.signed_in(rich, "/library")
    page.wait_for_selector(".vgrid .clip img")
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})  # processor time: what others do on this machine is not the page's
    before = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    frames = page.evaluate(FRAMES)
    after = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    spent = {name: (after[name] - before[name]) / frames for name in ("TaskDuration", "LayoutCount")}
    assert spent["TaskDuration"] < 0.0167 and spent["LayoutCount"] < 2, (frames, spent)
    page.wait_for_function("() => [...document.querySelectorAll('.vgrid img')].every((each) => each.complete && each.naturalWidth)")


def test_the_keyboard_moves_marks_deletes_and_opens(shop: Shop, rich: str, visitor: Visitor) -> None:
    page = visitor.signed_in(rich, "/library")
    page.wait_for_selector(".vgrid .clip")
    page.locator(".vgrid a").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    name = page.evaluate("() => document.activeElement.closest('.clip').dataset.id")
    assert name == f"video_{MANY - 2:032x}"
    page.keyboard.press("f")
    page.wait_for_selector(f".clip[data-id={name}] .loved")
    page.keyboard.press("/")
    page.keyboard.type("number 77")
    page.wait_for_selector(".count:has-text('19 clips')")  # each word is sought by itself
    page.fill("input[type=search]", "")
    page.check("input[value=true]", force=True)
    page.wait_for_selector(".count:has-text('1 clip')")
    page.locator(".vgrid a").first.focus()
    page.keyboard.press("Delete")
    page.wait_for_selector(".toast:has-text('Deleted')")
    assert clips(page) == 0
    page.click(".toast button:has-text('Undo')")
    page.wait_for_selector(f".clip[data-id={name}]")
    assert jobs.get(shop.store, name) is not None
    page.locator(".vgrid a").first.focus()
    page.keyboard.press("Delete")
    page.goto(shop.url)  # leaving the page does not bring it back
    end = time.monotonic() + 20
    while jobs.get(shop.store, name) is not None and time.monotonic() < end:
        time.sleep(0.1)
    assert jobs.get(shop.store, name) is None


def test_a_clip_is_scrubbed_and_played_under_the_pointer(rich: str, visitor: Visitor) -> None:
    page = visitor.signed_in(rich, "/library")
    page.emulate_media(reduced_motion="no-preference")
    page.wait_for_selector(".vgrid .clip img")
    box = page.locator(".picture").first.bounding_box()
    page.mouse.move(box["x"] + 4, box["y"] + 20)
    page.mouse.move(box["x"] + 10, box["y"] + 20)
    first = page.evaluate("() => document.querySelector('.sheet').style.backgroundPosition")
    page.mouse.move(box["x"] + box["width"] - 6, box["y"] + 20)
    assert page.evaluate("() => document.querySelector('.sheet').style.backgroundPosition") != first
    page.wait_for_selector(".picture.playing video", state="attached")
    page.mouse.move(2, 2)
    page.wait_for_selector(".picture video", state="detached")
