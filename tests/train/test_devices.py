"""Laws of the device that a network learns on, asked without a card: all that learns is there, what is not there is told in a sentence."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from misora.cli.main import main
from misora.client.errors import UsageError
from misora.model.autoencoder import Autoencoder
from misora.train import runs
from misora.train.autoencoder import AutoencoderLearner, Crops, finish, train_autoencoder
from misora.train.autoencoder import tiny as tiny_autoencoder
from misora.train.drafts import Drafts, layout
from misora.train.painter import PainterLearner, train_painter
from misora.train.painter import tiny as tiny_painter

Learner = AutoencoderLearner | PainterLearner


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Lets learners work on the device ``meta``, whose tensors refuse the CPU's as a card's do but have no numbers: all read as 1.

    Gives the kinds of devices that autocast was asked for.
    """
    kinds, item, cpu = set[str](), Tensor.item, Tensor.cpu

    @contextlib.contextmanager
    def autocast(kind: str, *told: Any, **more: Any) -> Iterator[None]:
        kinds.add(kind)
        yield

    monkeypatch.setattr(torch, "autocast", autocast)
    monkeypatch.setattr(Tensor, "item", lambda x: 1.0 if x.is_meta else item(x))
    monkeypatch.setattr(Tensor, "__float__", lambda x: float(x.item()))
    monkeypatch.setattr(Tensor, "cpu", lambda x: torch.ones(x.shape, dtype=x.dtype) if x.is_meta else cpu(x))
    return kinds


def crops() -> Crops:
    return Crops([np.zeros((2, 13, 32, 48, 3), np.uint8)], tiny_autoencoder())


def samples() -> list[Any]:
    return [np.zeros(4, footage.layout()) for footage, _, _ in tiny_painter().servings]


def autoencoder(device: str) -> Learner:
    return AutoencoderLearner(tiny_autoencoder(), crops(), device=device)


def finisher(device: str) -> Learner:
    recipe = dataclasses.replace(finish(), config=tiny_autoencoder().config, batch=2, crops=((16, 16),))
    return AutoencoderLearner(recipe, Drafts(np.zeros(10, layout(4)), recipe), Autoencoder(recipe.config), device)


def painter(device: str) -> Learner:
    return PainterLearner(tiny_painter(), samples(), device=device)


def held(learner: Learner) -> list[Tensor]:
    """Every tensor that lasts from step to step, but for AdamW's count of them."""
    tensors = [*learner.network.state_dict().values(), *learner.average.state_dict().values()]
    for optimiser in learner.optimisers:
        tensors += [kept for state in optimiser.state.values() for name, kept in state.items() if name != "step"]
    return tensors


@pytest.mark.filterwarnings("ignore:.*which is a no-op")  # there are no numbers to be taken over
@pytest.mark.parametrize("make", [autoencoder, finisher, painter])
def test_all_that_learns_is_on_the_device_and_a_state_of_another_goes_on_there(make: Callable[[str], Learner], asked: set[str]) -> None:
    fresh, before = make("meta"), make("cpu")
    for number in range(4):  # every kind of lesson
        fresh.step(number)
    fresh.look()
    assert asked == {"meta"}
    before.step(0)
    resumed = make("meta")
    resumed.restore(before.state())
    for learner, place in ((fresh, "meta"), (before, "cpu"), (resumed, "meta")):
        assert {tensor.device.type for tensor in held(learner)} == {place} and len(held(learner)) == len(held(before))
    resumed.step(1)


@pytest.mark.usefixtures("asked")
def test_what_was_learned_elsewhere_comes_back_to_the_cpu(tmp_path: Path) -> None:
    once, brief = dataclasses.replace(tiny_autoencoder(), steps=1), dataclasses.replace(tiny_painter(), steps=1)
    for network in (
        train_autoencoder(once, crops(), tmp_path / "a", device="meta"),
        train_painter(brief, samples(), tmp_path / "p", device="meta"),
    ):
        assert {tensor.device.type for tensor in network.state_dict().values()} == {"cpu"}


@pytest.mark.parametrize("network", ["autoencoder", "painter", "transformer"])
def test_a_device_that_is_not_there_is_one_sentence(network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ("--data", str(tmp_path)) if network == "transformer" else ()
    assert main(["train", network, str(tmp_path / "run"), "--recipe", "tiny", "--device", "nonsense", *data]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("misora: There is no device 'nonsense'") and said.err.count("\n") == 1
    assert not said.out and not (tmp_path / "run").exists()


@pytest.mark.parametrize("train", [runs.autoencoder, runs.transformer])
def test_several_processes_share_cores_and_no_card(train: Callable[[Path, runs.Wish], str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leave --processes out"):
        train(tmp_path / "run", runs.Wish(device="meta", processes=2))
    assert not (tmp_path / "run").exists()
