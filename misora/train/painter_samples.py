"""What the painter learns from: native frames through the autoencoder, and the same scene drawn larger at twice the rate.

One simulation is filmed at 24 frames per second and drawn twice: every second frame at native size and, around a moment that something
moves in, three frames in a row at the larger size. It knows nothing of the painter.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from misora.model.autoencoder import Autoencoder

if TYPE_CHECKING:
    from misora.world.shot import Shot

SIZES = ((96, 176), (96, 176), (96, 176), (176, 96), (128, 128), (80, 192))  # native h, w
GRID = 4  # native pixels: windows begin at multiples of it, so that they begin at a whole pixel of the larger picture too
LOOKS = 6  # places that are looked at for one in which something moves
UNTOUCHED = 3  # levels of 255: what changes more although no body is there is a shadow, whose displacement is not known


@dataclasses.dataclass(frozen=True, kw_only=True)
class Footage:
    """``count`` samples of ``window`` (h, w) native pixels, enlarged ``scale`` times, ``each`` of them from one clip."""

    count: int
    scale: float = 4.0
    window: tuple[int, int] = (48, 64)
    each: int = 6
    seconds: float = 4.0

    def layout(self) -> np.dtype[Any]:
        """One sample: four native frames (times -1, 0, 1, 2) decoded, three large ones (0, 1/2, 1), displacements from 1/2 to 0 and 1."""
        h, w = self.window
        large = (3, round(h * self.scale), round(w * self.scale), 3)
        return np.dtype([("given", "u1", (4, h, w, 3)), ("wanted", "u1", large), ("flow", "f2", (4, h, w))])


def painter_samples(path: Path, footage: Footage, autoencoder: Autoencoder, *, seed: int = 0, held_out: bool = False) -> npt.NDArray[Any]:
    """The samples as a memory map; made when the file is not there yet."""
    if not path.exists():
        beside = path.with_suffix(".part.npy")
        rows = np.lib.format.open_memmap(beside, "w+", footage.layout(), (footage.count,))
        for row, number in zip(rows, range(footage.count), strict=True):
            if number % footage.each == 0:
                samples = _samples(seed + number // footage.each, footage, autoencoder, held_out)
            row["given"], row["wanted"], row["flow"] = next(samples)
        rows.flush()
        beside.replace(path)
    return np.load(path, mmap_mode="r")  # type: ignore[no-any-return]


def _samples(seed: int, footage: Footage, autoencoder: Autoencoder, held_out: bool) -> Iterator[tuple[npt.NDArray[Any], ...]]:
    """Without end, samples of one clip."""
    from misora.world.make import staged_scenes
    from misora.world.render import draw
    from misora.world.scenes import CORE, FULL
    from misora.world.takes import Picture

    dice = random.Random(f"painter {seed}")
    size, scale = dice.choice(SIZES), footage.scale
    picture = Picture(seconds=footage.seconds, frame_rate=24.0, size=size)
    shot, truth = next(staged_scenes(seed, FULL if seed % 2 else CORE, picture, held_out=held_out))
    cuts = [picture.frame_at(card.start) for card in truth.graph.cards if card.cut]
    frames, ids = draw(shot, height=size[0], width=size[1])  # t h w 3, t h w
    decoded = through(autoencoder, frames[::2])
    while True:
        moment = dice.randrange(2, len(frames) - 4, 2)
        if any(moment - 2 < cut <= moment + 4 for cut in cuts) and dice.random() < 0.99:
            continue
        top, left = _lively(frames[moment], frames[moment + 2], footage.window, dice)
        here = (..., slice(top, top + footage.window[0]), slice(left, left + footage.window[1]))
        large = draw(shot.at(slice(moment, moment + 3)), height=round(size[0] * scale), width=round(size[1] * scale))[0]
        y, x = round(top * scale), round(left * scale)
        h, w = (round(side * scale) for side in footage.window)
        first = moment // 2 - 1
        given = decoded[first : first + 4, top : top + footage.window[0], left : left + footage.window[1]]
        yield given, large[:, y : y + h, x : x + w], displacements(shot, frames, ids, moment)[here]


def through(autoencoder: Autoencoder, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Frames [t h w 3] encoded and decoded; t is one more than a multiple of four."""
    pixels = torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 127.5 - 1  # 1 3 t h w
    kinds = "S" + "G" * (len(frames) // 4)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        made = autoencoder.decode(autoencoder.encode(pixels, kinds), kinds)[0].float()  # 3 t h w
    return made.add(1).mul(127.5).round().clamp(0, 255).byte().permute(1, 2, 3, 0).numpy()


def _lively(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8], window: tuple[int, int], dice: random.Random) -> tuple[int, int]:
    """Of some places for a window the one in which the frames differ most."""
    change = np.abs(one.astype(np.int16) - other).sum(-1)  # h w

    def place(axis: int) -> int:
        return GRID * dice.randrange((one.shape[axis] - window[axis]) // GRID + 1)

    places = [(place(0), place(1)) for _ in range(LOOKS)]
    return max(places, key=lambda at: change[at[0] : at[0] + window[0], at[1] : at[1] + window[1]].sum())


def displacements(shot: Shot, frames: npt.NDArray[np.uint8], ids: npt.NDArray[np.uint8], moment: int) -> npt.NDArray[np.float16]:
    """Where the pixels of frame ``moment`` + 1 are in ``moment`` and in ``moment`` + 2: [4 h w], x and y of each; not a number: unknown.

    A body's pixels move as its middle does; the ground's stay where they are under a camera that rests.
    """
    from misora.world.stage import project

    three = shot.at(slice(moment, moment + 3))
    h, w = ids.shape[1:]
    seen = project(three.positions, three.camera, w / h) * np.array([w / 2, -h / 2])  # 3 k 2, pixels
    away = np.concatenate([seen[0] - seen[1], seen[2] - seen[1]], axis=1).astype(np.float16)  # k 4
    rests = np.ptp(three.camera, axis=0).max() == 0
    ground = np.full((1, 4), 0.0 if rests else np.nan, np.float16)
    flow = np.concatenate([ground, away])[ids[moment + 1]]  # h w 4
    near = frames[moment : moment + 3].astype(np.int16)
    changed = (np.ptp(near, axis=0).max(-1) > UNTOUCHED) & (ids[moment + 1] == 0)  # h w: a shadow, or ground just covered or bared
    flow[changed] = np.nan
    return flow.transpose(2, 0, 1)  # type: ignore[no-any-return]
