"""Training the painter on windows of scenes drawn twice; it knows nothing of where the windows come from, nor of prompts."""

from __future__ import annotations

import copy
import dataclasses
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from misora.model.painter import Painter, PainterConfig
from misora.model.view import View
from misora.train.log import Look
from misora.train.loop import Budget, train
from misora.train.muon import Muon
from misora.train.painter_samples import Footage

EDGE = 4  # native pixels along a window's edge that do not count: what lies beyond is not known there


@dataclasses.dataclass(frozen=True, kw_only=True)
class PainterRecipe:
    """One training run. The learning rate warms up, stays, and falls to a twentieth over the last ``cooldown`` steps.

    ``servings``: what is shown, each with its batch and its share of the steps.
    """

    config: PainterConfig = PainterConfig()
    servings: tuple[tuple[Footage, int, float], ...] = (
        (Footage(count=480), 4, 0.82),
        (Footage(count=48, scale=5.5), 2, 0.06),
        (Footage(count=36, scale=7.5), 1, 0.06),
        (Footage(count=24, scale=11.25), 1, 0.06),
    )
    steps: int = 3_000
    cooldown: int = 800
    warmup: int = 50
    matrix_lr: float = 2e-3
    vector_lr: float = 1e-3
    average: float = 0.998  # decay of the running mean of the weights
    squared: float = 10.0  # weight of the squared error beside the absolute one
    flow: float = 0.05  # weight of a pixel of wrong displacement
    grain: float = 0.02  # the most noise put on what is given, of the range -1..1
    ghost: float = 0.2  # the most of the frame before that is mixed in, a failing of young weights
    save_seconds: float = 120.0
    seed: int = 0
    goes_on: bool = False  # from a trained painter instead of from nothing


def sharpen() -> PainterRecipe:
    """A trained painter goes on, at rates that fall, with four times as many scenes."""
    plain = PainterRecipe()
    (footage, batch, share), *larger = plain.servings
    servings = (dataclasses.replace(footage, count=4 * footage.count), batch, share), *larger
    return dataclasses.replace(plain, servings=servings, steps=6_000, cooldown=5_900, matrix_lr=1e-3, vector_lr=5e-4, goes_on=True)


def tiny() -> PainterRecipe:
    """Seconds, for the tests."""
    config = PainterConfig(coarse=8, fine=8, motion=8)
    servings = (
        (Footage(count=4, window=(16, 16), each=2, seconds=0.5), 2, 0.5),
        (Footage(count=2, window=(16, 16), scale=5.5, seconds=0.5), 1, 0.5),
    )
    return PainterRecipe(config=config, servings=servings, steps=6, cooldown=2, warmup=2, average=0.5)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """``given`` [b 4 3 h w] and ``wanted`` [b 3 3 H W] in -1..1; ``flow`` [b 4 h w], not a number where it is unknown."""

    given: Tensor
    wanted: Tensor
    flow: Tensor

    def on(self, device: torch.device) -> Batch:
        """The same on a device."""
        return Batch(given=self.given.to(device), wanted=self.wanted.to(device), flow=self.flow.to(device))


class Dice:
    """Batches by number from arrays of samples: mirrored, turned back in time and spoilt at random."""

    def __init__(self, arrays: list[npt.NDArray[Any]], recipe: PainterRecipe) -> None:
        self.arrays, self.recipe = arrays, recipe

    def draw(self, number: int) -> Batch:
        dice = random.Random(f"{self.recipe.seed} {number}")
        torch.manual_seed(hash((self.recipe.seed, number)))
        shares = [share for _, _, share in self.recipe.servings]
        which = dice.choices(range(len(self.arrays)), weights=shares)[0]
        rows = self.arrays[which][sorted(dice.sample(range(len(self.arrays[which])), self.recipe.servings[which][1]))]
        batch = to_batch(rows)
        if dice.random() < 0.5:
            batch = mirrored(batch)
        if dice.random() < 0.5:
            batch = backwards(batch)
        return dataclasses.replace(batch, given=self._spoilt(batch.given))

    def _spoilt(self, given: Tensor) -> Tensor:
        """Noise, and a ghost of the frame before, of random strength; half of the windows keep clear of the ghost."""
        amount = torch.rand(2, len(given), 1, 1, 1, 1)
        ghost = self.recipe.ghost * (2 * amount[0] - 1).relu()
        given = torch.lerp(given, torch.cat((given[:, :1], given[:, :-1]), 1), ghost)
        return given + self.recipe.grain * amount[1] ** 2 * torch.randn_like(given)


def to_batch(rows: npt.NDArray[Any]) -> Batch:
    """Samples as tensors."""
    pixels = [torch.from_numpy(np.ascontiguousarray(rows[name])).permute(0, 1, 4, 2, 3).float() / 127.5 - 1 for name in ("given", "wanted")]
    return Batch(given=pixels[0], wanted=pixels[1], flow=torch.from_numpy(rows["flow"].astype(np.float32)))


def mirrored(batch: Batch) -> Batch:
    """Left and right changed."""
    turn = torch.tensor([-1.0, 1.0, -1.0, 1.0])[:, None, None]
    return Batch(given=batch.given.flip(-1), wanted=batch.wanted.flip(-1), flow=batch.flow.flip(-1) * turn)


