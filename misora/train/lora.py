"""A LoRA (arXiv:2106.09685) for weights of the Wan family from a folder of clips; it knows nothing of files beside its own.

With ``fills`` it learns what these weights were not taught: clean, half clean and noisy frames in one clip (diffusion forcing,
arXiv:2407.01392), drawn as the embedded weights' are, so that every verb becomes native to them.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from misora.canvas.canvas import PATCH, kind_indices, times_of
from misora.canvas.draw import draw_canvas
from misora.client.errors import UsageError
from misora.data.captioned import captioned
from misora.flow import path
from misora.flow.schedule import shifted
from misora.model import wan_keys
from misora.model.lora import FILLS
from misora.model.transformer import Transformer
from misora.model.wan_weights import Loading, WanWeights, load_wan
from misora.train.log import Look
from misora.train.loop import Budget, train

LAYERS = ("attention.qkv", "attention.out", "cross.q", "cross.kv", "cross.out", "ffn.up", "ffn.down")
SILENT = 0.1  # share of the steps without a caption, which guidance needs
PIXELS = 480 * 832  # of a frame, at most
GROUPS = 20  # G frames of a clip, at most: 81 frames


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoraRecipe:
    """One run's choices."""

    fills: bool = False
    rank: int = 16
    rate: float = 1e-4
    seed: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """A clip as the network sees it: latents [1, c, t, h, w] and its caption's vectors [1, l, d]."""

    latents: Tensor
    text: Tensor


class Adapted(nn.Module):
    """A linear layer that stays, with a low-rank change for each of the matrices that it stacks."""

    def __init__(self, linear: nn.Linear, parts: int, rank: int) -> None:
        super().__init__()
        self.linear = linear
        rows, columns, device = linear.out_features // parts, linear.in_features, linear.weight.device
        self.down = nn.ParameterList(torch.randn(rank, columns, device=device) / columns**0.5 for _ in range(parts))
        self.up = nn.ParameterList(torch.zeros(rows, rank, device=device) for _ in range(parts))

    def forward(self, x: Tensor) -> Tensor:
        changes = [F.linear(F.linear(x, down.to(x)), up.to(x)) for down, up in zip(self.down, self.up, strict=True)]  # ... d/parts
        made: Tensor = self.linear(x) + torch.cat(changes, -1)  # ... d
        return made


