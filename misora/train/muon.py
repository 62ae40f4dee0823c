"""Muon: momentum whose matrix updates are made orthogonal; it knows nothing of networks or losses.

Source: Keller Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024); the step is scaled as in Liu et al.,
"Muon is scalable for LLM training" (arXiv 2502.16982), so that its root mean square is that of AdamW and learning rates carry over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


@torch.no_grad()
def orthogonalise(matrices: Tensor, *, rounds: int = 5) -> Tensor:
    """Brings the singular values of matrices [n rows cols] near 1 by a quintic Newton-Schulz iteration in bf16."""
    a, b, c = 3.4445, -4.7750, 2.0315  # steepest at zero; leaves singular values within about 0.7..1.2
    x = matrices.bfloat16()
    wide = x if x.shape[1] <= x.shape[2] else x.mT.contiguous()  # as a view the products below take twice as long
    x = wide / (wide.float().norm(dim=(1, 2), keepdim=True).bfloat16() + 1e-7)
    for _ in range(rounds):
        gram = x @ x.mT  # n rows rows
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if matrices.shape[1] <= matrices.shape[2] else x.mT


def shared_out(matrices: Tensor) -> Tensor:
    """``orthogonalise`` of matrices that all processes hold alike: each works on its share and sends it to the others."""
    if not dist.is_initialized():
        return orthogonalise(matrices)
    shares = list(matrices.bfloat16().tensor_split(dist.get_world_size()))
    shares[dist.get_rank()] = orthogonalise(shares[dist.get_rank()]).contiguous()
    for rank, share in enumerate(shares):
        if len(share):
            dist.broadcast(share, rank)
    return torch.cat(shares)


class Muon(torch.optim.Optimizer):
    """For weights of two or more dimensions, taken as matrices [first, rest]; equal shapes go through one batched iteration."""

    def __init__(self, params: Iterable[Tensor], *, lr: float = 2e-3, momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    alike[weight.shape[0], weight[0].numel()].append(weight)
            for (rows, cols), weights in alike.items():
                updates = shared_out(torch.stack([self._momentum(w, group["momentum"]) for w in weights]))
                for weight, update in zip(weights, updates, strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    as_matrix(weight).add_(update, alpha=-0.2 * max(rows, cols) ** 0.5 * group["lr"])

    def _momentum(self, weight: Tensor, momentum: float) -> Tensor:
        """Nesterov momentum of the gradient, as a matrix."""
        assert weight.grad is not None
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)  # and its layout in memory
        state["momentum"].lerp_(weight.grad, 1 - momentum)
        return as_matrix(weight.grad.lerp(state["momentum"], momentum))


def as_matrix(weight: Tensor) -> Tensor:
    """[first, rest] as a view; the order of the columns, which orthogonality does not see, follows the layout in memory."""
    order = sorted(range(1, weight.ndim), key=lambda axis: -weight.stride()[axis])
    return weight.permute(0, *order).view(weight.shape[0], -1)
