"""A renderer for tests that draws a plain, playable film at once: its colour comes from the seed, its shape from the request."""

from __future__ import annotations

import hashlib
import math
import time
from pathlib import Path
from typing import Any

import torch

from misora.media.sheet import contact_sheet, thumbnail
from misora.media.write import write_image, write_video
from misora.server.files import SPRITESHEET, THUMBNAIL, VIDEO, Files
from misora.server.queue.job import Job
from misora.server.rendering import CELL, COLUMNS, SHEET
from misora.server.working import Progress

RATE = 6.0  # frames a second: few, since they are only looked at


def frame(job: Job, place: float, shrink: int = 1) -> torch.Tensor:
    """A ball on a ground at a share of the film, [h, w, 3] uint8."""
    width, height = (max(16, int(side) // shrink // 2 * 2) for side in job.size.split("x"))
    digest = hashlib.sha256(f"{job.request.get('seed')} {job.prompt}".encode()).digest()
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, width / height, width), indexing="ij")
    ball = (x - (0.2 + 0.6 * place) * width / height) ** 2 + (y - 0.72 + 0.4 * abs(math.sin(place * 9))) ** 2 < 0.012
    sky = torch.stack([150 + 90 * y, 195 + 40 * y, 235 + 8 * y], 2)  # h w 3
    ground = torch.tensor([digest[3] % 60 + 150, digest[4] % 50 + 140, digest[5] % 60 + 110]).float()
    picture = torch.where((y > 0.78)[..., None], ground * (1.25 - 0.35 * y[..., None]), sky)
    colour = torch.tensor([digest[0], digest[1], digest[2]]).float()
    return torch.where(ball[..., None], colour, picture).clamp(0, 255).to(torch.uint8)


class Film:
    """Renders for one server. ``steps`` previews are shown ``pause`` seconds apart; ``shrink`` makes the file smaller than was asked."""

    def __init__(self, files: Files, *, steps: int = 0, pause: float = 0.0, shrink: int = 4) -> None:
        self.files, self.steps, self.pause, self.shrink = files, steps, pause, shrink
        self.jobs: list[Job] = []

    def __call__(self, job: Job, folder: Path, progress: Progress) -> dict[str, Any]:
        """Write the three files of a job."""
        self.jobs.append(job)
        for step in range(1, self.steps + 1):
            self._preview(job, step)
            progress(5 + 80 * step // self.steps, "drawing", step)
            time.sleep(self.pause)
        count = max(2, round(job.seconds * RATE))
        frames = [frame(job, place / (count - 1), self.shrink) for place in range(count)]
        write_video(folder / VIDEO, iter(frames), RATE)
        write_image(folder / THUMBNAIL, frames[count // 2])
        cells = torch.stack([thumbnail(frames[round(i * (count - 1) / (SHEET - 1))], CELL) for i in range(SHEET)])
        write_image(folder / SPRITESHEET, contact_sheet(torch.split(cells, COLUMNS), COLUMNS, CELL))
        return {
            "sha256": hashlib.sha256((folder / VIDEO).read_bytes()).hexdigest(),
            "bytes": (folder / VIDEO).stat().st_size,
            "seed": job.request.get("seed"),
        }

    def _preview(self, job: Job, step: int) -> None:
        path = self.files.preview(job.id, job.fence, step)
        path.parent.mkdir(parents=True, exist_ok=True)
        share = step / self.steps
        noise = torch.randint(0, 256, (96, 176, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(step))
        clear = thumbnail(frame(job, 0.5, self.shrink), (96, 176))
        write_image(path, (noise * (1 - share) + clear * share).to(torch.uint8))