class LoraLearner:
    """The changes and their optimiser: a ``loop.Learner``. The network itself never moves."""

    def __init__(self, network: Transformer, samples: list[Sample], silence: Tensor, recipe: LoraRecipe, shift: float) -> None:
        torch.manual_seed(recipe.seed)
        self.network, self.samples, self.silence, self.recipe, self.shift = network.requires_grad_(False), samples, silence, recipe, shift
        places = wan_keys.modules(network.config.depth, "diffusers")
        self.theirs = {(place.name, place.part): name for name, place in places.items()}
        self.layers: dict[str, Adapted] = {}
        for i in range(network.config.depth):
            for layer in LAYERS:
                name = f"blocks.{i}.{layer}"
                holder, _, last = name.rpartition(".")
                linear = network.get_submodule(name)
                assert isinstance(linear, nn.Linear)
                parts = 1 + max(part for other, part in self.theirs if other == name)
                self.layers[name] = Adapted(linear, parts, recipe.rank)
                setattr(network.get_submodule(holder), last, self.layers[name])
        self.weights = [weight for layer in self.layers.values() for weight in (*layer.down, *layer.up)]
        for weight in self.weights:
            weight.requires_grad_()
        self.optimiser = torch.optim.AdamW(self.weights, lr=recipe.rate, weight_decay=0.0)

    def step(self, number: int) -> dict[str, float]:
        """One clip, its noise and its levels drawn from the step's number."""
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + number)
        sample = self.samples[int(torch.randint(len(self.samples), (), generator=generator))]
        text = self.silence if float(torch.rand((), generator=generator)) < SILENT else sample.text
        loss = self._loss(sample.latents, text, generator)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimiser.step()
        return {"loss": float(loss.detach())}

    def _loss(self, clean: Tensor, text: Tensor, generator: torch.Generator) -> Tensor:
        _, _, frames, height, width = clean.shape
        kinds = "S" + "G" * (frames - 1)
        if self.recipe.fills:
            level = draw_canvas(1, kinds, height // PATCH, width // PATCH, generator, shift=self.shift).level  # b t or b t h/2 w/2
        else:
            level = shifted(torch.sigmoid(torch.randn(1, 1, generator=generator)), self.shift).expand(-1, frames)  # b t
        noise = torch.randn(clean.shape, generator=generator).to(clean)  # b c t h w
        level = level.to(clean)
        each = level if level.ndim == 2 else level.repeat_interleave(PATCH, 2).repeat_interleave(PATCH, 3)
        marks = kind_indices(kinds, clean.device)[None]  # 1 t
        times, roles = times_of(kinds).to(clean.device)[None], torch.zeros_like(marks)
        made = self.network(path.mix(clean, noise, each), level, text, marks, times, roles)  # b c t h w
        wrong = (made.float() - (noise - clean)).square().mean(1)  # b t h w
        busy = (path.over_channels(each)[:, 0] > 0).expand_as(wrong)  # b t h w
        loss: Tensor = wrong[busy].mean()
        return loss

    def state(self) -> dict[str, Any]:
        """All that ``restore`` needs."""
        return {"weights": [weight.detach().cpu() for weight in self.weights], "optimiser": self.optimiser.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what ``state`` gave."""
        for weight, saved in zip(self.weights, state["weights"], strict=True):
            weight.data.copy_(saved)
        self.optimiser.load_state_dict(state["optimiser"])

    def look(self) -> Look:
        """Nothing is drawn on the way: that would take as long as the training."""
        return Look()

    def save(self, where: Path) -> None:
        """The changes under diffusers' names."""
        made: dict[str, Tensor] = {}
        config = self.network.config
        for name, layer in self.layers.items():
            for part, (down, up) in enumerate(zip(layer.down, layer.up, strict=True)):
                theirs = self.theirs[name, part]
                place = wan_keys.Place(name=f"{name}.weight", part=part, parts=len(layer.down))
                made[f"transformer.{theirs}.lora_A.weight"] = down.detach().cpu().contiguous()
                made[f"transformer.{theirs}.lora_B.weight"] = wan_keys.restored(place, up.detach().cpu(), config).contiguous()
        save_file(made, where, {FILLS: str(int(self.recipe.fills)), "format": "pt"})


def train_lora(folder: Path, data: Path, model: str, recipe: LoraRecipe, budget: Budget, device: str | None = None) -> Path:
    """Train a LoRA for ``model`` on the clips of ``data``, or go on; returns its file. Raises MisoraError."""
    if not 1 <= recipe.rank <= 512:
        raise UsageError(f"A rank of {recipe.rank} cannot be trained; give a whole number from 1 to 512.")
    folder.mkdir(parents=True, exist_ok=True)
    weights = load_wan(model, Loading(device=device))
    samples = [_sample(weights, *clip) for clip in captioned(data)]
    silence = weights.text.encode([""]).to(weights.device)  # 1 l d
    network = weights.source.outer()
    network.blocks = nn.ModuleList(weights.source.block(i) for i in range(network.config.depth))
    learner = LoraLearner(network.to(weights.device), samples, silence, recipe, weights.shift)
    train(learner, folder, budget)
    learner.save(folder / "lora.safetensors")
    return folder / "lora.safetensors"


def _sample(weights: WanWeights, frames: Tensor, rate: float, caption: str) -> Sample:
    """A clip at the weights' own rate, cut to whole groups of frames and whole tokens."""
    cell = PATCH * weights.autoencoder.space
    scale = min(1.0, (PIXELS / (frames.shape[1] * frames.shape[2])) ** 0.5)
    height, width = (max(1, int(side * scale) // cell) * cell for side in frames.shape[1:3])
    count = 1 + 4 * min(GROUPS, (int(len(frames) * weights.rate / rate) - 1) // 4)
    places = [min(round(i * rate / weights.rate), len(frames) - 1) for i in range(max(1, count))]
    pixels = F.interpolate(frames[places].permute(0, 3, 1, 2).float(), size=(height, width), mode="bicubic", antialias=True)  # t 3 h w
    pixels = (pixels.clamp(0, 255) / 127.5 - 1).transpose(0, 1)[None]  # 1 3 t h w
    latents = weights.autoencoder.encode(pixels, "S" + "G" * ((len(places) - 1) // 4))
    return Sample(latents=latents.to(weights.device), text=weights.text.encode([caption]).to(weights.device))