def backwards(batch: Batch) -> Batch:
    """The film run backwards."""
    return Batch(given=batch.given.flip(1), wanted=batch.wanted.flip(1), flow=batch.flow.roll(2, 1))


def painted(network: Painter, batch: Batch) -> tuple[Tensor, Tensor]:
    """What the network makes of a batch: frames at 0, 1/2 and 1, [b 3 3 H W], and what it found of the motion, [b 5 h w]."""
    given, native, size = batch.given, batch.given.shape[-2:], batch.wanted.shape[-2:]
    view = View((native[0], native[1]), (size[0], size[1]), given.device)
    pairs = torch.cat((given[:, 0:3], given[:, 1:4]))  # 2b 3 3 h w
    left, right = network.paint(pairs[:, 1], network.read(pairs), view).chunk(2)  # b 3 H W
    found = network.motion(given)
    return torch.stack((left, network.between(left, right, found, view), right), 1), found


def inner(x: Tensor, scale: float) -> Tensor:
    """The pixels [... h w] that count."""
    edge = round(EDGE * scale)
    return x[..., edge:-edge, edge:-edge]


class PainterLearner:
    """A network, its running average, its optimisers and the dice, for ``train.loop``; all but the dice is on ``device``."""

    def __init__(self, recipe: PainterRecipe, arrays: list[npt.NDArray[Any]], begin: Painter | None = None, device: str = "cpu") -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.dice, self.device = recipe, Dice(arrays, recipe), torch.device(device)
        self.network = (begin or Painter(recipe.config)).to(self.device)
        self.average = copy.deepcopy(self.network)
        inner_ones = [p for name, p in self.network.named_parameters() if p.ndim == 4 and "out." not in name]
        others = [p for name, p in self.network.named_parameters() if p.ndim != 4 or "out." in name]
        self.optimisers = (
            Muon(inner_ones, lr=recipe.matrix_lr),
            torch.optim.AdamW(others, lr=recipe.vector_lr, weight_decay=0.0, foreach=True),
        )

    def step(self, number: int) -> dict[str, float]:
        recipe, batch = self.recipe, self.dice.draw(number).on(self.device)
        scale = batch.wanted.shape[-1] / batch.given.shape[-1]
        with torch.autocast(self.device.type, torch.bfloat16):
            made, found = painted(self.network, batch)
        gap = inner(made.float() - batch.wanted, scale)
        picture = (gap.square() + 1e-6).sqrt().mean() + recipe.squared * gap.square().mean()
        far = astray(inner(found[:, :4], 1), inner(batch.flow, 1))
        torch.autograd.backward(picture + recipe.flow * far)
        self._update(number)
        quality = {f"PSNR {name}": decibels(gap[:, frames]) for name, frames in (("whole", [0, 2]), ("between", [1]))}
        return {"loss": picture.item(), "displacement": far.item(), **quality} if scale == 4 else {"loss": picture.item()}

    def _update(self, number: int) -> None:
        recipe = self.recipe
        share = min((number + 1) / recipe.warmup, max(0.05, min(1.0, (recipe.steps - number) / recipe.cooldown)))
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
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
        """The half-way frames of a few of the first samples: half of one neighbour and half of the other, painted, and as wanted."""
        batch = to_batch(self.dice.arrays[0][:4]).on(self.device)
        made, _ = painted(self.average.eval(), batch)
        plain = F.interpolate(batch.given[:, 1:3].flatten(0, 1), size=batch.wanted.shape[-2:], mode="bicubic").view(
            -1, 2, *batch.wanted.shape[2:]
        )
        blend = torch.stack((plain[:, 0], plain.mean(1), plain[:, 1]), 1)  # b 3 3 H W
        scale = batch.wanted.shape[-1] / batch.given.shape[-1]
        figures = {name: decibels(inner(some - batch.wanted, scale)) for name, some in (("PSNR", made), ("PSNR of blends", blend))}
        sheet = torch.cat([some[:, 1] for some in (blend, made, batch.wanted)], -1).transpose(0, 1).flatten(1, 2)  # 3 b*H 3*W
        return Look(figures=figures, sheets={"half-way": ((sheet.clamp(-1, 1) + 1) * 127.5).byte().permute(1, 2, 0).cpu()})


def astray(found: Tensor, true: Tensor) -> Tensor:
    """Mean error of displacements [b 4 h w] in native pixels where they are known; those of movers count more, since they are few."""
    weight = true.isfinite() * (1 + 8 * (true.abs() > 0.5))  # b 4 h w
    return ((found - true.nan_to_num()).abs() * weight).sum() / weight.sum().clamp(min=1)


def decibels(gap: Tensor) -> float:
    """Peak signal-to-noise ratio of differences on a range of 2."""
    return -10 * math.log10(float(gap.detach().square().mean()) / 4 + 1e-10)


def train_painter(
    recipe: PainterRecipe,
    arrays: list[npt.NDArray[Any]],
    folder: Path,
    *,
    minutes: float | None = None,
    begin: Painter | None = None,
    device: str = "cpu",
) -> Painter:
    """Trains, going on from the state in ``folder`` where there is one, else from ``begin``; returns the averaged network, on the CPU."""
    learner = PainterLearner(recipe, arrays, begin, device)
    train(learner, folder, Budget(steps=recipe.steps, minutes=minutes, checkpoint_seconds=recipe.save_seconds))
    return learner.average.cpu()
