"""How noise becomes video: the one sampler, which only ever lowers noise to zero; it knows nothing of prompts, pixels or files."""

from __future__ import annotations

import dataclasses
import random
from collections import deque
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from misora.canvas.canvas import SHOWN, Canvas, taken
from misora.flow import path
from misora.flow.guidance import Guidance, Predict
from misora.flow.schedule import schedule
from misora.flow.solvers import SOLVERS, nothing_yet, renew
from misora.model.heard import Heard
from misora.model.reuse import Reuse
from misora.model.transformer import Transformer

Window = Callable[[Canvas, Tensor, Tensor], list[int]]  # which frames the network sees while levels go from one row [t] to the next
GOLDEN = (5**0.5 - 1) / 2  # of a turn: places so far apart come back to none of those before
Progress = Callable[[int, int], None]  # steps done, steps in all; it may raise to cancel
Peek = Callable[[list[int], Tensor], None]  # frames that the network just saw, and how they would look if it were right [b c w h w]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampling:
    """How to sample. ``interval``: the noise levels with guidance; ``lag``: by how many steps each frame begins after the last.

    ``opening``: times the steps for the first frame of a shot, where frames begin one after the other: what is wrong in it stays wrong;
    ``opened``: the lowest noise level at which such a frame is guided, if not that of ``interval``.
    ``eta``: the share of the noise left after a step that is drawn anew, 0 to 1; above 0 sampling is ancestral. ``stops``: see
    ``schedule``. ``every`` and ``cache`` save time for likeness: see ``Guidance`` and ``Reuse``; the named trades stand in ``speed.py``.
    """

    steps: int = 10
    guidance: float = 3.0
    seed: int = 0
    interval: tuple[float, float] = (0.0, 1.0)
    shift: float = 3.0
    lag: float = 0.0
    opening: float = 1.0
    opened: float | None = None
    solver: str = "euler"
    stops: tuple[float, ...] = ()
    eta: float = 0.0
    every: int = 1
    cache: float = 0.0


PLAIN = Sampling()


@torch.inference_mode()
def generate(
    transformer: Transformer,
    canvas: Canvas,
    text: Tensor,
    null_text: Tensor,
    how: Sampling = PLAIN,
    progress: Progress | None = None,
    peek: Peek | None = None,
) -> Tensor:
    """Fill ``canvas``: latents [b, c, t, h, w], under ``text`` and away from ``null_text`` [b or 1, l, d].

    ``text`` is [b, l, d] for the whole clip or each frame's own [b, t, l, d]. Clip i of a batch starts from noise of seed ``seed + i``
    and is the same clip alone.
    """
    states = sample(transformer, canvas, text, null_text, how, turning() if canvas.ring else everything, progress, peek)
    return deque(states, maxlen=1).pop()[0]


