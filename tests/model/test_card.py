"""Laws of what makes a card quick, with the card itself played by the processor: the results are those of the plain way, whatever fails."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from misora.model import card, layers
from misora.model.heard import Heard
from tests.tiny import random_transformer

CUDA = torch.device("cuda")


class Graph:
    """Launches that were recorded: what is replayed is the work itself over the tensors that it was recorded with."""

    honest = True
    recording: card.Recorded

    def replay(self) -> None:
        one = Graph.recording
        assert one.made is not None
        one.made.copy_(one.work(*one.given) if self.honest else torch.zeros_like(one.made))


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.contextmanager
    def graph(one: Graph) -> Iterator[None]:
        yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", graph)


def _recorded(work: Any) -> card.Recorded:
    Graph.recording = card.Recorded(work)
    return Graph.recording


def test_a_recording_does_what_was_recorded_with_other_numbers(played: None) -> None:
    launch = _recorded(lambda a, b: a * 2 if b is None else a * b)
    one, two = torch.randn(2, 3, 4).unbind()
    for a, b in ((one, two), (two, one), (one, None), (two, None)):
        made = launch(a, b)
        assert launch.graph is not None and torch.equal(made, a * 2 if b is None else a * b)
    kept = launch(one, None)
    launch(two, None)
    assert torch.equal(kept, 2 * one), "what was handed out is not written over"


def test_a_recording_that_does_otherwise_or_cannot_be_made_is_dropped(played: None, monkeypatch: pytest.MonkeyPatch) -> None:
    launch = _recorded(lambda a: a + 1)
    monkeypatch.setattr(Graph, "honest", False)
    assert torch.equal(launch(torch.ones(3)), torch.full((3,), 2.0)) and launch.graph is None

    def fails(one: Graph) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "graph", fails)
    assert torch.equal(launch(torch.ones(4)), torch.full((4,), 2.0)) and launch.graph is None
    assert torch.equal(launch(torch.zeros(4)), torch.ones(4))


@pytest.mark.parametrize("mixed", [False, True])
def test_all_blocks_at_once_are_one_after_the_other(played: None, mixed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    network, recorded = random_transformer(), _recorded(None)
    monkeypatch.setattr(card, "Recorded", lambda work: vars(recorded).update(work=work) or recorded)
    generator = torch.Generator().manual_seed(1)
    level = torch.rand(1, 3, 2, 3, generator=generator) if mixed else torch.tensor([[0.2, 0.5, 0.9]])
    marks = torch.zeros(1, 3, dtype=torch.long)
    with torch.inference_mode():
        for _ in range(2):
            x, text = torch.randn(1, 16, 3, 4, 6, generator=generator), torch.randn(1, 5, 256, generator=generator)
            given = (x, level, text, marks, marks.float(), marks, None, Heard())
            card.ready(network, CUDA, whole=False, forward=1.0, forwards=1)
            wanted = network(*given)
            card.ready(network, CUDA, whole=True, forward=1.0, forwards=1)
            for _ in range(2):
                assert torch.allclose(network(*given), wanted, atol=1e-6)
            assert Graph.recording.graph is not None


def test_blocks_are_compiled_where_it_pays_and_only_there(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[nn.Module] = []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr(torch, "_dynamo", types.SimpleNamespace(config=types.SimpleNamespace()), raising=False)
    monkeypatch.setattr(layers.Block, "compile", lambda block: done.append(block))
    network = random_transformer()
    for device, forward, wanted in ((torch.device("cpu"), 1e15, 0), (CUDA, 1e13, 0), (CUDA, 1e15, len(network.blocks))):
        card.ready(network, device, whole=True, forward=forward, forwards=60)
        assert len(done) == wanted and network.launch is None


def test_flash_attention_3_is_used_where_it_is_and_means_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    q, k, v = torch.randn(3, 2, 7, 3, 8, generator=torch.Generator().manual_seed(2)).unbind()
    wanted, calls = layers.attend(q, k, v), []

    def flash(*parts: Tensor) -> tuple[Tensor, None]:
        calls.append(parts)
        return F.scaled_dot_product_attention(*(part.transpose(1, 2) for part in parts)).transpose(1, 2), None

    monkeypatch.setattr(card, "_takes", lambda q: True)
    assert torch.equal(layers.attend(q, k, v), wanted) and not calls, "not asked for"
    monkeypatch.setitem(card.FOUND, card.FLASH, flash)
    assert torch.allclose(layers.attend(q, k, v), wanted, atol=1e-6) and len(calls) == 1


def test_without_a_card_nothing_is_looked_for() -> None:
    with card.best_attention(torch.device("cpu")):
        assert not card.FOUND
