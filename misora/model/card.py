"""What makes blocks quick on a card with the same results: attention, compiled blocks, recorded launches; it knows no network.

Nothing here is needed: where a library, a compiler or a recording is missing or fails, the plain way is taken.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

HOPPER = 9  # the first number of its compute capability
WORTH = 1e16  # operations of a clip from which on compiling (half a minute) pays; 5 s of the 1.3 B shape at 480p are 1.7e16
SMALL = 3e12  # of a forward up to which launching it takes longer than computing it
FLASH = "flash3"
FOUND: dict[str, Callable[..., Any]] = {}  # libraries' functions that were looked for
CLOSE = 1e-2  # between a recording's results and the plain ones, relative


@functools.cache
def flash3() -> Callable[..., Any] | None:
    """FlashAttention 3's function, where its package is installed and the card is one that it was written for."""
    if not torch.cuda.is_available() or torch.cuda.get_device_capability()[0] != HOPPER:
        return None
    try:
        found: Callable[..., Any] = importlib.import_module("flash_attn_interface").flash_attn_func
    except (ImportError, OSError, AttributeError):
        return None
    return found


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor | None:
    """Attention of [b, n, heads, head] by FlashAttention 3, [b, n, heads * head]; None where it cannot be had or was not asked for."""
    if not _takes(q) or FLASH not in FOUND:
        return None
    made = FOUND[FLASH](q, k, v)  # some versions give the sums of weights beside it
    whole: Tensor = made[0] if isinstance(made, tuple) else made  # b n heads head
    return whole.flatten(2)


def _takes(q: Tensor) -> bool:
    return q.is_cuda and q.dtype in (torch.bfloat16, torch.float16) and not torch.is_grad_enabled()


@contextlib.contextmanager
def best_attention(device: torch.device) -> Iterator[None]:
    """Meanwhile attention is FlashAttention 3, else cuDNN's from Hopper on and FlashAttention 2 on older cards, where these can be had."""
    if device.type != "cuda":
        yield
        return
    from torch.nn.attention import SDPBackend, sdpa_kernel

    if (flash := flash3()) is not None:
        FOUND[FLASH] = flash
    best = [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION]
    if torch.cuda.get_device_capability(device)[0] < HOPPER:
        best.reverse()
    with sdpa_kernel([*best, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH], set_priority=True):
        yield


def ready(network: Any, device: torch.device, *, whole: bool, forward: float, forwards: int) -> None:
    """Make a network whose ``blocks`` are here (``whole``) quick for ``forwards`` of so many operations each; elsewhere leave it plain."""
    network.launch = None
    if device.type != "cuda" or not whole:
        return
    if forward < SMALL:
        network.launch = through(network.blocks)
    else:
        compiled(network.blocks, forward * forwards)


def through(blocks: Iterable[nn.Module]) -> Callable[..., Tensor]:
    """All blocks one after the other with their launches recorded: tokens, modulation, what each makes of the text, rotation -> tokens."""

    def work(tokens: Tensor, table: Tensor, index: Tensor | None, cosine: Tensor, sine: Tensor, *words: Tensor) -> Tensor:
        for block, keys, values in zip(blocks, words[::2], words[1::2], strict=True):
            tokens = block(tokens, (table, index), (keys, values), (cosine, sine))  # b t p d
        return tokens

    recorded = Recorded(work)
    return lambda tokens, modulation, words, rotation: recorded(tokens, *modulation, *rotation, *(part for pair in words for part in pair))


def compiled(blocks: Iterable[nn.Module], flops: float) -> bool:
    """Let each block be compiled, once for all since they are alike, where so many operations make up for it."""
    if flops < WORTH or importlib.util.find_spec("triton") is None:
        return False
    torch._dynamo.config.suppress_errors = True  # what cannot be compiled runs as it is
    for block in blocks:
        if block._compiled_call_impl is None:
            block.compile()
    return True


class Recorded:
    """A function of tensors (or None) whose launches on the card are recorded at its first call with a shape and then replayed as one.

    What it makes is read again by nobody before the next call: it is copied out. A recording that does not make what the plain function
    makes is dropped, and the plain one goes on.
    """

    def __init__(self, work: Callable[..., Tensor]) -> None:
        self.work = work
        self.shape: tuple[Any, ...] | None = None
        self.graph: Any = None
        self.given: list[Tensor | None] = []
        self.made: Tensor | None = None

    def __call__(self, *tensors: Tensor | None) -> Tensor:
        shape = tuple(None if tensor is None else (tensor.shape, tensor.dtype, tensor.device) for tensor in tensors)
        if shape != self.shape:
            self.shape, plain = shape, self.work(*tensors)
            self._record(tensors, plain)
            return plain
        if self.graph is None:
            return self.work(*tensors)
        return self._replayed(tensors)

    def _replayed(self, tensors: tuple[Tensor | None, ...]) -> Tensor:
        for kept, fresh in zip(self.given, tensors, strict=True):
            if kept is not None and fresh is not None:
                kept.copy_(fresh)
        self.graph.replay()
        assert self.made is not None
        return self.made.clone()

    def _record(self, tensors: tuple[Tensor | None, ...], plain: Tensor) -> None:
        """Keep a recording that does what ``plain`` shows."""
        self.graph, self.given = None, [None if tensor is None else tensor.clone() for tensor in tensors]
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self.made = self.work(*self.given)
            self.graph = graph
            off = (self._replayed(tensors) - plain).norm() / plain.norm()
            self.graph = graph if bool(off < CLOSE) else None
        except RuntimeError:
            self.graph = None
