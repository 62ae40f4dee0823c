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
    """A linear layer whose weights are bytes; it computes in the type of what comes in, and every byte is exact in that type."""

    weight: Tensor
    scale: Tensor

    def __init__(self, linear: nn.Linear, kind: str) -> None:
        super().__init__()
        weight, scale = packed(linear.weight.data, kind)
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale[:, 0])
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        made = F.linear(x, self.weight.to(x.dtype)) * self.scale.to(x.dtype)  # ... d
        return made if self.bias is None else made + self.bias.to(x.dtype)


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
