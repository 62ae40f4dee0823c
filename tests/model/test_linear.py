"""Laws of reordered layers: they make what the plain ones make."""

import dataclasses

import pytest
import torch
from torch import nn

from misora.model.layers import FeedForward
from misora.model.linear import Reordered, activated, reorder
from misora.model.sizes import SIZES
from misora.model.transformer import Transformer


def _distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a.float() - b.float()).norm() / b.float().norm())


@pytest.mark.parametrize("activation", ["relu2", "gelu"])
def test_a_reordered_transformer_is_the_plain_one(activation: str) -> None:
    """Within bfloat16's rounding; where the processor has no use for it the two are the same network."""
    torch.manual_seed(0)
    network = Transformer(dataclasses.replace(SIZES["tiny"], activation=activation))
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(std=0.1)
    network = network.bfloat16().eval()
    x, marks = torch.randn(2, 16, 3, 4, 6), torch.zeros(2, 3, dtype=torch.long)
    given = (x, torch.rand(2, 3), torch.randn(2, 5, 256), marks, torch.arange(3.0).expand(2, 3), marks)
    with torch.inference_mode():
        plain = network(*given)
        weight = network.blocks[0].ffn.up.weight.clone()
        reorder(network.blocks)
        assert _distance(network(*given), plain) < 1e-2
        assert torch.equal(network.blocks[0].ffn.up.weight, weight)


def test_other_layers_and_types_are_left_alone() -> None:
    network = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8))
    reorder(network)
    assert not isinstance(network[0], Reordered)


def test_a_feed_forward_network_in_parts_is_the_whole() -> None:
    ffn, x = FeedForward(8, 32, "gelu", bias=True).requires_grad_(False), torch.randn(2, 3, 300, 8)
    whole = ffn.down(activated(ffn.up, x, "gelu"))
    with torch.no_grad():
        assert torch.allclose(ffn(x), whole, atol=1e-6)
