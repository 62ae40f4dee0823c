"""Laws of the quicker layers of Wan's autoencoder: each makes what diffusers' own makes of the same numbers."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from misora.model import wan_quick
from tests import wan


@pytest.fixture(scope="module")
def both() -> tuple[Any, Any]:
    """diffusers' autoencoder, and the same with quicker layers."""
    plain = wan.autoencoder("t2v").eval().requires_grad_(False)
    return plain, wan_quick.quicken(copy.deepcopy(plain))


def _pairs(both: tuple[Any, Any], kind: str) -> list[tuple[Any, Any]]:
    pairs = zip(both[0].modules(), both[1].modules(), strict=True)
    return [(plain, quick) for plain, quick in pairs if type(plain).__name__ == kind]


def _near(made: Tensor, wanted: Tensor) -> bool:
    return made.shape == wanted.shape and torch.allclose(made, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("known", [None, 1, 2])
@pytest.mark.parametrize("frames", [1, 2, 4])
def test_convolutions_with_any_past(both: tuple[Any, Any], known: int | None, frames: int) -> None:
    pairs = _pairs(both, "WanCausalConv3d")
    assert len({tuple(plain.kernel_size) for plain, _ in pairs}) == 3
    for plain, quick in pairs:
        if frames < plain.kernel_size[0] and not plain._padding[4]:
            continue  # nothing comes out
        x = torch.randn(2, plain.in_channels, frames, 6, 4)
        past = None if known is None else torch.randn(2, plain.in_channels, known, 6, 4)
        assert _near(quick(x, past), plain(x, past))


@pytest.mark.parametrize("size", [0.0, 1e-30, 1.0])
def test_norms_and_what_follows(both: tuple[Any, Any], size: float) -> None:
    for plain, quick in _pairs(both, "WanResidualBlock"):
        x = size * torch.randn(1, plain.norm1.gamma.shape[0], 2, 4, 4)
        before = x.clone()
        assert _near(quick.nonlinearity(quick.norm1(x)), plain.nonlinearity(plain.norm1(x)))
        assert torch.equal(x, before)


@pytest.mark.parametrize("frames", [[1, 1, 1], [1, 2, 4], [4, 1]])
def test_blocks_that_remember(both: tuple[Any, Any], frames: list[int]) -> None:
    for plain, quick in _pairs(both, "WanResidualBlock"):
        pasts: list[list[Any]] = [[None, None], [None, None]]
        for count in frames:
            x = torch.randn(1, plain.norm1.gamma.shape[0], count, 4, 6)
            made, wanted = (block(x, feat_cache=past, feat_idx=[0]) for block, past in zip((quick, plain), pasts, strict=True))
            assert _near(made, wanted)
            assert all(_near(a, b) for a, b in zip(*pasts, strict=True))
        assert _near(quick(x), plain(x))


def test_every_quicker_way_is_taken(both: tuple[Any, Any]) -> None:
    kinds = {type(layer).__name__ for layer in both[1].modules() if "forward" in vars(layer)}
    assert kinds == set(wan_quick.WAYS)


def test_other_types_are_left_alone() -> None:
    network = wan_quick.quicken(wan.autoencoder("t2v").bfloat16())
    assert not any("forward" in vars(layer) for layer in network.modules())
