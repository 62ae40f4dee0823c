"""Each control of the first page, moved in the browser, changes the decoded file as it is named; drawn by the embedded weights."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

import misora
from misora.media.read import read_image
from misora.media.write import write_image
from misora.server.queue import jobs
from misora.server.queue.job import Job
from misora.words.presets import dressed
from tests.server.shop import Shop
from tests.studio.drawn import Guest, apart, decoded, steps

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser
WISH = {"prompt": "a red ball bounces on a wooden floor", "seed": "7", "steps": "1"}
SAME = 2.8  # grey levels between two films of one seed: 2.1 by the watermark and the codec; the least of another one is 3.7


class Maker(Guest):
    """At the first page, moving one control at a time."""

    def __init__(self, browser: Browser, shop: Shop) -> None:
        super().__init__(browser, shop)
        self.plain = self.make(lambda page: None)

    def open(self) -> Any:
        """The page with the same wish as ever."""
        self.page.evaluate("wish => localStorage.setItem('misora.wish', wish)", json.dumps(WISH))
        self.page.goto(self.shop.url)
        self.page.wait_for_selector(".compose textarea")
        self.page.click(".more summary")
        return self.page

    def make(self, move: Callable[[Any], Any]) -> tuple[Job, Tensor]:
        """Move a control, make the film; its job and its decoded frames."""
        move(self.open())
        return self.film(lambda: self.page.press(".compose textarea", "Control+Enter"))


@pytest.fixture(scope="module")
def maker(browser: Browser, shop: Shop) -> Iterator[Maker]:
    """Somebody who has made one film already."""
    made = Maker(browser, shop)
    yield made
    made.visitor.close()


Move, Law = Callable[[Any], Any], Callable[[Tensor, Tensor], bool]


def other(plain: Tensor, made: Tensor) -> bool:
    """Whether it is another film."""
    return apart(plain, made) > SAME


def python_draws(**wishes: Any) -> Tensor:
    """What ``misora.load().generate`` makes of the wish, [t, h, w, 3]."""
    wish = {"prompt": WISH["prompt"], "seed": int(WISH["seed"]), "steps": int(WISH["steps"]), "size": "704x384"} | wishes
    return torch.stack(list(misora.load("embedded").generate(**wish).stream()))


def as_python_draws_it(**wishes: Any) -> Law:
    """The law that the file shows what Python makes of the wish, and that this is another film than the plain one."""
    return lambda plain, made: apart(python_draws(**wishes), made) < SAME and other(plain, made)


CONTROLS: dict[str, tuple[Move, Law]] = {
    "prompt": (lambda page: page.fill(".compose textarea", "a blue cube on grass"), as_python_draws_it(prompt="a blue cube on grass")),
    "shape": (lambda page: page.check("input[value='9:16']", force=True), lambda plain, made: made.shape[1:3] == (704, 384)),
    "size": (
        lambda page: page.check("legend:has-text('Size') + .row input[value='1']"),
        lambda plain, made: made.shape[1:3] == (720, 1280),
    ),
    "seconds": (lambda page: page.fill("#seconds", "5"), lambda plain, made: len(made) == 5 * 24),
    "style": (
        lambda page: page.select_option("label:text-is('Style') + select", "night"),
        lambda plain, made: float(made.float().mean()) < float(plain.float().mean()) - 10,
    ),
    "camera": (
        lambda page: page.select_option("label:text-is('Camera') + select", "pan left"),
        as_python_draws_it(prompt=dressed(WISH["prompt"], camera="pan left")),
    ),
    "seed": (lambda page: page.fill("label:text-is('Seed') + input", "8"), as_python_draws_it(seed=8)),
    "negative": (
        lambda page: page.fill("label:text-is('What not to show') + input", "a yellow cube on snow at night"),
        as_python_draws_it(negative="a yellow cube on snow at night"),
    ),
    "guidance": (lambda page: page.fill("label:text-is('Guidance') + input", "9"), as_python_draws_it(guidance=9.0)),
    "steps": (lambda page: page.fill("label:text-is('Steps') + input", "4"), as_python_draws_it(steps=4)),
    "model": (
        lambda page: page.select_option("label:text-is('Model') + select", "misora"),
        lambda plain, made: apart(plain, made) < SAME,  # another name of the same weights
    ),
    "loop": (
        lambda page: (page.check("text=Loop without an end"), page.fill("label:text-is('Steps') + input", "5")),  # one step does not flow
        lambda plain, made: float(steps(made)[-1]) < float(steps(plain)[-1]) and len(made) == len(plain),
    ),
}


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_changes_the_film_as_it_is_named(maker: Maker, control: str) -> None:
    move, law = CONTROLS[control]
    job, made = maker.make(move)
    assert law(maker.plain[1], made), (apart(maker.plain[1], made) if made.shape == maker.plain[1].shape else made.shape, job.request)


def test_a_fuller_prompt_is_drawn_once_it_was_looked_at(maker: Maker) -> None:
    shown: list[str] = []

    def use(page: Any) -> None:
        page.click(".expanded summary")
        shown.append(page.inner_text(".expanded p"))
        page.click("text=Use this")

    job, fuller = maker.make(use)
    assert [job.prompt] == shown and shown[0].startswith(WISH["prompt"] + ", ")
    assert apart(python_draws(prompt=shown[0]), fuller) < SAME


def test_a_clip_that_is_dropped_is_reworked(maker: Maker) -> None:
    page, job = maker.open(), maker.plain[0]
    page.set_input_files(".drops input[type=file] >> nth=0", maker.shop.files.folder(job.id) / str(job.fence) / "video.mp4")
    page.wait_for_selector("[role=tab]")
    page.fill(".edit-form textarea", "at night")
    page.check("input[value=custom]", force=True)
    page.fill("input[aria-label=Custom]", "0")  # nothing may change: so that the film shows whether it was this clip and this strength
    made, frames = maker.film(lambda: page.click(".edit-form footer .button.main"))
    assert made.request["strength"] == 0 and "id" not in made.request["video"] and apart(maker.plain[1], frames) < 2 * SAME


def test_variations_are_films_of_their_own(maker: Maker) -> None:
    page, before = maker.open(), len(maker.drawn.jobs)
    page.fill("label:text-is('Variations') + input", "2")
    page.click(".compose footer button")
    page.wait_for_selector(".toast:has-text('2 videos')")
    names, end = [], time.monotonic() + 180
    while len(names) < 2 and time.monotonic() < end:
        page.wait_for_timeout(200)
        names = [job.id for job in maker.drawn.jobs[before:] if (now := jobs.get(maker.shop.store, job.id)) and now.finished]
    made = maker.drawn.jobs[before:]
    assert [job.request["seed"] for job in made] == [7, 8]
    first, second = (decoded(maker.shop, job) for job in made)
    assert apart(first, maker.plain[1]) < SAME and other(first, second)


def test_images_are_the_first_and_the_last_frame(maker: Maker, tmp_path: Any) -> None:
    shown = jobs.get(maker.shop.store, maker.plain[0].id)
    assert shown is not None
    picture = write_image(tmp_path / 'it\'s "one".png', read_image(maker.shop.files.path(f"{shown.folder}/thumbnail.webp")))

    def drop(page: Any) -> None:
        page.set_input_files(".drops input[type=file] >> nth=0", picture)
        page.set_input_files(".drops input[type=file] >> nth=1", picture)

    job, made = maker.make(drop)
    assert {"input_reference", "last_frame"} <= set(job.request)
    wanted = read_image(picture)[None]
    assert apart(made[:1], wanted) < 2 * SAME and apart(made[-1:], wanted) < 2 * SAME
