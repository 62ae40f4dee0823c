"""Matrices of one byte a weight, with a scale for each row: half of bfloat16's memory; it knows nothing of what they are for."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from misora.model.checkpoint import rows_of_bytes

KINDS = {"int8": torch.int8, "fp8": torch.float8_e4m3fn}
FP8_LARGEST = 448.0  # of float8 with four bits of exponent
SMALL = 2**12  # weights: a matrix of fewer is not worth a byte form


class PackedLinear(nn.Module):
    """A linear layer whose weights are bytes; it computes in the type of what comes in, and every byte is exact in that type.

    Cards that multiply fp8 are given what comes in as fp8 too, each token with a scale of its own: twice as quick, a little further off.
    """

    weight: Tensor
    scale: Tensor

    def __init__(self, linear: nn.Linear, kind: str) -> None:
        super().__init__()
        weight, scale = packed(linear.weight.data, kind)
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale[:, 0])
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        if multiplies(x, self.weight):
            made = product(x, self.weight, self.scale)  # ... d
        else:
            made = F.linear(x, self.weight.to(x.dtype)) * self.scale.to(x.dtype)  # ... d
        return made if self.bias is None else made + self.bias.to(x.dtype)


def multiplies(x: Tensor, weight: Tensor) -> bool:
    """Whether a card multiplies these in fp8 with a scale for each row: Hopper and later, sides that are multiples of 16."""
    if not x.is_cuda or x.dtype != torch.bfloat16 or weight.dtype != torch.float8_e4m3fn or any(side % 16 for side in weight.shape):
        return False
    return torch.cuda.get_device_capability(x.device)[0] >= 9


def product(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """x [..., k] in fp8 times a matrix of fp8 [d, k] whose rows have a ``scale`` [d]: [..., d] in bfloat16."""
    rows, own = packed(x.flatten(0, -2), "fp8")  # n k, n 1
    made: Tensor = torch._scaled_mm(rows, weight.t(), scale_a=own, scale_b=scale[None].float(), out_dtype=torch.bfloat16)  # n d
    return made.reshape(*x.shape[:-1], -1)


def packed(weight: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """A matrix as bytes of a ``kind`` and the scale of each of its rows [rows, 1], float32."""
    if kind == "int8":
        return rows_of_bytes(weight)
    scale = weight.float().abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / FP8_LARGEST  # rows 1
    return (weight.float() / scale).to(KINDS[kind]), scale


def pack(module: nn.Module, kind: str | None) -> nn.Module:
    """The module with its larger linear layers packed; ``kind`` None leaves it as it is."""
    for name, inner in module.named_children() if kind else ():
        if isinstance(inner, nn.Linear) and inner.weight.numel() >= SMALL:
            setattr(module, name, PackedLinear(inner, str(kind)))
        else:
            pack(inner, kind)
    return module
