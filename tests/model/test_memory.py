"""Laws of the memory planner: the fastest way that fits is taken, what fits in no way is refused, and its word is near what is taken."""

from __future__ import annotations

import pytest
import torch

from bench import memory as bench
from misora.client.errors import GenerationError
from misora.model import hub, memory
from misora.model.footprint import peak
from misora.model.weights import WanWeights, open_weights
from tests import wan

WORK = memory.Work(frames=3, height=8, width=12)
COST = memory.Cost(block=1e9, bringing=1.0, token=1e3, seconds=1e-3, cell=1e4, cached=1e3)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> WanWeights:
    folder = tmp_path_factory.mktemp("wan")
    with wan.silence():
        wan.pipeline("t2v").save_pretrained(folder / "model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub, "cache", lambda: folder / "cache")
        opened = open_weights(folder / "model")
    assert isinstance(opened, WanWeights)
    return opened


def test_a_footprint_is_the_fullest_moment() -> None:
    def call() -> torch.Tensor:
        for _ in range(3):
            large = torch.zeros(1000)
            small = large[:500] + 1
            del large
        return small

    assert peak(call) == 4 * (1000 + 500 + 500)


def test_the_fastest_way_that_fits_is_taken(weights: WanWeights) -> None:
    whole = memory.plan(weights, WORK, limit=5e9, cost=COST)
    assert whole.whole and whole.says() is None and whole.needs < 5e9
    more = memory.Cost(**{**COST.__dict__, "block": 2e9})
    deep = weights.transformer.config.depth  # of two blocks both are there either way
    assert deep == 2
    with pytest.raises(GenerationError, match="even with block offload"):
        memory.plan(weights, WORK, limit=1e9, cost=more)


def test_what_is_slower_is_said(weights: WanWeights) -> None:
    plan = memory.Plan(whole=False, tile=64, apart=False, needs=7e9, free=8e9, slower=1.62, whole_needs=11.2e9)
    assert plan.says() == "This needs 11.2 GB, 8.0 GB free: using block offload, about 1.6x slower."


def test_where_all_tiles_remember_too_much_they_are_made_one_by_one(weights: WanWeights) -> None:
    large = memory.Work(frames=3, height=128, width=128)
    cost = memory.Cost(block=1e3, bringing=1.0, token=1.0, seconds=1e-3, cell=1e3, cached=1e5)
    together = memory.plan(weights, large, limit=4e9, cost=cost)
    apart = memory.plan(weights, large, limit=1e9, cost=cost)
    assert not together.apart and apart.apart and apart.needs < together.needs


def test_tiles_one_by_one_are_the_same_pixels(weights: WanWeights) -> None:
    latents = torch.randn(1, weights.autoencoder.channels, 3, 12, 20, generator=torch.Generator().manual_seed(1))
    together = torch.cat(list(weights.autoencoder.decode_stream(latents, "SGS", tile=10)), 2)
    apart = torch.cat(list(weights.autoencoder.decode_stream(latents, "SGS", tile=10, apart=True)), 2)
    assert (together - apart).abs().max() < 2e-3  # half precision


def test_something_is_free() -> None:
    assert memory.available(torch.device("cpu")) > 1e6


@pytest.mark.slow
@pytest.mark.parametrize("shape", range(len(bench.SHAPES)))
def test_the_planner_s_word_is_within_a_tenth(shape: int) -> None:
    found = bench.measure(bench.SHAPES[shape])
    assert abs(found["planned"] / found["taken"] - 1) < 0.1, found
