"""How much memory a call takes at its fullest moment, beside what is there already, counted while it is made; it knows no network.

Every tensor that an operation makes is counted while something still holds it, so what is found stays true whatever becomes of the code.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


def peak(call: Callable[[], object]) -> int:
    """Bytes of tensors at the fullest moment of ``call``."""
    with torch.inference_mode(), _Live() as live:
        call()
    return int(live.most)


class _Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all storages that operations make, until they die."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now, self.most = 0, 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        given = {tensor.untyped_storage()._cdata for tensor in args if isinstance(tensor, Tensor) and tensor.layout == torch.strided}
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, Tensor) and tensor.layout == torch.strided and tensor.untyped_storage()._cdata not in given:
                self._count(tensor)
        if "convolution" in str(function) and made.device.type == "cpu" and not _in_order(args[0]):
            self.most = max(self.most, self.now + args[0].nbytes + made.nbytes)  # what comes in and goes out is copied in its own order
        return made

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._known:
            self._known.add(storage._cdata)
            self.now += storage.nbytes()
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._gone, storage._cdata, storage.nbytes())

    def _gone(self, name: int, size: int) -> None:
        self._known.discard(name)
        self.now -= size


def _in_order(x: Tensor) -> bool:
    """Whether a convolution on a processor reads x as it lies."""
    return x.ndim == 5 and x.is_contiguous(memory_format=torch.channels_last_3d)
