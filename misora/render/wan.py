"""A request drawn with weights of the Wan family, at their own rate and the size that is asked for; it knows nothing of files.

What these weights learned decides what may be asked of them (``learned``), and what will fit is known before anything is drawn.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterator
from typing import Any

import torch
from torch import Tensor

from misora.client.errors import GenerationError
from misora.flow.generate import Peek, Sampling, generate
from misora.flow.speed import WAN, at_speed
from misora.model import card, memory
from misora.model.heap import tight
from misora.model.peer import flops
from misora.model.weights import WanWeights, Weights
from misora.render.compose import Work
from misora.render.cut import Cut, Shot, at_rate
from misora.render.footage import Notice
from misora.render.learned import demand
from misora.render.native import Progress, completed
from misora.render.request import Request
from misora.render.seams import Lost, blend, faded
from misora.render.video import enlarge
from misora.render.wan_compose import drawn_size, lay_out


class Decoded:
    """The frames of latents [3, h, w], float32, -1..1, decoded anew each time that they are asked for."""

    def __init__(self, latents: Tensor, kinds: str, weights: WanWeights, plan: memory.Plan, progress: Progress) -> None:
        self.latents, self.kinds, self.weights, self.plan, self.progress = latents, kinds, weights, plan, progress

    @torch.inference_mode()
    def __iter__(self) -> Iterator[Tensor]:
        with completed(), tight():
            stream = self.weights.autoencoder.decode_stream(self.latents, self.kinds, tile=self.plan.tile, apart=self.plan.apart)
            for done, pixels in enumerate(stream, 1):
                if not pixels.isfinite().all():
                    raise GenerationError(
                        "The clip could not be completed (the weights gave no numbers); fetch them again or lower --guidance."
                    )
                self.progress("decoding", done, len(self.kinds))
                yield from pixels[0].transpose(0, 1).float().cpu()  # 1|4 3 h w


@dataclasses.dataclass(frozen=True, kw_only=True)
class Film(Cut):
    """Frames of the size and rate that the network drew, enlarged and repeated only where something else was asked for."""

    drawn_rate: float
    drawn_size: tuple[int, int]  # h w

    def stream(self) -> Iterator[Tensor]:
        """The delivered frames [h, w, 3] uint8 RGB."""
        native = iter(self.native)
        left: Lost | None = None  # what the autoencoder lost of the last given frame
        for shot in self.shots:
            deque(itertools.islice(native, shot.skip), maxlen=0)
            drawn = itertools.islice(native, shot.drawn)
            if shot.own is not None and shot.given:
                seen = deque(drawn, maxlen=1)
                yield from shot.own
                left = Lost(given=shot.own[-1], seen=self._sized(seen[0])) if seen else None
            else:
                yield from self._made(shot, drawn, None if shot.cut else left)
                left = None
            deque(drawn, maxlen=0)

    def _made(self, shot: Shot, drawn: Iterator[Tensor], left: Lost | None) -> Iterator[Tensor]:
        """A shot of drawn frames: inside a mask with its own around them, else without a jump from and to given frames beside it."""
        frames = at_rate(map(self._sized, drawn), self.drawn_rate, self.rate, shot.count)
        if shot.own is not None and shot.mask is not None:
            for k, frame in enumerate(frames):
                yield blend(shot.own[k], frame, shot.mask[min(k, len(shot.mask) - 1)])
            return
        seen, there = shot.arrives, shot.arrives_at
        coming = Lost(given=there, seen=self._sized(seen)) if seen is not None and there is not None else None
        yield from faded(frames, shot.count, self.rate, left=left, coming=coming)

    def _sized(self, frame: Tensor) -> Tensor:
        return enlarge(frame, self.request.delivered())

    def notes(self) -> dict[str, str]:
        """What the file says of itself."""
        made: dict[str, Any] = json.loads(super().notes()["comment"])
        height, width = self.drawn_size
        told = json.dumps(made | {"native": f"{width}x{height}", "native_rate": self.drawn_rate}, ensure_ascii=False)
        return super().notes() | {"comment": told}


@torch.inference_mode()
def render_wan(request: Request, weights: WanWeights, progress: Progress, peek: Peek | None = None) -> Film:
    """Draw a checked request. Raises UsageError (not learned), GenerationError (does not fit, or failed half-way)."""
    demand(request, weights.learned)
    with completed():
        plot = lay_out(request, weights)
        plan = planned(request, weights, plot)
        progress("reading", 0, 1)
        texts = weights.text.encode([*plot.prompts, request.negative]).to(weights.device)  # k l d
        told = texts[:-1][plot.canvas.cards][None] if len(texts) > 2 else texts[:1]  # 1 t l d or 1 l d
        (weights.blocks.hold if plan.whole else weights.blocks.let_go)()
        how = _sampling(request, weights)
        forward = flops(weights.transformer.config, 2 if how.guidance > 1 else 1, plot.canvas.level[0].numel() // 4, texts.shape[1])
        card.ready(weights.transformer, weights.device, whole=plan.whole, forward=forward, forwards=how.steps)
        said: Callable[[int, int], None] = lambda done, of: progress("drawing", done, of)
        with card.best_attention(weights.device):
            latents = generate(weights.transformer, plot.canvas.to(weights.device), told, texts[-1:], how, said, peek)
    shown = plot.canvas.kinds[:-1] if request.loop else plot.canvas.kinds  # a loop's doubled frame is not shown
    native = Decoded(latents[:, :, : len(shown)].cpu(), shown, weights, plan, progress)
    size = drawn_size(request, weights)
    return Film(request=request, native=native, shots=plot.shots, rate=plot.rate, drawn_rate=weights.rate, drawn_size=size)


def planned(request: Request, weights: WanWeights, plot: Work) -> memory.Plan:
    """What will fit, told with a Notice where it is not the fastest way. Raises GenerationError where nothing does."""
    level = plot.canvas.level
    mixed = bool((level != level[:, :, :1, :1]).any())
    _, frames, height, width = level.shape
    reading = weights.text.unread([*plot.prompts, request.negative])
    batch = 1 if request.guidance == 1 else 2
    work = memory.Work(frames=frames, height=height, width=width, batch=batch, mixed=mixed, reading=reading)
    plan = memory.plan(weights, work, limit=weights.limit)
    if said := plan.says():
        warnings.warn(said, Notice, stacklevel=3)
    return plan


def _sampling(request: Request, weights: WanWeights) -> Sampling:
    """How the request is sampled; weights that were taught a few levels alone pass through these, where as many steps are asked for."""
    how = Sampling(steps=request.steps, guidance=request.guidance, seed=request.seed, shift=weights.shift, solver=weights.solver)
    if not weights.stops:
        return at_speed(how, WAN[request.speed])  # those few have nothing to spare
    return dataclasses.replace(how, eta=1.0, stops=weights.stops if len(weights.stops) == request.steps else ())


def suited(request: Request, weights: Weights | WanWeights, said: Collection[str]) -> Request:
    """The request with the steps and the guidance that Wan's weights want, where the person ``said`` neither."""
    if not isinstance(weights, WanWeights):
        return request
    steps = request.steps if "steps" in said else weights.steps
    return dataclasses.replace(request, steps=steps, guidance=request.guidance if "guidance" in said else weights.guidance)
