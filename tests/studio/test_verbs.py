"""Each verb as a person reaches it, and what is asked of the renderer in the end; the films are drawn by a fake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from misora.server.queue import cast, jobs
from misora.server.queue.job import Job
from tests.server.shop import Shop
from tests.server.test_content import finished
from tests.studio.conftest import Visitor
from tests.studio.film import Film

pytestmark = pytest.mark.browser


def made(page: Any, film: Film, press: str = ".edit-form footer .button.main") -> Job:
    """Press the button, wait for the film, and give its job."""
    before = len(film.jobs)
    page.click(press)
    page.wait_for_url("**/watch/*")
    page.wait_for_selector(".watch .stage > video")
    return film.jobs[before]


def edit(visitor: Visitor, shop: Shop, verb: str) -> tuple[Any, str]:
    """The editor, open at a verb, and the clip's id."""
    name = finished(shop)
    page = visitor.signed_in(shop.key.secret, f"/edit/{name}?verb={verb}")
    page.wait_for_selector("[role=tab][aria-selected=true]")
    page.fill(".edit-form textarea", f"now {verb}")
    return page, name


def slide(page: Any, handle: str, times: int, key: str = "ArrowRight") -> None:
    """Move a handle of the timeline by keys."""
    page.focus(f".knob[data-name={handle}]")
    for _ in range(times):
        page.keyboard.press(key)


def test_remix_how_strongly(shop: Shop, visitor: Visitor, film: Callable[..., Film]) -> None:
    page, name = edit(visitor, shop, "remix")
    page.check("input[value=subtle]", force=True)
    job = made(page, film())
    assert (job.verb, job.remixed_from, job.request["strength"], job.prompt) == ("remix", name, 0.4, "now remix")
    page.wait_for_selector(".family .tree ul a[aria-current=true]")


def test_recut_makes_a_span_anew_or_keeps_it_alone(shop: Shop, visitor: Visitor, film: Callable[..., Film]) -> None:
    page, name = edit(visitor, shop, "recut")
    slide(page, "from", 5)
    job = made(page, film())
    assert job.verb == "inpaint" and (job.request["inpaint"]["from"], job.request["inpaint"]["to"]) == (1.5, 3)
    page.goto(f"{shop.url}/edit/{name}?verb=recut")
    page.check("input[value=keep]", force=True)
    job = made(page, film())
    assert job.verb == "edit" and job.request["trim"] == {"from": 1, "to": 3} and job.request["strength"] == 0 and job.seconds == 2


def test_extend_is_dragged_longer_and_turned_round(shop: Shop, visitor: Visitor, film: Callable[..., Film]) -> None:
    page, name = edit(visitor, shop, "extend")
    box = page.locator(".knob[data-name=more]").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 20, steps=4)
    page.mouse.up()
    job = made(page, film())
    assert job.verb == "extend" and 4 < job.request["new_seconds"] <= 20 and job.seconds == 4 + job.request["new_seconds"]
    page.goto(f"{shop.url}/edit/{name}?verb=extend")
    page.check("input[value=before]", force=True)
    slide(page, "to", 10, "ArrowLeft")
    job = made(page, film())
    assert job.request["backward"] and job.request["trim"] == {"from": 0, "to": 3} and job.seconds == 7


def test_blend_with_a_gap(shop: Shop, visitor: Visitor, film: Callable[..., Film]) -> None:
    other = finished(shop)
    page, name = edit(visitor, shop, "blend")
    page.click(".edit-form footer .button.main")
    page.wait_for_selector(".toast.error:has-text('second clip')")
    page.click("text=Choose the second clip")
    page.click(".picker-item")
    slide(page, "gap", 4)
    job = made(page, film())
    assert job.verb == "connect" and job.request["video"]["id"] == name and job.request["connect"]["id"] == other
    assert job.request["gap"] == 3 and job.seconds == 11


def test_loop_of_a_clip(shop: Shop, visitor: Visitor, film: Callable[..., Film]) -> None:
    page, _ = edit(visitor, shop, "loop")
    page.check("input[value=full]", force=True)
    job = made(page, film())
    assert job.verb == "loop" and job.request["loop"] == "full"


