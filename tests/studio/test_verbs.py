"""Each verb as a person reaches it, what is asked of the renderer, and what became of the decoded file; drawn by the embedded weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from misora.media.write import write_image
from misora.server.queue import cast, jobs
from misora.server.queue.job import Job
from tests.server.shop import Shop
from tests.server.test_content import ask
from tests.studio.drawn import Guest, apart, decoded, steps
from tests.studio.test_board import boarded

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser
RATE = 24
SAME = 4.0  # grey levels between frames that were kept: the watermark and the codec
ANOTHER = "a large yellow cube stands on snow at night"
SCENE = {"prompt": "a red ball bounces on a wooden floor", "size": "176x96", "seconds": "4"}


class Editor(Guest):
    """With two small clips, at the editor."""

    def __init__(self, browser: Browser, shop: Shop) -> None:
        super().__init__(browser, shop)
        self.drawn.steps = 5
        self.name, self.other = (self._drawn(seed) for seed in (7, 8))
        self.drawn.steps = 1
        self.clip, self.second = (decoded(shop, job) for job in self.drawn.jobs)

    def _drawn(self, seed: int) -> str:
        name = json.loads(ask(self.shop, "POST", "/v1/videos", SCENE | {"seed": seed})[2])["id"]
        ask(self.shop, "GET", f"/v1/misora/videos/{name}/events")  # until it is finished
        return str(name)

    def edit(self, verb: str) -> Any:
        """The editor, open at a verb."""
        self.page.goto(f"{self.shop.url}/edit/{self.name}?verb={verb}")
        self.page.wait_for_selector("[role=tab][aria-selected=true]")
        self.page.fill(".edit-form textarea", f"{ANOTHER}, now {verb}")
        self.page.fill("label:text-is('Seed') + input", "3")
        return self.page

    def made(self, page: Any, press: str = ".edit-form footer .button.main") -> tuple[Job, Tensor]:
        """Press the button and wait for the film; its job and its frames."""
        return self.film(lambda: page.click(press))


@pytest.fixture(scope="module")
def editor(browser: Browser, shop: Shop) -> Iterator[Editor]:
    """Somebody who has two clips."""
    made = Editor(browser, shop)
    yield made
    made.visitor.close()


def slide(page: Any, handle: str, times: int, key: str = "ArrowRight") -> None:
    """Move a handle of the timeline by keys."""
    page.focus(f".knob[data-name={handle}]")
    for _ in range(times):
        page.keyboard.press(key)


def test_remix_changes_as_much_as_was_said(editor: Editor) -> None:
    films, far = [], []
    for name, strength in (("subtle", 0.6), ("mild", 0.8), ("strong", 0.9)):
        page = editor.edit("remix")
        page.check(f"input[value={name}]", force=True)
        job, made = editor.made(page)
        assert (job.verb, job.remixed_from, job.request["strength"], job.prompt) == (
            "remix",
            editor.name,
            strength,
            f"{ANOTHER}, now remix",
        )
        films.append(made)
        far.append(apart(editor.clip, made))
    assert far[0] < far[1] < far[2], far
    editor.page.wait_for_selector(".family .tree ul a[aria-current=true]")


def test_what_is_typed_in_the_editor_is_drawn(editor: Editor) -> None:
    films = []
    for prompt, seed in (("a green cube on grass", "3"), ("a green cube on grass", "4"), (ANOTHER, "3")):
        page = editor.edit("remix")
        page.check("input[value=strong]", force=True)
        page.fill(".edit-form textarea", prompt)
        page.fill("label:text-is('Seed') + input", seed)
        job, made = editor.made(page)
        assert (job.prompt, job.request["seed"]) == (prompt, int(seed))
        films.append(made)
    assert apart(films[0], films[1]) > SAME and apart(films[0], films[2]) > SAME


def test_recut_makes_a_span_anew_or_keeps_it_alone(editor: Editor) -> None:
    page = editor.edit("recut")
    slide(page, "from", 5)
    job, made = editor.made(page)
    assert job.verb == "inpaint" and (job.request["inpaint"]["from"], job.request["inpaint"]["to"]) == (1.5, 3)
    before, within = slice(0, 30), slice(42, 66)
    assert apart(editor.clip[before], made[before]) < SAME < apart(editor.clip[within], made[within])
    page = editor.edit("recut")
    page.check("input[value=keep]", force=True)
    slide(page, "to", 10, "ArrowLeft")
    job, made = editor.made(page)
    assert job.verb == "edit" and job.request["trim"] == {"from": 1, "to": 2} and job.request["strength"] == 0 and job.seconds == 1
    assert apart(editor.clip[RATE : 2 * RATE], made) < SAME


def test_extend_is_dragged_longer_and_turned_round(editor: Editor) -> None:
    page = editor.edit("extend")
    box = page.locator(".knob[data-name=more]").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 20, steps=4)
    page.mouse.up()
    job, made = editor.made(page)
    assert job.verb == "extend" and 4 < job.request["new_seconds"] <= 20 and job.seconds == 4 + job.request["new_seconds"]
    assert len(made) == job.seconds * RATE and apart(editor.clip[:80], made[:80]) < SAME
    page = editor.edit("extend")
    page.check("input[value=before]", force=True)
    slide(page, "from", 10)
    slide(page, "to", 10, "ArrowLeft")
    job, made = editor.made(page)
    assert job.request["backward"] and job.request["trim"] == {"from": 1, "to": 3} and job.seconds == 6
    assert len(made) == 6 * RATE and apart(editor.clip[40:72], made[-32:]) < SAME


def test_blend_leads_over_a_gap(editor: Editor) -> None:
    page = editor.edit("blend")
    page.click(".edit-form footer .button.main")
    page.wait_for_selector(".toast.error:has-text('second clip')")
    page.click("text=Choose the second clip")
    page.click(f".picker-item:has(img[src*={editor.other}])")
    slide(page, "gap", 4, "ArrowLeft")
    job, made = editor.made(page)
    assert job.verb == "connect" and job.request["video"]["id"] == editor.name and job.request["connect"]["id"] == editor.other
    assert job.request["gap"] == 1 and job.seconds == 9 and len(made) == 9 * RATE
    assert apart(editor.clip[:80], made[:80]) < SAME and apart(editor.second[-80:], made[-80:]) < SAME


def test_loop_of_a_clip_flows_into_its_beginning(editor: Editor) -> None:
    page = editor.edit("loop")
    page.check("input[value=full]", force=True)
    editor.drawn.steps = 5  # one step alone does not flow
    job, made = editor.made(page)
    editor.drawn.steps = 1
    assert job.verb == "loop" and job.request["loop"] == "full"
    seam, before = float(steps(made)[-1]), float(steps(editor.clip)[-1])  # from the last frame to the first
    assert seam < before, (seam, before)


def test_a_loop_makes_as_much_of_the_end_anew_as_was_said(editor: Editor) -> None:
    changed = {}
    for name in ("short", "normal"):
        page = editor.edit("loop")
        page.check(f"input[value={name}]", force=True)
        job, made = editor.made(page)
        assert job.request["loop"] == name and apart(editor.clip[:68], made[:68]) < SAME
        changed[name] = [apart(editor.clip[part], made[part]) for part in (slice(74, 82), slice(88, 96))]
    assert changed["short"][0] < SAME < min(changed["short"][1], *changed["normal"]), changed


def test_inpaint_changes_what_was_painted(editor: Editor) -> None:
    from misora.render.footage import read_mask

    page = editor.edit("inpaint")
    page.click(".edit-form footer .button.main")
    page.wait_for_selector(".toast.error:has-text('Paint over')")
    page.fill("input[aria-label=Brush]", "40")
    paint(page, "ArrowRight")
    page.click("button:has-text('Clear')")
    page.evaluate("() => document.querySelector('.toast')?.remove()")
    page.click(".edit-form footer .button.main")
    page.wait_for_selector(".toast.error:has-text('Paint over')")  # nothing is left of it
    paint(page, "ArrowLeft")
    job, made = editor.made(page)
    height, width = (int(side) for side in job.size.split("x")[::-1])
    mask = read_mask(editor.shop.files.path(job.request["mask"]["file"]), (height, width))[0]
    assert mask[height // 2, width // 2] == 1 and mask[0, 0] == 0 and 0.05 < mask.mean() < 0.6
    far = (editor.clip.float() - made.float()).abs().mean((0, 3))  # h w
    inside, outside = float(far[mask > 0].mean()), float(far[:, :24].mean())
    assert outside < SAME and outside < inside


def test_inpaint_keeps_to_its_seconds_its_strength_and_what_was_rubbed_out(editor: Editor) -> None:
    from misora.render.footage import read_mask

    page = editor.edit("inpaint")
    page.fill("input[aria-label=Brush]", "40")
    paint(page, "ArrowRight")
    page.check("input[value=erase]", force=True)
    page.fill("input[aria-label=Brush]", "10")
    paint(page, "ArrowLeft", 1)
    slide(page, "from", 20)
    job, made = editor.made(page)
    height, width = (int(side) for side in job.size.split("x")[::-1])
    mask = read_mask(editor.shop.files.path(job.request["mask"]["file"]), (height, width))[0]
    assert mask[height // 2, width // 2 + 12] == 0 and 0.05 < mask.mean() < 0.7, mask.mean()
    assert apart(editor.clip[:44], made[:44]) < SAME and job.request["inpaint"]["from"] == 2
    page = editor.edit("inpaint")
    paint(page, "ArrowRight")
    page.check("input[value=custom]", force=True)
    page.fill("input[aria-label=Custom]", "0")
    job, made = editor.made(page)
    assert job.request["strength"] == 0 and apart(editor.clip, made) < SAME  # nothing may change, even where it was painted
    page = editor.edit("inpaint")
    page.fill("input[aria-label=Brush]", "40")
    paint(page, "ArrowRight")
    page.check("input[value=custom]", force=True)
    page.fill("input[aria-label=Custom]", "1")
    job, made = editor.made(page)
    inside = read_mask(editor.shop.files.path(job.request["mask"]["file"]), (height, width))[0] > 0.5
    assert job.request["strength"] == 1 and apart(editor.clip[:, inside], made[:, inside]) > 2 * SAME


def paint(page: Any, key: str, times: int = 6) -> None:
    """A stroke by keys, from where the brush stands."""
    page.focus(".paper")
    page.keyboard.down("Space")
    for _ in range(times):
        page.keyboard.press(key)
    page.keyboard.up("Space")


def test_a_card_shows_its_image_and_its_clip(editor: Editor, tmp_path: Any) -> None:
    picture = write_image(tmp_path / "card.png", editor.second[0])

    def give(page: Any) -> None:
        page.set_input_files(".card input[type=file] >> nth=0", picture)
        page.locator(".card").nth(1).locator("text=Shows a clip").click()
        page.click(f".picker-item:has(img[src*={editor.name}])")

    job, made = boarded(editor, ("a ball rolls", "a cube falls"), give)
    first, second = job.request["storyboard"]
    assert "image" in first and second["video"]["id"] == editor.name
    small = torch.nn.functional.avg_pool2d(made.permute(0, 3, 1, 2).float(), 4).permute(0, 2, 3, 1)  # t h w 3
    assert apart(small[:1], editor.second[:1]) < 2 * SAME and apart(small[-48:], editor.clip[:48]) < 2 * SAME


def test_a_character_is_saved_and_called_by_name(editor: Editor) -> None:
    page = editor.page
    page.goto(f"{editor.shop.url}/characters")
    page.fill("label:text-is('Name') + input", "Sora")
    page.click("text=From the library")
    page.click(f".picker-item:has(img[src*={editor.other}])")
    page.click(".panel footer .button")
    page.wait_for_selector(".person:has-text('@Sora')")
    films = []
    for prompt in ("@Sora rolls to the left", "Sora rolls to the left"):
        page.goto(editor.shop.url)
        page.evaluate("() => localStorage.setItem('misora.wish', JSON.stringify({ seed: '5' }))")
        page.reload()
        page.fill(".compose textarea", prompt)
        films.append(editor.made(page, ".compose footer button"))
    [known] = cast.listing(editor.shop.store, editor.shop.key.account_id)
    assert [job.prompt for job, _ in films] == ["Sora rolls to the left"] * 2 and "characters" not in films[1][0].request
    assert [each["id"] for each in films[0][0].request["characters"]] == [known["id"]]
    assert apart(films[0][1], films[1][1]) > SAME


def test_what_was_made_here_is_recognised(editor: Editor) -> None:
    page = editor.page
    page.goto(f"{editor.shop.url}/watch/{editor.name}")
    page.click(".provenance summary")
    page.wait_for_selector(".provenance .verdict.ours")
    page.goto(f"{editor.shop.url}/verify")
    page.set_input_files("input[type=file]", editor.shop.files.folder(editor.name) / "1" / "video.mp4")
    page.wait_for_selector(".verdict.ours")
    page.click(f".report a[href='/watch/{editor.name}']")
    page.wait_for_selector(".stage > video")


def test_a_published_clip_is_featured_remixed_and_reported(editor: Editor, admin: str) -> None:
    name, shop, visitor = editor.name, editor.shop, editor.visitor
    owner = visitor.signed_in(shop.key.secret, f"/watch/{name}")
    owner.wait_for_selector(".verbs")
    assert owner.locator("button[title=Publish]").count() == 0  # this key may not
    ask(shop, "POST", "/v1/videos", SCENE | {"seed": 7}, admin)
    page = visitor.signed_in(admin, "/library")
    page.wait_for_selector(".clip img", timeout=180_000)
    page.click(".clip a")
    page.click("button[title=Publish]")
    page.wait_for_selector("button[title='Take out of the feed']")
    name = page.url.rsplit("/", 1)[1]
    page.click(".menu a[href='/feed']")
    page.click(f".clip[data-id={name}] a")
    page.click("button[title='Put among the featured']")
    page.wait_for_selector(f"[data-list=featured_at] .clip[data-id={name}]")
    reader = editor.page
    reader.goto(f"{shop.url}/feed")
    reader.click(f"[data-list=featured_at] .clip[data-id={name}] a")
    reader.click("text=Remix this")
    reader.wait_for_selector("[role=tab]")
    reader.fill(".edit-form textarea", "at night")
    job, made = editor.made(reader)
    assert job.verb == "edit" and job.account_id == shop.key.account_id and made.shape == editor.clip.shape
    stranger = visitor.page()
    stranger.goto(f"{shop.url}/feed")
    stranger.click(f"[data-list=published_at] .clip[data-id={name}] a")
    stranger.click("button[title=Report]")
    stranger.click("text=Something else")
    stranger.wait_for_selector(".toast:has-text('hidden')")
    assert stranger.locator(f".clip[data-id={name}]").count() == 0
    found = jobs.get(shop.store, name)
    assert found is not None and found.hidden_at is not None
