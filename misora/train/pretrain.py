"""Training the transformer on latents: draw a canvas, predict the clean one, step; it knows nothing of the world or of prompts.

Each step depends on the recipe's seed, the step's number and the learner's state alone, so a resumed run equals an unbroken one.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F

from misora.canvas.canvas import PATCH, kind_indices
from misora.canvas.draw import SHARES, Shares, draw_canvas
from misora.data.loader import Batch, Loader, Serving
from misora.flow import path
from misora.model import weights
from misora.model.linear import learn
from misora.model.text import TextEncoder
from misora.model.transformer import Transformer, TransformerConfig
from misora.train.log import Look
from misora.train.loop import share_gradients
from misora.train.muon import Muon
from misora.train.truth import TruthHead

CHANGED = 0.1  # mean squared change of a latent, in deviations, above which something moves there
SLOTS = 24  # of the text encoder; only used to count operations
COMPILERS = ("c++", "g++", "clang++")  # torch.compile needs one; without any the blocks run as they are


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainRecipe:
    """One run's choices. ``average``: decay of the running mean of the weights; ``truth``: weight of the truth head's loss.

    ``shares``: of canvas.draw's patterns of levels.
    ``shifted``: clips of t latent frames have their levels moved towards noise t to this power times (arXiv:2403.03206, 5.3.2: frames
    repeat each other, so that the layout of a longer clip shows through more noise); 0 when layout is known and outlines are to be learned.
    ``things``: how much more than 1 the error of tokens in and next to things weighs when they are clean; less the noisier they are.
    ``moving``: the same of latents that change from one group to the next: a twentieth of a clip, a third of what is wrong in it.
    ``worn``: the past of a window out of the middle of a clip has up to so much more or less contrast, and noise of up to that level, as
    a long video's own past comes to have; what follows is to be as it should be, or each window adds to what the one before it did.
    """

    config: TransformerConfig
    servings: tuple[Serving, ...]
    seed: int = 0
    matrix_rate: float = 2e-3
    vector_rate: float = 2e-3
    warmup: int = 100
    average: float = 0.997
    last: int | None = None  # the step before which the rates fall to a tenth; None: never, the run is to go on
    cooldown: int = 400  # over so many steps
    level_mean: float = 1.3
    shifted: float = 0.25
    shares: Shares = SHARES
    truth: float = 0.25
    things: float = 3.0
    moving: float = 5.0
    worn: float = 0.1
    compiled: bool = True


class Pretrainer:
    """The transformer, its running average, the truth head and their optimisers: a ``loop.Learner``.

    Weights are kept and moved in float32; ``working`` is their image in ``dtype``, which computes (in bfloat16 where that is fast).
    """

    def __init__(
        self, recipe: PretrainRecipe, loader: Loader, text: TextEncoder, device: str = "cpu", held_out: Loader | None = None
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.loader, self.text, self.device = recipe, loader, text.requires_grad_(False).to(device), torch.device(device)
        self.held_out = held_out
        self.network = Transformer(recipe.config).to(device)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.truth = TruthHead(recipe.config.width).to(device)
        self.dtype = torch.bfloat16 if self.device.type == "cuda" else weights.fast_dtype()
        self.working = learn(copy.deepcopy(self.network).to(self.dtype)), copy.deepcopy(self.truth).to(self.dtype)
        self.samples, self.flops = 0, 0.0
        self.steady = False  # whether the running average began with weights worth keeping
        self.part = slice(dist.get_rank(), None, dist.get_world_size()) if dist.is_initialized() else slice(None)
        self.look_at: Callable[[Transformer], Look] = lambda network: Look()
        named = [*self.network.named_parameters(), *self.truth.named_parameters()]
        matrices = [weight for name, weight in named if _orthogonal(name, weight)]
        vectors = [weight for name, weight in named if not _orthogonal(name, weight)]
        self.optimisers = (
            Muon(matrices, lr=recipe.matrix_rate, weight_decay=0.01),
            torch.optim.AdamW(vectors, lr=recipe.vector_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
        )
        self.reader, self.coming = ThreadPoolExecutor(1), dict[int, Future[Batch]]()
        if recipe.compiled and any(map(shutil.which, COMPILERS)):
            torch._dynamo.config.recompile_limit = 64  # shapes of a mixture, each with and without masks and cards
            for block in self.working[0].blocks:
                block.compile(dynamic=False)

    def begin_from(self, tensors: dict[str, Tensor]) -> None:
        """Start from released weights instead of random ones (the optimiser starts afresh, the average is kept from the first step)."""
        self.network.load_state_dict(tensors)
        self.average.load_state_dict(tensors)
        self.steady = True
        self._refresh()

    def step(self, number: int) -> dict[str, float]:
        """One batch forward, back and into the weights."""
        batch = self._batch(number)
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + number)
        loss, truth = self.losses(*self.working, batch, generator, self.recipe.things, self.recipe.moving)
        (loss + self.recipe.truth * truth).backward()  # type: ignore[no-untyped-call]
        self._update(number)
        self.samples += batch.whole
        self.flops += batch.whole * flops(self.recipe.config, batch.latents[0, 0].numel() // 4)
        return {"loss": loss.item(), "truth": truth.item(), f"loss/{len(batch.kinds)}": loss.item()}

    def _batch(self, number: int) -> Batch:
        """The step's batch. Beside a card the next one is read while this one computes; on a CPU that would only take its cores."""
        if self.device.type == "cpu":
            return self.loader.batch(number, self.part)
        now, after = (self.coming.get(n) or self.reader.submit(self.loader.batch, n, self.part) for n in (number, number + 1))
        self.coming = {number + 1: after}
        return now.result()

    def losses(
        self, network: Transformer, head: TruthHead, batch: Batch, generator: torch.Generator, things: float = 0.0, moving: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Error of the predicted clean latents, weighing so much more near ``things`` and in what is ``moving``, and the truth head's."""
        clean = batch.latents.to(self.device).float()  # b c t h w
        b, _, t = clean.shape[:3]
        tokens = clean.shape[3] // PATCH, clean.shape[4] // PATCH
        how = {"mean": self.recipe.level_mean, "shift": t**self.recipe.shifted, "shares": self.recipe.shares}
        drawn = draw_canvas(batch.whole, batch.kinds, *tokens, generator, **how)[batch.part]
        level, times, roles = (part.to(self.device) for part in (drawn.level, drawn.times, drawn.roles))  # b t (h/2 w/2), b t, b t
        noise = self._noise((batch.whole, *clean.shape[1:]), generator)[batch.part]  # b c t h w
        kinds = kind_indices(batch.kinds, self.device).expand(b, t)  # b t
        dtype = network.patch.weight.dtype
        with torch.no_grad():
            text = self.text.encode(batch.captions).to(dtype)  # b l d
            text = text if batch.cards is None else text[batch.cards.to(self.device)]  # b l d or b t l d
        everywhere = level if level.ndim == 2 else level.repeat_interleave(PATCH, 2).repeat_interleave(PATCH, 3)  # b t or b t h w
        mixed = path.mix(clean, noise, everywhere)  # b c t h w
        if batch.kinds[0] == "G" and t > 1:
            given = path.over_channels(everywhere) == 0  # b 1 t 1 1 or b 1 t h w
            mixed = torch.where(given, _worn(clean, noise, self.recipe.worn, generator, batch), mixed)
        made, tapped = network.forward_tapped(mixed, level, text, kinds, times, roles)
        truth = head(tapped.flatten(1, 2), batch.labels.to(self.device))
        spread = path.over_channels(everywhere)  # b 1 t 1 1 or b 1 t h w
        weight = (spread > 0) / (spread.square() + 0.2)  # between the error of x (flat) and of velocity (level^-2)
        extra = things * _near_things(batch.labels).to(self.device) + moving * _moving(clean, batch.kinds)  # b 1 t h w
        weight = weight * (1 + (1 - spread) * extra)  # b 1 t h w
        error = ((made.float() - clean).square() * weight).mean()
        return error, truth

    def _noise(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Noise drawn where it is needed: a large batch takes a CPU longer to draw than a card takes to learn from."""
        if self.device.type != "cpu":
            generator = torch.Generator(self.device).manual_seed(int(torch.randint(2**62, (), generator=generator)))
        return torch.randn(shape, generator=generator, device=self.device)

    @torch.no_grad()
    def held_out_loss(self, batches: int = 4) -> float:
        """Mean loss of the running average on scenes that training never draws (folder ``held-out``); not a number where there are none."""
        if self.held_out is None:
            return math.nan
        generator = torch.Generator().manual_seed(0)
        losses = [self.losses(self.average, self.truth, self.held_out.batch(number), generator)[0].item() for number in range(batches)]
        return sum(losses) / batches

    def _update(self, number: int) -> None:
        share_gradients([image for _, image in self._pairs()])
        for weight, image in self._pairs():
            weight.grad, image.grad = None if image.grad is None else image.grad.float(), None
        share = min(1.0, (number + 1) / self.recipe.warmup)
        if self.recipe.last is not None:
            share *= min(1.0, max(0.1, (self.recipe.last - number) / self.recipe.cooldown))
        for optimiser, rate in zip(self.optimisers, (self.recipe.matrix_rate, self.recipe.vector_rate), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * share
            optimiser.step()
            optimiser.zero_grad()
        keep = self.recipe.average if self.steady else min(self.recipe.average, (number + 1) / (number + 11))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), 1 - keep)
        self._refresh()

    @torch.no_grad()
    def _refresh(self) -> None:
        """Bring the working image up to date."""
        own, images = zip(*self._pairs(), strict=True)
        torch._foreach_copy_(list(images), list(own))

    def _pairs(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Every weight with its working image."""
        for module, image in zip((self.network, self.truth), self.working, strict=True):
            yield from zip(module.parameters(), image.parameters(), strict=True)

    def state(self) -> dict[str, Any]:
        """Everything ``restore`` needs."""
        parts = {"network": self.network, "average": self.average, "truth": self.truth}
        return {
            **{name: part.state_dict() for name, part in parts.items()},
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "samples": self.samples,
            "flops": self.flops,
            "steady": self.steady,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        for name in ("network", "average", "truth"):
            getattr(self, name).load_state_dict(state[name])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.samples, self.flops, self.steady = state["samples"], state["flops"], state.get("steady", False)
        self._refresh()

    def look(self) -> Look:
        """Whatever the caller wants to see of the averaged network at a checkpoint."""
        return self.look_at(self.average)


def _worn(clean: Tensor, noise: Tensor, most: float, generator: torch.Generator, batch: Batch) -> Tensor:
    """Latents [b, c, t, h, w] with up to ``most`` of more or less contrast and of noise, each clip its own."""
    amount = 2 * torch.rand(2, batch.whole, 1, 1, 1, 1, generator=generator) - 1  # 2 b 1 1 1 1
    gain, rough = (most * amount[:, batch.part]).to(clean).unbind()  # b 1 1 1 1 each
    return clean + gain * (clean - clean.mean((3, 4), keepdim=True)) + rough * noise


def _moving(clean: Tensor, kinds: str) -> Tensor:
    """1 for the latents [b, 1, t, h, w] of groups that differ from the group before or after."""
    groups = kind_indices(kinds, clean.device) == 1  # t
    alike = (groups[1:] & groups[:-1])[:, None, None]  # t-1 1 1
    change = (alike & (clean.diff(dim=2).square().mean(1) > CHANGED)).float()  # b t-1 h w
    return torch.maximum(F.pad(change, (0, 0, 0, 0, 1, 0)), F.pad(change, (0, 0, 0, 0, 0, 1)))[:, None]


def _near_things(labels: Tensor) -> Tensor:
    """1 for the latents in or next to tokens that show a thing, [b, 1, t, h, w], out of labels [b, 2, t, h/2, w/2]."""
    near = F.max_pool2d((labels[:, 0] > 0).float(), 3, stride=1, padding=1)  # b t h/2 w/2
    return near.repeat_interleave(PATCH, 2).repeat_interleave(PATCH, 3)[:, None]


def flops(config: TransformerConfig, tokens: int) -> float:
    """Multiplications and additions of one sample's forward and backward pass: the matrices and the attention, nothing else."""
    d = config.width
    matrices = 2 * tokens * (6 * d * d + 2 * d * config.hidden)
    attention = 4 * tokens * (tokens + SLOTS) * d + 8 * SLOTS * d * d
    return 3.0 * config.depth * (matrices + attention)


def _orthogonal(name: str, weight: Tensor) -> bool:
    """Whether Muon moves a weight: the matrices inside the blocks. Embeddings, heads and vectors go to AdamW."""
    return weight.ndim == 2 and name.startswith("blocks.") and "modulation" not in name
