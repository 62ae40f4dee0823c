"""Linear layers as the processor's matrix product wants them, to sample with or to train; it knows nothing of what they are for.

oneDNN otherwise turns the whole weight round at each call: a tenth of the time of 1 500 tokens, half of that of 66. What follows a layer
(GELU, ReLU) is worked out while its results are still in the cache. The results are those of the plain layer.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from misora.model import amx_train
from misora.model.amx import kernels_for

Network = TypeVar("Network", bound=nn.Module)


class Reordered(nn.Module):
    """A linear layer on a CPU that is not to be trained any more."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.reordered = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), None)
        self.bias = linear.bias

    @property
    def weight(self) -> Tensor:
        """The plain weight, made anew each time."""
        plain: Tensor = self.reordered.to_dense()
        return plain

    def forward(self, x: Tensor, then: str = "none") -> Tensor:
        """The layer, and what is done to each of its results: "none", "relu" or "gelu" (by tanh)."""
        made: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.reordered, self.bias, then, [], "tanh")
        return made


class Learning(nn.Linear):
    """A linear layer, with the very same weights, whose weight's gradient is made in C where that can be had."""

    def __init__(self, linear: nn.Linear) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, x: Tensor) -> Tensor:
        if not amx_train.sums(x, self.weight):
            return F.linear(x, self.weight, self.bias)
        made = amx_train.linear(x, self.weight)
        return made if self.bias is None else made + self.bias


def learn(network: Network) -> Network:
    """Let every plain linear layer of a network be a ``Learning`` one."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear:
                setattr(module, name, Learning(child))
    return network


def reorder(network: nn.Module) -> nn.Module:
    """Reorder every bfloat16 linear layer of a network, one at a time, where this processor multiplies matrices in bfloat16."""
    for module in list(network.modules()) if torch.cpu._is_amx_tile_supported() else ():
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear and child.weight.device.type == "cpu" and child.weight.dtype == torch.bfloat16:
                setattr(module, name, Reordered(child))
    return network


def activated(linear: nn.Module, x: Tensor, activation: str) -> Tensor:
    """A linear layer and then GELU ("gelu") or the square of ReLU ("relu2", arXiv:2109.08668), which is cheaper."""
    fused = isinstance(linear, Reordered)
    if activation == "gelu":
        return linear(x, "gelu") if fused else F.gelu(linear(x), approximate="tanh")
    positive = linear(x, "relu") if fused else F.relu(linear(x), inplace=True)
    if torch.is_grad_enabled():
        return positive.square()
    kernels = kernels_for(positive)
    return positive.square_() if kernels is None else kernels.square(positive)
