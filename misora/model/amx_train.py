"""Attention and linear layers to be trained, through the C functions of ``amx`` that a compiler of graphs goes around; it knows no block.

Plain attention in torch goes over all weights, tokens times tokens, a dozen times in memory and keeps them for the way back; here
a head's stay in the processor's cache and are worked out again. A linear weight's gradient is a sum over tokens, which
the library under torch takes twice to three times as long for as for the two other products of a layer.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from misora.model import amx

FEW = 256  # tokens: for fewer, laying them out is not worth it


def takes(q: Tensor) -> bool:
    """Whether ``attend`` can be had for queries [b, n, heads, head] and is of use: their gradients may be wanted."""
    fits = q.device.type == "cpu" and q.dtype == torch.bfloat16 and q.shape[-1] in amx.HEADS
    return fits and torch.is_grad_enabled() and _there()


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """x [..., d] times a weight [o, d]: [..., o]; the weight's gradient is made in C where there are enough tokens."""
    made: Tensor = _Linear.apply(x, weight)  # type: ignore[no-untyped-call]
    return made


def sums(x: Tensor, weight: Tensor) -> bool:
    """Whether ``linear`` can be had for tokens x [..., d] and is of use."""
    tokens = x.numel() // x.shape[-1]
    fits = x.device.type == "cpu" and x.dtype == weight.dtype == torch.bfloat16 and not any(side % 32 for side in weight.shape)
    return fits and tokens >= FEW and torch.is_grad_enabled() and weight.requires_grad and _there()


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _there() -> bool:
    return amx.kernels() is not None


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Softmax attention of bfloat16 queries [b, n, heads, head] over keys and values [b, l, heads, head]: [b, n, heads, head]."""
    made: Tensor = torch.ops.misora.attend(q, k, v)[0]
    return made


@torch.library.custom_op("misora::attend", mutates_args=())
def _attend(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """What is asked for, and the logarithms (to base 2) of the sums of each query's weights [b, heads, n]."""
    (batch, n, heads, head), keys = q.shape, k.shape[1]
    q, k, v = map(_rows, (q, k, v))
    made, tops = q.new_empty(q.shape), q.new_empty(batch, heads, n, dtype=torch.float32)
    c = _kernels()
    steps = [x.stride(1) for x in (q, k, v)]
    c.call("misora_train_attend", (q, k, v, made, tops, _room(c, keys, head)), (batch, n, keys, heads, head, *steps))
    return made, tops


@_attend.register_fake
def _(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    batch, n, heads, _ = q.shape
    return q.new_empty(q.shape), q.new_empty(batch, heads, n, dtype=torch.float32)


@torch.library.custom_op("misora::attend_back", mutates_args=())
def _back(g: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, tops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of queries, keys and values out of ``g``, that of ``out``."""
    (batch, n, heads, head), keys = q.shape, k.shape[1]
    g, q, k, v, out = map(_rows, (g, q, k, v, out))
    made = q.new_empty(q.shape), k.new_empty(k.shape), v.new_empty(v.shape)
    c = _kernels()
    steps = [x.stride(1) for x in (q, k, v, g, out)]
    c.call("misora_train_back", (q, k, v, g, out, tops, *made, _room(c, keys, head)), (batch, n, keys, heads, head, *steps))
    return made


@_back.register_fake
def _(g: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, tops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return q.new_empty(q.shape), k.new_empty(k.shape), v.new_empty(v.shape)


def _keep(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs, *output)


def _backward(ctx: torch.autograd.function.FunctionCtx, g: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    made: tuple[Tensor, Tensor, Tensor] = torch.ops.misora.attend_back(g, *ctx.saved_tensors)  # type: ignore[attr-defined]
    return made


_attend.register_autograd(_backward, setup_context=_keep)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.linear(x, weight)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, g: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors  # type: ignore[attr-defined]
        made: Tensor = torch.ops.misora.weight_gradient(g.flatten(0, -2), x.flatten(0, -2))
        return g @ weight, made


@torch.library.custom_op("misora::weight_gradient", mutates_args=())
def _gradient(g: Tensor, x: Tensor) -> Tensor:
    """g' x, [o, d], of n tokens' gradients g [n, o] and inputs x [n, d], bfloat16."""
    g, x = g.contiguous(), x.contiguous()
    made = g.new_empty(g.shape[1], x.shape[1])
    c = _kernels()
    room = torch.empty(c.library.misora_gradient_room() * torch.get_num_threads(), dtype=torch.uint8)
    c.call("misora_gradient", (g, x, made, room), (len(g), *made.shape, *made.shape))
    return made


@_gradient.register_fake
def _(g: Tensor, x: Tensor) -> Tensor:
    return g.new_empty(g.shape[1], x.shape[1])


def _kernels() -> amx.Kernels:
    found = amx.kernels()
    assert found is not None, "takes() says whether there are any"
    return found


def _rows(x: Tensor) -> Tensor:
    """x [b, n, heads, head] with the heads of a token side by side and clips right after each other, as it is where it is so."""
    step = x.stride(1)
    return x if x.stride()[2:] == (x.shape[3], 1) and x.stride(0) == x.shape[1] * step else x.contiguous()


def _room(c: amx.Kernels, keys: int, head: int) -> Tensor:
    size = c.library.misora_train_room(keys, head) * torch.get_num_threads()
    return torch.empty(size + 64, dtype=torch.uint8)
