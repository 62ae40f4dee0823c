"""The training loop: steps, checkpoints, resume, progress; it knows nothing of what is learned.

A learner's step must depend on its state and the step's number alone. Then an interrupted run, resumed, equals an unbroken one.
"""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from misora.client.errors import CheckpointError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """Figures and pictures ([h, w, 3] uint8) to be logged."""

    figures: dict[str, float] = dataclasses.field(default_factory=dict)
    sheets: dict[str, Tensor] = dataclasses.field(default_factory=dict)


class Learner(Protocol):
    """Something that can be trained."""

    def step(self, number: int) -> dict[str, float]:
        """Do step ``number`` and return figures to be logged."""

    def state(self) -> dict[str, Any]:
        """All that ``restore`` needs, made of tensors, numbers, strings, lists and dicts."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what ``state`` gave."""

    def look(self) -> Look:
        """Called at every checkpoint: what the learner can do by now."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """When to stop and how often to save. Whichever of ``steps`` and ``minutes`` comes first; None is for ever."""

    steps: int | None = None
    minutes: float | None = None
    checkpoint_seconds: float = 300.0


def train(learner: Learner, folder: Path, budget: Budget, *, quiet: bool = False) -> int:
    """Train, resuming from ``folder`` if it holds a state; returns the number of steps done in all.

    Where several processes train together, the first one alone keeps the time, saves, looks and logs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    number = _resume(learner, folder / "state.pt")
    log = _Log(folder, quiet) if leads() else None
    started = saved = time.monotonic()
    over = False
    while not over and (budget.steps is None or number < budget.steps):
        figures = learner.step(number)
        number += 1
        now = time.monotonic()
        over = agreed(budget.minutes is not None and now - started > budget.minutes * 60)
        if log is not None:
            log.write(number, figures)
            if not over and now - saved > budget.checkpoint_seconds:
                save_state(learner, folder / "state.pt", number)
                log.show(number, learner.look())
                saved = time.monotonic()
    if log is not None:
        save_state(learner, folder / "state.pt", number)
        log.show(number, learner.look())
        log.close()
    return number


def leads() -> bool:
    """Whether this is the only process that trains, or the first of several."""
    return rank() == 0


def rank() -> int:
    """This process's place among those that train together; 0 where it is alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def share_gradients(weights: list[Tensor]) -> None:
    """Average the gradients over the processes that train together, if there are several."""
    if dist.is_initialized():
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients]).div_(dist.get_world_size())
        dist.all_reduce(flat)
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        torch._foreach_copy_(gradients, [part.view_as(gradient) for part, gradient in zip(parts, gradients, strict=True)])


def agreed(answer: bool) -> bool:
    """The first process's answer, in all of them."""
    if not dist.is_initialized():
        return answer
    shared = torch.tensor(float(answer))
    dist.broadcast(shared, 0)
    return bool(shared.item())


def save_state(learner: Learner, path: Path, number: int) -> None:
    """Write the learner's whole state atomically."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    torch.save({"number": number, "learner": learner.state()}, beside)
    os.replace(beside, path)


def _resume(learner: Learner, path: Path) -> int:
    if not path.exists():
        return 0
    try:
        # weights_only: tensors and plain values, never code; on the CPU, since the next machine may have another device
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises several kinds for one cause: the file is not what it should be
        raise CheckpointError(f"{path} cannot be resumed ({error}); remove it to begin anew.") from error
    learner.restore(saved["learner"])
    return int(saved["number"])


class _Log:
    """Figures to TensorBoard and, averaged over ten seconds, one line on the terminal."""

    def __init__(self, folder: Path, quiet: bool) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.board = SummaryWriter(folder / "board")
        self.quiet, self.shown, self.count, self.recent = quiet, time.monotonic(), 0, dict[str, list[float]]()

    def write(self, number: int, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self.board.add_scalar(name, value, number)
            self.recent.setdefault(name, []).append(value)
        self.count += 1
        passed = time.monotonic() - self.shown
        if passed > 10:
            means = "  ".join(f"{name} {sum(values) / len(values):.4g}" for name, values in self.recent.items())
            if not self.quiet:
                print(f"step {number}  {self.count / passed:.2f} steps/s  {means}", flush=True)
            self.shown, self.count, self.recent = time.monotonic(), 0, {}

    def show(self, number: int, look: Look) -> None:
        for name, value in look.figures.items():
            self.board.add_scalar(name, value, number)
        for name, sheet in look.sheets.items():
            self.board.add_image(name, sheet, number, dataformats="HWC")
        if look.figures and not self.quiet:
            print("  ".join([f"step {number}", *(f"{name} {value:.4g}" for name, value in look.figures.items())]), flush=True)

    def close(self) -> None:
        self.board.close()
