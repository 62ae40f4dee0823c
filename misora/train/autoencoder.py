"""Training the autoencoder on crops of clips; it knows nothing of where the clips come from, nor of prompts.

Two things are asked of the latents beside good pixels: to be small, and to be read well through noise, so that a diffusion model
can learn them.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from misora.model.autoencoder import GROUP, Autoencoder, AutoencoderConfig, pixel_frames
from misora.train.log import Look
from misora.train.loop import Budget, rank, share_gradients, train
from misora.train.muon import Muon

Bytes = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoencoderRecipe:
    """One training run. The learning rate warms up, stays, and falls to a twentieth over the last ``cooldown`` steps."""

    config: AutoencoderConfig = AutoencoderConfig(frame_blocks=2)
    kinds: tuple[str, ...] = ("SGG", "SGG", "SGG", "SGGS", "GGS", "SGSG")
    crops: tuple[tuple[int, int], ...] = ((64, 96), (80, 80), (96, 64))
    batch: int = 8
    steps: int = 10_000
    cooldown: int = 2_500
    warmup: int = 100
    matrix_lr: float = 3e-3
    vector_lr: float = 2e-3
    average: float = 0.998  # decay of the running mean of the weights
    latent_noise: float = 0.1  # the most noise put on latents, in their own standard deviations
    latent_penalty: float = 1e-4
    squared: float = 10.0  # weight of the squared error beside the absolute one
    motion: float = 8.0  # how much more a moving pixel counts
    flicker: float = 1.0  # weight of the error in the change from frame to frame
    chosen: int = 3  # a crop is the liveliest of so many
    save_seconds: float = 120.0
    decoder_only: bool = False  # once latents are in use, their encoder may not change
    drafted: float = 0.0  # the share of a batch whose latents are what a transformer left of them (train/drafts.py)
    seed: int = 0


def tiny() -> AutoencoderRecipe:
    """Seconds, for the tests."""
    config = AutoencoderConfig(channels=4, near=8, deep=8, frame=8)
    return AutoencoderRecipe(config=config, crops=((16, 16),), batch=2, steps=6, cooldown=2, warmup=2, average=0.5)


def decoder() -> AutoencoderRecipe:
    """The decoder alone goes on, under latents that are in use already."""
    return AutoencoderRecipe(decoder_only=True, steps=1_500, cooldown=1_200, matrix_lr=1.5e-3, vector_lr=1e-3)


def finish() -> AutoencoderRecipe:
    """The decoder goes on with what a transformer leaves of latents: soft outlines, to be drawn as they should be."""
    return dataclasses.replace(decoder(), drafted=0.5, batch=4, average=0.99, steps=3_000, cooldown=2_900, matrix_lr=1e-3, vector_lr=7e-4)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lesson:
    """A batch of crops: ``pixels`` [b t h w 3], uint8, of latent frames ``kinds``, of which the first ``ahead`` pixel frames do not count.

    ``latents`` [b c T h/8 w/8] where they are given and not the encoder's; ``drafted`` [b] which of them a transformer left.
    """

    pixels: Tensor
    kinds: str
    latents: Tensor | None = None
    drafted: Tensor | None = None
    ahead: int = 0

    def on(self, device: torch.device) -> Lesson:
        """The same on a device."""
        latents, drafted = (part if part is None else part.to(device) for part in (self.latents, self.drafted))
        return dataclasses.replace(self, pixels=self.pixels.to(device), latents=latents, drafted=drafted)


class Lessons(Protocol):
    """Where a learner's lessons come from."""

    def draw(self, number: int) -> Lesson: ...

    def shown(self) -> Bytes: ...


class Crops:
    """Endless batches of crops from arrays of clips [n t h w 3], uint8, maybe memory maps; what moves is preferred."""

    def __init__(self, arrays: list[Bytes], recipe: AutoencoderRecipe) -> None:
        self.arrays, self.recipe = arrays, recipe

    def draw(self, number: int) -> Lesson:
        """The step's crops; processes that train together draw one shape, so that none waits, and crops of their own."""
        common = random.Random(f"{self.recipe.seed} {number}")
        own = random.Random(f"{self.recipe.seed} {number} {rank()}")
        kinds, size = common.choice(self.recipe.kinds), common.choice(self.recipe.crops)
        frames = pixel_frames(kinds)
        return Lesson(pixels=torch.from_numpy(np.stack([self._crop(own, frames, size) for _ in range(self.recipe.batch)])), kinds=kinds)

    def shown(self) -> Bytes:
        """Clips for the samples' sheet."""
        return self.arrays[0][:2]

    def _crop(self, dice: random.Random, frames: int, size: tuple[int, int]) -> Bytes:
        array = dice.choices(self.arrays, weights=[len(a) for a in self.arrays])[0]
        clip = array[dice.randrange(len(array))]
        clip = clip[(start := dice.randrange(len(clip) - frames + 1)) : start + frames]
        return liveliest(dice, clip, size, self.recipe.chosen)[1]


