"""A network's blocks whose weights need not all be in memory: each comes shortly before its turn; it knows nothing of what blocks do.

Where they come from is a function: files that are read block by block, or the processor's memory on behalf of a card. While one block
works a thread fetches the next, so that two are there at any time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor, nn

from misora.model.heap import trim
from misora.model.linear import reorder

Make = Callable[[int], nn.Module]


class Blocks(nn.Module):
    """``count`` blocks, made by ``make`` when their turn comes and let go after it; all of them stay after ``hold``."""

    def __init__(self, make: Make, count: int) -> None:
        super().__init__()
        self.make, self.count = make, count
        self.held = nn.ModuleList()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> nn.Module:
        return self.held[index] if len(self.held) else self.make(range(self.count)[index])

    def __iter__(self) -> Iterator[nn.Module]:
        yield from self.held if len(self.held) else self._passing()

    def hold(self) -> None:
        """Bring all blocks, to stay."""
        if not len(self.held):
            for i in range(self.count):
                self.held.append(self.make(i))
                reorder(self.held[i])
            trim()  # what came from files and was turned round

    def let_go(self) -> None:
        """From now on each block comes and goes."""
        self.held = nn.ModuleList()

    def _passing(self) -> Iterator[nn.Module]:
        with ThreadPoolExecutor(1, "block") as ahead:
            coming: Future[nn.Module] = ahead.submit(self.make, 0)
            for i in range(self.count):
                block = coming.result()
                if i + 1 < self.count:
                    coming = ahead.submit(self.make, i + 1)
                yield used_here(block)
                del block


def moved(block: nn.Module, device: torch.device) -> nn.Module:
    """A copy of a block on another device; from the processor to a card beside what the card is doing."""
    if device.type != "cuda":
        return _copied(block, lambda tensor: tensor.to(device))
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    with torch.cuda.stream(side):
        made = _copied(block, lambda tensor: tensor.to(device, non_blocking=True))
    side.synchronize()
    return made


def used_here(block: nn.Module) -> nn.Module:
    """Tell the card's allocator that what another stream brought is used on this one."""
    for tensor in (*block.parameters(), *block.buffers()):
        if tensor.is_cuda:
            tensor.record_stream(torch.cuda.current_stream(tensor.device))
    return block


def put(module: nn.Module, name: str, tensor: Tensor) -> None:
    """Make ``tensor`` the parameter ``name`` of a module or of one inside it."""
    holder, _, last = name.rpartition(".")
    module.get_submodule(holder).register_parameter(last, nn.Parameter(tensor, requires_grad=False))


def _copied(block: nn.Module, change: Callable[[Tensor], Tensor]) -> nn.Module:
    """The same block over other tensors; only containers are copied."""
    made = block.__new__(type(block))
    made.__dict__.update(block.__dict__)
    for kind in ("_parameters", "_buffers"):
        tensors = getattr(block, kind)
        made.__dict__[kind] = {name: _changed(tensor, change) for name, tensor in tensors.items()}
    made.__dict__["_modules"] = {name: inner if inner is None else _copied(inner, change) for name, inner in block._modules.items()}
    return made


def _changed(tensor: Tensor | None, change: Callable[[Tensor], Tensor]) -> Tensor | None:
    if tensor is None:
        return None
    with contextlib.nullcontext() if torch.is_inference_mode_enabled() else torch.no_grad():
        made = change(tensor)
    return nn.Parameter(made, requires_grad=False) if isinstance(tensor, nn.Parameter) else made