def test_inpaint_with_a_painted_mask(shop: Shop, visitor: Visitor, film: Callable[..., Film]) -> None:
    from misora.render.footage import read_mask

    page, _ = edit(visitor, shop, "inpaint")
    page.click(".edit-form footer .button.main")
    page.wait_for_selector(".toast.error:has-text('Paint over')")
    page.focus(".paper")
    page.keyboard.down("Space")
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    page.keyboard.up("Space")
    job = made(page, film())
    height, width = (int(side) for side in job.size.split("x")[::-1])
    mask = read_mask(shop.files.path(job.request["mask"]["file"]), (height, width))[0]
    assert mask[height // 2, width // 2] == 1 and mask[0, 0] == 0 and 0.005 < mask.mean() < 0.5


def test_a_storyboard_fills_its_gaps(shop: Shop, visitor: Visitor, film: Callable[..., Film]) -> None:
    page = visitor.signed_in(shop.key.secret, "/storyboard")
    first, second = page.locator(".card textarea").all()
    first.fill("a ball rolls")
    second.fill("a cube falls")
    page.fill(".board > .prompt textarea", "on a beach")
    page.focus("[data-grip='0-to']")
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    job = made(page, film(), ".board > footer .button.main")
    cards = job.request["storyboard"]
    assert [(card["prompt"], card["seconds"]) for card in cards] == [
        ("a ball rolls", 3),
        ("a ball rolls a cube falls", 1),
        ("a cube falls", 4),
    ]
    assert job.prompt == "on a beach" and job.seconds == 8


def test_a_character_is_saved_and_called_by_name(shop: Shop, visitor: Visitor, film: Callable[..., Film]) -> None:
    finished(shop)
    page = visitor.signed_in(shop.key.secret, "/characters")
    page.fill("label:text-is('Name') + input", "Sora")
    page.click("text=From the library")
    page.click(".picker-item")
    page.click(".panel footer .button")
    page.wait_for_selector(".person:has-text('@Sora')")
    page.goto(shop.url)
    page.fill(".compose textarea", "@Sora rolls to the left")
    job = made(page, film(), ".compose footer button")
    [known] = cast.listing(shop.store, shop.key.account_id)
    assert job.prompt == "Sora rolls to the left" and [each["id"] for each in job.request["characters"]] == [known["id"]]


def test_a_dropped_image_is_the_first_frame(shop: Shop, visitor: Visitor, film: Callable[..., Film]) -> None:
    name = finished(shop)
    job = jobs.get(shop.store, name)
    assert job is not None
    picture = shop.files.path(f"{job.folder}/thumbnail.webp")
    page = visitor.signed_in(shop.key.secret)
    page.set_input_files(".drops input[type=file] >> nth=0", picture)
    page.set_input_files(".drops input[type=file] >> nth=1", picture)
    page.fill(".compose textarea", "it moves")
    job = made(page, film(), ".compose footer button")
    assert {"input_reference", "last_frame"} <= set(job.request)


def test_a_published_clip_is_remixed_and_reported(shop: Shop, admin: str, visitor: Visitor, film: Callable[..., Film]) -> None:
    use = film()
    name = finished(shop, admin)
    page = visitor.signed_in(admin, f"/watch/{name}")
    page.click("button[title=Publish]")
    page.wait_for_selector("button[title='Take out of the feed']")
    reader = visitor.signed_in(shop.key.secret, "/feed")
    reader.click(f".clip[data-id={name}] a")
    reader.click("text=Remix this")
    reader.wait_for_selector("[role=tab]")
    reader.fill(".edit-form textarea", "at night")
    job = made(reader, use)
    assert job.verb == "edit" and job.account_id == shop.key.account_id
    stranger = visitor.page()
    stranger.goto(f"{shop.url}/feed")
    stranger.click(f".clip[data-id={name}] a")
    stranger.click("button[title=Report]")
    stranger.click("text=Something else")
    stranger.wait_for_selector(".toast:has-text('hidden')")
    assert stranger.locator(f".clip[data-id={name}]").count() == 0
    found = jobs.get(shop.store, name)
    assert found is not None and found.hidden_at is not None
