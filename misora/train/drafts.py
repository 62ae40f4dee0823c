"""Clips as a transformer leaves them, for a decoder to learn from: true latents noised, drawn clean again, and what they should show.

What a network that samples gets wrong is not what an autoencoder loses: it leaves the outline of what moves soft. A decoder that has seen
such latents draws the outline that belongs there. This room knows nothing of how a decoder learns.
"""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from misora.canvas.canvas import kind_indices, times_of
from misora.flow import path
from misora.flow.schedule import schedule
from misora.model.autoencoder import GROUP, SPACE
from misora.model.weights import Weights, load_weights
from misora.train.autoencoder import AutoencoderRecipe, Lesson, liveliest
from misora.train.cache import encode
from misora.train.loop import rank

KINDS = "S" + 12 * "G"
SIZE = (96, 176)  # native h, w
LAST = schedule(5, torch.zeros(1), shift=3.0)[2:, 0].tolist()  # the levels of sampling's last steps: .82 .67 .43 0
EITHER_WAY = 0.08  # by so much each level may differ, since not all schedules are this one
WINDOW = 4  # latent frames of a lesson
APART = 8  # of the rows are only looked at, and never learned from


def layout(channels: int) -> np.dtype[Any]:
    """One clip: its pixels, its latents, and what the transformer made of these."""
    h, w = SIZE
    latents = (channels, len(KINDS), h // SPACE, w // SPACE)
    return np.dtype([("pixels", "u1", (1 + GROUP * (len(KINDS) - 1), h, w, 3)), ("clean", "f2", latents), ("draft", "f2", latents)])


def drafts(file: Path, count: int, model: Path, *, seed: int = 0) -> npt.NDArray[Any]:
    """Rows of ``layout`` by the networks of ``model``, as a memory map; made when the file is not there yet. Needs the extra ``world``.

    One core makes four a second. Raises CheckpointError.
    """
    if not file.exists():
        from misora.words.tell import tell
        from misora.world.make import make_clip
        from misora.world.scenes import CORE, LIVELY

        weights, beside = load_weights(model), file.with_suffix(".part.npy")
        rows = np.lib.format.open_memmap(beside, "w+", layout(weights.autoencoder.config.channels), (count,))
        for number, row in enumerate(rows, seed):
            dice = random.Random(number)
            clip = make_clip(number, LIVELY if number % 4 else CORE, size=SIZE)
            assert clip.truth is not None
            caption = tell(clip.truth.graph, 0, dice, dice.choice(("en", "ja"))).text
            clean = encode(weights.autoencoder, [clip.frames], KINDS).float()  # 1 c t h w
            row["pixels"], row["clean"] = clip.frames, clean[0].numpy()
            row["draft"] = draft(weights, clean, caption, dice)[0].numpy()
        rows.flush()
        beside.replace(file)
    return np.load(file, mmap_mode="r")  # type: ignore[no-any-return]


@torch.inference_mode()
def draft(weights: Weights, clean: Tensor, caption: str, dice: random.Random) -> Tensor:
    """What the last one, two or three steps of sampling make of latents [1, c, t, h, w] under their caption, as ancestral steps do."""
    generator = torch.Generator().manual_seed(dice.getrandbits(62))
    frames = clean.shape[2]
    kinds, times, roles = kind_indices(KINDS)[None], times_of(KINDS)[None], torch.zeros(1, frames, dtype=torch.long)  # 1 t each
    text = weights.text.encode([caption])  # 1 l d
    levels = [level and level + dice.uniform(-EITHER_WAY, EITHER_WAY) for level in LAST[-dice.choice((2, 3, 4)) :]]

    def noised(x: Tensor, level: float) -> Tensor:
        return path.mix(x, torch.randn(x.shape, generator=generator), torch.full((1, frames), level))

    x = noised(clean, levels[0])  # 1 c t h w
    for now, after in itertools.pairwise(levels):
        level = torch.full((1, frames), now)  # 1 t
        made = weights.transformer(x, level, text, kinds, times, roles).float()  # 1 c t h w
        x = noised(path.clean(made, x, level, weights.transformer.config.prediction), after)
    return x


class Drafts:
    """Endless batches of lessons from rows of ``layout``: windows of drafts and, for the rest, of the latents that they came from."""

    def __init__(self, rows: npt.NDArray[Any], recipe: AutoencoderRecipe) -> None:
        self.rows, self.recipe = rows, recipe

    def draw(self, number: int) -> Lesson:
        """The step's lesson. A window that begins in the middle of a clip has its first latent frame only for the next ones to lean on."""
        recipe = self.recipe
        common, own = random.Random(f"{recipe.seed} {number}"), random.Random(f"{recipe.seed} {number} {rank()}")
        size, start = common.choice(recipe.crops), 0 if common.random() < 0.25 else common.randrange(1, len(KINDS) - WINDOW + 1)
        kinds = KINDS[start : start + WINDOW]
        first, frames = max(0, 1 + GROUP * (start - 1)), sum(1 if kind == "S" else GROUP for kind in kinds)
        drafted = [own.random() < recipe.drafted for _ in range(recipe.batch)]
        pixels, latents = [], []
        for guessed in drafted:
            row = self.rows[own.randrange(min(APART, len(self.rows) - 1), len(self.rows))]
            clip = row["pixels"][first : first + frames]
            (top, left), view = liveliest(own, clip, size, recipe.chosen, grid=SPACE)
            where = tuple(slice(begin // SPACE, (begin + side) // SPACE) for begin, side in zip((top, left), size, strict=True))
            pixels.append(view)
            latents.append(row["draft" if guessed else "clean"][:, start : start + WINDOW, *where])
        given = torch.from_numpy(np.stack(latents)).float()  # b c t h w
        ahead = 0 if kinds[0] == "S" else GROUP
        return Lesson(pixels=torch.from_numpy(np.stack(pixels)), kinds=kinds, latents=given, drafted=torch.tensor(drafted), ahead=ahead)

    def shown(self) -> npt.NDArray[np.uint8]:
        """Two clips that are never learned from."""
        return np.asarray(self.rows["pixels"][:2])