def liveliest(dice: random.Random, clip: Bytes, size: tuple[int, int], chosen: int, grid: int = 1) -> tuple[tuple[int, int], Bytes]:
    """The place (top, left) and the window, out of ``chosen`` in a clip [t h w 3] at multiples of ``grid``, in which most moves."""
    room = [(whole - side) // grid + 1 for whole, side in zip(clip.shape[1:3], size, strict=True)]
    places = [(grid * dice.randrange(room[0]), grid * dice.randrange(room[1])) for _ in range(chosen)]
    views = [(place, clip[:, place[0] : place[0] + size[0], place[1] : place[1] + size[1]]) for place in places]
    return max(views, key=lambda view: liveliness(view[1]))


def liveliness(clip: Bytes) -> float:
    """Mean absolute change between the first, middle and last frame, on a grid of every fourth pixel."""
    few = clip[[0, len(clip) // 2, -1], ::4, ::4].astype(np.int16)
    return float(np.abs(np.diff(few, axis=0)).mean())


def moving(frames: Tensor) -> Tensor:
    """1.0 where a pixel or a neighbour up to 4 away changes by more than 4 % of the range, to the frame before or after.

    frames [b t h w 3] in -1..1; returns [b t h w].
    """
    change = (frames[:, 1:] - frames[:, :-1]).abs().amax(-1) > 0.08  # b t-1 h w
    near = F.max_pool2d(F.max_pool2d(change.float(), (9, 1), 1, (4, 0)), (1, 9), 1, (0, 4))
    return torch.maximum(F.pad(near, (0, 0, 0, 0, 1, 0)), F.pad(near, (0, 0, 0, 0, 0, 1)))  # b t h w


def noisy(latents: Tensor, most: float) -> Tensor:
    """Latents [b c T h w] with noise of 0..most of each channel's own deviation, its strength drawn per clip; drawn where they lie."""
    strength = most * torch.rand(len(latents), 1, 1, 1, 1, device=latents.device)
    return latents + strength * latents.detach().std((0, 2, 3, 4), keepdim=True) * torch.randn_like(latents)


def reconstruction_loss(made: Tensor, frames: Tensor, recipe: AutoencoderRecipe, drafted: Tensor | None = None) -> Tensor:
    """Smooth absolute plus squared error over [b t h w 3], moving pixels counting more, and that of the changes in time.

    No squares for what is ``drafted`` [b]: between two places that an outline may have they ask for a blur, absolute errors for either.
    """
    squared = recipe.squared if drafted is None else (recipe.squared * ~drafted)[:, None, None, None, None]  # b 1 1 1 1
    weight = 1 + recipe.motion * moving(frames)  # b t h w
    gap = made - frames
    square = gap.square()
    error = (square + 1e-6).sqrt() + squared * square
    change = (gap.diff(dim=1).square() + 1e-6).sqrt().mean()  # what stands still must not shimmer
    return (error.mean(-1) * weight).sum() / weight.sum() + recipe.flicker * change


class AutoencoderLearner:
    """A network, its running average, its optimisers and the dice, for ``train.loop``; all of it computes on ``device``."""

    def __init__(self, recipe: AutoencoderRecipe, lessons: Lessons, begin: Autoencoder | None = None, device: str = "cpu") -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.lessons, self.device = recipe, lessons, torch.device(device)
        self.network = (begin or Autoencoder(recipe.config)).to(self.device)  # begun on the CPU, hence everywhere with the same weights
        self.network.encoder.requires_grad_(not recipe.decoder_only)
        self.average = copy.deepcopy(self.network)
        inner = [p for p in self.network.parameters() if p.requires_grad and p.ndim == 4]
        others = [p for p in self.network.parameters() if p.requires_grad and p.ndim != 4]
        self.optimisers = (Muon(inner, lr=recipe.matrix_lr), torch.optim.AdamW(others, lr=recipe.vector_lr, weight_decay=0.0, foreach=True))

    def step(self, number: int) -> dict[str, float]:
        recipe = self.recipe
        lesson = self.lessons.draw(number).on(self.device)
        torch.manual_seed(hash((recipe.seed, number, rank())))  # the dice of every device
        frames = lesson.pixels.float() / 127.5 - 1  # b t h w 3
        with torch.autocast(self.device.type, torch.bfloat16):
            given = lesson.latents
            latents = self.network.encode(frames.movedim(-1, 1), lesson.kinds) if given is None else given  # b c T h/8 w/8
            made = self.network.decode(noisy(latents, recipe.latent_noise), lesson.kinds).movedim(1, -1).float()  # b t h w 3
        loss = reconstruction_loss(made[:, lesson.ahead :], frames[:, lesson.ahead :], recipe, lesson.drafted)
        torch.autograd.backward(loss + recipe.latent_penalty * latents.square().mean())
        self._update(number)
        return {"loss": loss.item()}

    def _update(self, number: int) -> None:
        recipe = self.recipe
        share_gradients([weight for weight in self.network.parameters() if weight.requires_grad])
        share = min((number + 1) / recipe.warmup, max(0.05, min(1.0, (recipe.steps - number) / recipe.cooldown)))
        for optimiser, rate in zip(self.optimisers, (recipe.matrix_lr, recipe.vector_lr), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * share
            optimiser.step()
            optimiser.zero_grad()
        keep = min(recipe.average, (number + 1) / (number + 11))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), 1 - keep)

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": [o.state_dict() for o in self.optimisers],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)

    @torch.no_grad()
    def look(self) -> Look:
        """Two of the first clips, at most 17 frames of each, beside what comes back of them."""
        clips = np.array(self.lessons.shown()[:, :17])  # maybe of a file that may not be written to
        frames = torch.from_numpy(clips).to(self.device).float() / 127.5 - 1  # b t h w 3
        kinds = "S" + "G" * ((frames.shape[1] - 1) // GROUP)
        frames = frames[:, : pixel_frames(kinds)]
        with torch.autocast(self.device.type, torch.bfloat16):
            made = self.average.decode(self.average.encode(frames.movedim(-1, 1), kinds), kinds).movedim(1, -1).float()
        pairs = torch.cat((frames[:, [0, -3, -1]], made[:, [0, -3, -1]]), 3)  # b 3 h 2w 3
        sheet = ((pairs.clamp(-1, 1) + 1) * 127.5).byte().flatten(1, 2).flatten(0, 1).cpu()
        still, moved = signal_to_noise(made, frames)
        return Look(figures={"PSNR": still, "PSNR where it moves": moved}, sheets={"reconstruction": sheet})


def signal_to_noise(made: Tensor, frames: Tensor) -> tuple[float, float]:
    """Peak signal-to-noise ratio in dB over [b t h w 3] in -1..1, of all pixels and of those that move."""
    error = (made.clamp(-1, 1) - frames).square().mean(-1) / 4  # b t h w, the range 2 taken as 1
    move = moving(frames)
    return -10 * math.log10(float(error.mean())), -10 * math.log10(float((error * move).sum() / move.sum().clamp(min=1)) + 1e-10)


def train_autoencoder(
    recipe: AutoencoderRecipe,
    lessons: Lessons,
    folder: Path,
    *,
    minutes: float | None = None,
    begin: Autoencoder | None = None,
    device: str = "cpu",
) -> Autoencoder:
    """Trains, going on from the state in ``folder`` where there is one, else from ``begin``; returns the averaged network, on the CPU.

    Without ``minutes`` it ends with the recipe's steps.
    """
    learner = AutoencoderLearner(recipe, lessons, begin, device)
    train(learner, folder, Budget(steps=recipe.steps, minutes=minutes, checkpoint_seconds=recipe.save_seconds))
    return learner.average.cpu()


@torch.no_grad()
def measure_latents(network: Autoencoder, clips: Iterable[tuple[Tensor, str]]) -> None:
    """Sets ``latent_mean`` and ``latent_std`` from clips [b 3 t h w] in -1..1 with their kinds."""
    network.latent_mean.zero_()
    network.latent_std.fill_(1)
    sums = torch.zeros(3, 2, network.config.channels, dtype=torch.float64)  # count, sum, sum of squares, per kind
    for frames, kinds in clips:
        latents = network.encode(frames, kinds).double()  # b c T h w
        for row, kind in enumerate("SG"):
            some = latents[:, :, [k == kind for k in kinds]].transpose(0, 1).flatten(1)  # c n
            sums[:, row] += torch.stack((torch.full((len(some),), some.shape[1]), some.sum(1), some.square().sum(1)))
    mean = sums[1] / sums[0]
    network.latent_mean.copy_(mean)
    network.latent_std.copy_((sums[2] / sums[0] - mean.square()).sqrt())
