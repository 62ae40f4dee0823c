"""What a machine can do and what a request costs on it: products, bandwidth, stages, memory; it knows nothing of the command line."""

from __future__ import annotations

import dataclasses
import resource
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def gemm_peak(seconds: float = 1.0, side: int = 2048, device: str = "cpu") -> float:
    """bf16 FLOP/s of a square matrix product in this process."""
    import torch

    a = torch.randn(side, side, dtype=torch.bfloat16, device=device)  # side side
    return _rate(lambda: a @ a, seconds, device) * 2 * side**3


def bandwidth_peak(seconds: float = 0.5, megabytes: int = 256, device: str = "cpu") -> float:
    """Bytes a second that are read and written when a large tensor is copied."""
    import torch

    a = torch.empty(megabytes * 2**20, dtype=torch.uint8, device=device).fill_(1)
    b = torch.empty_like(a)
    return _rate(lambda: b.copy_(a), seconds, device) * 2 * a.numel()


def _rate(call: Callable[[], Tensor], seconds: float, device: str) -> float:
    """How often a second a call is done, the first not counted."""
    call()
    wait(device)
    started, rounds = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        call()
        rounds += 1
        wait(device)
    return rounds / (time.perf_counter() - started)


def wait(device: str) -> None:
    """Until a card has done what it was given."""
    import torch

    if device != "cpu":
        torch.cuda.synchronize(device)


def peak_memory() -> float:
    """The most that this process has held so far, in bytes; on a card the most that it held there."""
    import torch

    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return float(torch.cuda.max_memory_allocated())
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)


def alternated(calls: dict[str, Callable[[], Tensor]], rounds: int, device: str) -> tuple[dict[str, list[float]], dict[str, Tensor]]:
    """Wall seconds of each call, in turn: A B A B, the first round not counted; and what each made last."""
    took: dict[str, list[float]] = {name: [] for name in calls}
    made: dict[str, Tensor] = {}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            wait(device)
            started = time.perf_counter()
            made[name] = call()
            wait(device)
            took[name].append(time.perf_counter() - started)
    return {name: times[1:] for name, times in took.items()}, made


@dataclasses.dataclass
class Stages:
    """Seconds spent in each stage, each moment counted once, for the innermost stage that is under way."""

    spent: dict[str, float] = dataclasses.field(default_factory=dict)
    under_way: list[str] = dataclasses.field(default_factory=list)
    since: float = 0.0

    def _switch(self, change: Callable[[], Any]) -> None:
        now = time.perf_counter()
        if self.under_way:
            self.spent[self.under_way[-1]] = self.spent.get(self.under_way[-1], 0.0) + now - self.since
        change()
        self.since = time.perf_counter()

    def call(self, stage: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """``work`` whose time is counted as ``stage``."""

        def timed(*given: Any, **named: Any) -> Any:
            self._switch(lambda: self.under_way.append(stage))
            try:
                return work(*given, **named)
            finally:
                self._switch(self.under_way.pop)

        return timed

    def each(self, stage: str, work: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """The same for what is made one by one."""

        def timed(*given: Any, **named: Any) -> Iterator[Any]:
            following = self.call(stage, work(*given, **named).__next__)
            while True:
                try:
                    made = following()
                except StopIteration:
                    return
                yield made

        return timed


def watched(weights: Any, stages: Stages) -> list[float]:
    """Let the networks of ``weights`` tell ``stages`` when they work; what comes back fills with the FLOPs of each forward."""
    from misora.model.peer import flops

    network, work = weights.transformer, []
    forward = network.forward

    def counted(x: Tensor, level: Tensor, text: Tensor, *others: Any) -> Tensor:
        work.append(flops(network.config, len(x), x[0, 0].numel() // 4, text.shape[-2]))
        return forward(x, level, text, *others)  # type: ignore[no-any-return]

    vars(network)["forward"] = stages.call("denoise", counted)
    vars(weights.text)["encode"] = stages.call("text", weights.text.encode)
    vars(weights.autoencoder)["decode_stream"] = stages.each("decode", weights.autoencoder.decode_stream)
    return work