@torch.inference_mode()
def sample(
    transformer: Transformer,
    canvas: Canvas,
    text: Tensor,
    null_text: Tensor,
    how: Sampling,
    window: Window,
    progress: Progress | None = None,
    peek: Peek | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """All latents and the levels [t] that their frames have come to, before the first step and after each one."""
    levels, x = _beginning(canvas, how)  # s t and b c t h w
    yield x, levels[0]
    memory, heard, reuse = nothing_yet(how.solver, x), Heard(), Reuse(how.cache) if how.cache else None
    guidance, ties = Guidance(scale=how.guidance, interval=_interval(canvas, how), every=how.every), {b: a for a, b in canvas.tied}
    for step in range(len(levels) - 1):
        seen = window(canvas, levels[step], levels[step + 1])
        if not seen:
            continue
        part, now = taken(canvas, seen), x[:, :, seen]  # now: b c w h w
        level, after = (part.level * levels[step + i, seen][:, None, None] for i in (0, 1))  # b w h w
        words = text[:, seen] if text.ndim == 4 else text  # b l d or b w l d
        network = _network(transformer, part, reuse, heard, tuple(seen))
        prediction = tie(guidance(network, now, level, words, null_text, seen), part.tied)  # b c w h w
        velocity = path.velocity(prediction, now, level, transformer.config.prediction)  # b c w h w
        if peek is not None:
            peek(seen, now - level[:, None] * velocity)
        known = tuple(kept[:, :, seen] for kept in memory)  # b c|1 w h w each
        moved, known = SOLVERS[how.solver](now, velocity, level[:, None], after[:, None], known)  # b c w h w
        if how.eta:
            fresh = fresh_noise(part.given, how.seed, step, [ties.get(i, i) for i in seen])  # b c w h w
            moved = renew(moved, path.noise(velocity, now, level), fresh, (after - level)[:, None], after[:, None], how.eta)
        memory = tuple(_put(nothing, seen, kept) for nothing, kept in zip(nothing_yet(how.solver, x), known, strict=True))
        x = _put(x, seen, torch.where(part.level[:, None] == 0, part.given, moved), canvas.tied)  # b c t h w
        yield x, levels[step + 1]
        if progress is not None:
            progress(step + 1, len(levels) - 1)


def _interval(canvas: Canvas, how: Sampling) -> tuple[float | Tensor, float]:
    """The noise levels with guidance, from each frame's own lowest [t] on where frames that open a shot have another."""
    low, high = how.interval
    return low if how.opened is None or not how.lag else torch.where(canvas.opens(), how.opened, low), high


def _beginning(canvas: Canvas, how: Sampling) -> tuple[Tensor, Tensor]:
    """The levels [s, t] that every frame goes through, and the latents [b, c, t, h, w] before the first step."""
    more = (canvas.opens() * (how.opening - 1) * how.steps).cpu() if how.lag else None  # t
    levels = schedule(how.steps, canvas.order().cpu(), shift=how.shift, lag=how.lag, more=more, stops=how.stops).to(canvas.level)  # s t
    noise = seeded_noise(canvas.given, how.seed)  # b c t h w
    for a, b in canvas.tied:
        noise[:, :, b] = noise[:, :, a]
    return levels, path.mix(canvas.given, noise, canvas.level)


def _put(x: Tensor, seen: list[int], frames: Tensor, tied: tuple[tuple[int, int], ...] = ()) -> Tensor:
    """A copy of ``x`` [b, c, t, h, w] with its ``seen`` frames replaced, and those that are tied to one of them but were not seen."""
    x = x.clone()
    x[:, :, seen] = frames
    for a, b in tied:
        if a in seen and b not in seen:
            x[:, :, b] = x[:, :, a]
    return x


def everything(canvas: Canvas, level: Tensor, after: Tensor) -> list[int]:
    """A window over the whole canvas."""
    return list(range(len(canvas.kinds)))


def turning() -> Window:
    """A window over a whole ring that begins with another of its frames in each step, so that no frame is always at an end."""
    share = 0.0  # of a turn

    def window(canvas: Canvas, level: Tensor, after: Tensor) -> list[int]:
        nonlocal share
        shown, others = canvas.shown(), [i for i, role in enumerate(canvas.roles.tolist()) if role != SHOWN]
        first, share = round(share * len(shown)) % len(shown), (share + GOLDEN) % 1
        return [*others, *shown[first:], *shown[:first]]

    return window


def tie(x: Tensor, pairs: tuple[tuple[int, int], ...]) -> Tensor:
    """Frames of x [b, c, t, h, w] that are to become the same picture, each replaced by the mean of both."""
    if not pairs:
        return x
    x = x.clone()
    for a, b in pairs:
        x[:, :, a] = x[:, :, b] = (x[:, :, a] + x[:, :, b]) / 2
    return x


def seeded_noise(like: Tensor, seed: int) -> Tensor:
    """Noise [b, c, t, h, w] drawn on the CPU, so that every device starts from the same; clip i has seed ``seed + i``."""
    clips = [torch.randn(like.shape[1:], generator=torch.Generator().manual_seed(seed + i)) for i in range(len(like))]  # c t h w
    return torch.stack(clips).to(like)  # b c t h w


def fresh_noise(like: Tensor, seed: int, step: int, frames: list[int]) -> Tensor:
    """Noise [b, c, t, h, w] for a step at the ``frames`` of a canvas: a frame's is the same whatever else a window shows."""

    def draw(clip: int, frame: int) -> Tensor:
        mixed = random.Random(f"{seed + clip} {step} {frame}").getrandbits(63)
        return torch.randn(like[0, :, 0].shape, generator=torch.Generator().manual_seed(mixed))  # c h w

    return torch.stack([torch.stack([draw(i, frame) for frame in frames], 1) for i in range(len(like))]).to(like)  # b c t h w


def _network(transformer: Transformer, canvas: Canvas, reuse: Reuse | None, heard: Heard, seen: tuple[int, ...]) -> Predict:
    if reuse is not None:
        reuse.about(seen)

    def predict(x: Tensor, level: Tensor, text: Tensor) -> Tensor:
        rows = len(x)  # b, or twice that under guidance
        kinds, times, roles = (part.expand(rows, -1) for part in (canvas.kind_indices(), canvas.times, canvas.roles))  # b t
        made: Tensor = transformer(x, canvas.token_level(level), text, kinds, times, roles, reuse, heard)  # b c t h w
        return made.to(x.dtype)

    return predict
