"""The embedded weights as a test server's renderer, as cheaply as they draw, and what one asks of the files that they make."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from misora.media.read import read_video
from misora.server.queue.job import Job
from misora.server.rendering import Renderer
from misora.server.working import Progress
from tests.server.shop import Shop
from tests.studio.conftest import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser


class Drawn:
    """Draws with one step, enough where a law is asked for and no beauty, unless a job asks for more; notes its jobs."""

    steps = 1

    def __init__(self, shop: Shop) -> None:
        self.renderer = Renderer(shop.files, shop.services.settings)
        self.jobs: list[Job] = []

    def __call__(self, job: Job, folder: Path, progress: Progress) -> dict[str, Any]:
        """Write the files of a job."""
        self.jobs.append(job)
        return self.renderer(dataclasses.replace(job, request={"steps": self.steps} | job.request), folder, progress)


class Guest:
    """Somebody signed in at a server whose films the embedded weights draw."""

    def __init__(self, browser: Browser, shop: Shop) -> None:
        self.shop, self.visitor = shop, Visitor(browser, shop.url)
        shop.render = self.drawn = Drawn(shop)
        self.page = self.visitor.signed_in(shop.key.secret)
        self.page.set_default_timeout(180_000)

    def film(self, press: Callable[[], None]) -> tuple[Job, Tensor]:
        """Press, and wait for the film; its job and its frames."""
        before = len(self.drawn.jobs)
        press()
        self.page.wait_for_url("**/watch/*")
        self.page.wait_for_selector(".watch .stage > video")
        job = self.drawn.jobs[before]
        return job, decoded(self.shop, job)


def decoded(shop: Shop, job: Job) -> Tensor:
    """The frames of a finished job's file, [t, h, w, 3] uint8."""
    frames, rate = read_video(shop.files.folder(job.id) / str(job.fence) / "video.mp4")
    assert rate == 24
    return frames


def apart(one: Tensor, other: Tensor) -> float:
    """The mean difference of two clips of one shape in grey levels, over a dozen of their frames."""
    assert one.shape == other.shape, (one.shape, other.shape)
    places = torch.linspace(0, len(one) - 1, 12).round().long()
    return float((one[places].float() - other[places].float()).abs().mean())


def steps(frames: Tensor) -> Tensor:
    """The mean difference of each frame to the next, the last one to the first, [t]."""
    small = frames[:, ::2, ::2].float()
    return (small - small.roll(-1, 0)).abs().mean((1, 2, 3))
