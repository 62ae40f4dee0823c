"""Frames drawn one by one as they are asked for: sampling and decoding in step; it knows nothing of what becomes of them."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from misora.canvas.fills import LEANS
from misora.client.errors import GenerationError
from misora.flow.generate import Peek, Sampling
from misora.flow.speed import OURS, at_speed
from misora.flow.stream import stream
from misora.model.autoencoder import GROUP, pixel_frames
from misora.model.weights import Weights
from misora.render.compose import Work
from misora.render.request import Request

LAG = 0.2  # of its steps: how much later each latent frame begins than the one before, so that it can lean on it (measured: LOG.md)
ETA = 1.0  # of the noise that each step leaves is drawn anew: what an early step drew wrongly a later one can mend (measured: LOG.md)
OPENING = 4.0  # times the steps for a shot's first frame: cheap, and what is missing in it never comes (measured: LOG.md)
OPENED = 0.5  # the lowest noise level at which that frame is guided (measured: LOG.md)
GUIDED = (0.75, 1.0)  # noise levels with guidance: below them it pulls apart what the levels above have settled (measured: LOG.md)
CALM = 1 / 127.5  # pixels may be so far from what is decoded if they can stay as they are: one grey level of 255 (measured: LOG.md)
RING = 2  # times the steps for a ring, whose frames all begin at once: as many in all as for a clip of its length
Progress = Callable[[str, int, int], None]  # stage, done, in all; it may raise to cancel


class Native:
    """The frames of a canvas [3, h, w], float32 on the CPU, about -1..1, each drawn in its turn; ``latents`` holds what was drawn last."""

    def __init__(self, request: Request, work: Work, weights: Weights, progress: Progress, peek: Peek | None = None) -> None:
        self.request, self.work, self.weights, self.progress, self.peek = request, work, weights, progress, peek
        self.latents: list[Tensor] = []  # b c h w each
        canvas = work.canvas
        shown = "".join(canvas.kinds[i] for i in canvas.shown())
        self.kinds = work.run_in * canvas.ring + shown
        self.kinds += self.kinds[len(work.run_in)] if work.run_in else ""  # as decoded: a ring's first frame comes once more

    def __iter__(self) -> Iterator[Tensor]:
        if not self.work.canvas.ring:
            return calmed(self._decoded())
        run_in = self.work.run_in
        return calmed_round(list(self._decoded()), pixel_frames(run_in), GROUP * bool(run_in))

    @torch.inference_mode()
    def _decoded(self) -> Iterator[Tensor]:
        self.latents.clear()
        with completed():
            for pixels in self.weights.autoencoder.decode_stream(self._latents(), self.kinds):
                if not pixels.isfinite().all():
                    raise GenerationError(
                        "The clip could not be completed (the weights gave no numbers); fetch them again or lower --guidance."
                    )
                yield from pixels[0].transpose(0, 1).float().cpu()  # 1|4 3 h w

    @torch.inference_mode()
    def _latents(self) -> Iterator[Tensor]:
        """Latent frames as they become clean."""
        request, encode = self.request, self.weights.text.encode
        told, negative = encode(list(self.work.prompts)), encode([request.negative])  # k l d, 1 l d
        text = told[self.work.canvas.cards][None] if len(told) > 1 else told  # 1 t l d or 1 l d
        wished = Sampling(steps=request.steps, guidance=request.guidance, seed=request.seed, interval=GUIDED, eta=ETA)
        how = at_speed(wished, OURS[request.speed])
        if self.work.canvas.ring:
            how = dataclasses.replace(how, steps=RING * how.steps)
        else:
            how = dataclasses.replace(how, lag=LAG * how.steps, opening=OPENING, opened=OPENED)
        said: Callable[[int, int], None] = lambda done, total: self.progress("drawing", done, total)
        drawn = stream(self.weights.transformer, self.work.canvas, text, negative, how, said, self.peek)
        for latent in self._round(drawn) if self.work.run_in else drawn:
            self.latents.append(latent.to("cpu", torch.bfloat16))
            yield latent.to(self.weights.dtype)

    def _round(self, drawn: Iterator[Tensor]) -> Iterator[Tensor]:
        """A ring behind what it is decoded behind, and its first frame once more."""
        if self.work.canvas.ring:
            whole = list(drawn)
            drawn = iter([*whole[-1:], *whole[-LEANS:], *whole])
        for latent in drawn:
            yield latent
        yield self.latents[len(self.work.run_in)].to(latent)

    def kept(self) -> tuple[Tensor, str, str]:
        """The latents of the clip that were drawn last, [1, c, t, h, w], their kinds, and the name of the autoencoder that reads them."""
        return torch.stack(self.latents, 2), self.kinds[: len(self.latents)], self.weights.autoencoder.code()


def calmed(frames: Iterable[Tensor], shown: Tensor | None = None) -> Iterator[Tensor]:
    """Frames whose pixels stay as they were last shown for as long as that is within ``CALM`` of what they should be.

    Decoded pixels flicker by a part of a grey level where nothing moves, which adds a quarter to the motion energy of a clip.
    ``shown``: the frame [3, h, w] before the first one.
    """
    for frame in frames:
        shown = frame if shown is None else shown.clamp(frame - CALM, frame + CALM)
        yield shown


def calmed_round(frames: list[Tensor], before: int = 0, after: int = 0) -> Iterator[Tensor]:
    """The same for frames that are shown round and round, as they are from the second time on.

    ``before`` and ``after``: how many of them stand there twice, ahead of the ring's first frame and behind its last one.
    """
    once = list(calmed(frames))
    yield from once[:before]
    yield from calmed(frames[before:], once[len(once) - after - 1])


@contextlib.contextmanager
def completed() -> Iterator[None]:
    """Whatever the networks cannot do becomes a GenerationError."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        raise GenerationError(f"The clip could not be completed ({error}); ask for fewer seconds or a smaller size.") from error
