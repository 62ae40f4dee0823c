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
from misora.train.log import Log, Look


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

    def spent(self, number: int, seconds: float) -> float | None:
        """The share of the budget that is used up after ``number`` steps in all and ``seconds`` of this run; None where there is no end."""
        shares = [done / most for done, most in ((number, self.steps), (seconds / 60, self.minutes)) if most]
        return min(1.0, max(shares)) if shares else None


def train(learner: Learner, folder: Path, budget: Budget, *, quiet: bool = False) -> int:
    """Train, resuming from ``folder`` if it holds a state; returns the number of steps done in all.

    Where several processes train together, the first one alone keeps the time, saves, looks and logs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    number = _resume(learner, folder / "state.pt")
    log = Log(folder, quiet) if leads() else None
    try:
        number = _steps(learner, folder / "state.pt", budget, number, log)
    finally:
        if log is not None:
            log.close()
    return number


def _steps(learner: Learner, state: Path, budget: Budget, number: int, log: Log | None) -> int:
    """From step ``number`` until the budget is spent; returns the number of steps done in all."""
    started = saved = time.monotonic()
    over = False
    while not over and (budget.steps is None or number < budget.steps):
        figures = learner.step(number)
        number += 1
        now = time.monotonic()
        over = agreed(budget.minutes is not None and now - started > budget.minutes * 60)
        if log is not None:
            log.write(number, figures, budget.spent(number, now - started))
            if not over and now - saved > budget.checkpoint_seconds:
                _keep(learner, state, number, log)
                saved = time.monotonic()
    if log is not None:
        _keep(learner, state, number, log)
    return number


def _keep(learner: Learner, state: Path, number: int, log: Log) -> None:
    """A checkpoint: the state on disk, and a look at what was learned."""
    save_state(learner, state, number)
    log.show(number, learner.look())


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
    """Write the learner's whole state atomically; a save that is stopped leaves nothing behind but the state before it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        torch.save({"number": number, "learner": learner.state()}, beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _resume(learner: Learner, path: Path) -> int:
    if not path.exists():
        return 0
    try:
        # weights_only: tensors and plain values, never code; on the CPU, since the next machine may have another device
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises several kinds for one cause: the file is not what it should be
        raise CheckpointError(f"{path} cannot be resumed ({_first_line(error)}); remove it to begin anew.") from error
    try:
        learner.restore(saved["learner"])
        return int(saved["number"])
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:  # whatever a foreign state is, it does not fit
        raise CheckpointError(f"{path} is the state of another training; give another folder, or remove it to begin anew.") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
