"""Training the painter: its samples tell the truth, it learns, and a run that was cut goes on as if it had not been."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pytest
import torch
from torch.nn import functional as F

from misora.client.errors import UsageError
from misora.model import weights
from misora.model.autoencoder import Autoencoder
from misora.model.painter import Painter, fetch
from misora.train import runs
from misora.train.autoencoder import tiny as tiny_autoencoder
from misora.train.painter import Dice, PainterLearner, backwards, mirrored, tiny, to_batch, train_painter
from misora.train.painter_samples import Footage, painter_samples

Arrays = list[npt.NDArray[Any]]


class Mirror(Autoencoder):
    """An autoencoder that loses nothing: what it decodes is what it was given."""

    def encode(self, frames: torch.Tensor, kinds: str) -> torch.Tensor:
        return frames

    def decode(self, latents: torch.Tensor, kinds: str) -> torch.Tensor:
        return latents


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> Arrays:
    folder = tmp_path_factory.mktemp("samples")
    mirror = Mirror(tiny_autoencoder().config)
    return [painter_samples(folder / f"{n}.npy", footage, mirror) for n, (footage, _, _) in enumerate(tiny().servings)]


def test_the_larger_frames_are_the_same_scene(arrays: Arrays) -> None:
    for rows in arrays:
        batch = to_batch(rows)
        small = F.interpolate(batch.wanted[:, ::2].flatten(0, 1), size=batch.given.shape[-2:], mode="area")
        assert (small - batch.given[:, 1:3].flatten(0, 1)).abs().mean() < 0.01


def test_known_displacements_lead_to_the_same_thing(tmp_path: Path) -> None:
    """Fetched along them, the frames before and after are nearer to the one between than where they stand."""
    footage = Footage(count=6, each=2, window=(48, 64))
    batch = to_batch(painter_samples(tmp_path / "a.npy", footage, Mirror(tiny_autoencoder().config)))
    half = F.interpolate(batch.wanted[:, 1], scale_factor=0.25, mode="area")
    moves = (batch.flow.abs() > 0.5).any(1, keepdim=True)  # b 1 h w; false where it is not a number
    assert moves.any()
    for frame, flow in ((batch.given[:, 1], batch.flow[:, :2]), (batch.given[:, 2], batch.flow[:, 2:])):
        led = fetch(frame, flow.nan_to_num())
        assert ((led - half).abs() * moves).sum() < 0.7 * ((frame - half).abs() * moves).sum()


def test_samples_are_made_once(tmp_path: Path) -> None:
    footage, mirror = tiny().servings[0][0], Mirror(tiny_autoencoder().config)
    first = painter_samples(tmp_path / "a.npy", footage, mirror).tobytes()
    stamp = (tmp_path / "a.npy").stat().st_mtime_ns
    assert painter_samples(tmp_path / "a.npy", footage, mirror).tobytes() == first
    assert (tmp_path / "a.npy").stat().st_mtime_ns == stamp


def test_mirroring_and_turning_back_twice_changes_nothing(arrays: Arrays) -> None:
    batch = Dice(arrays, tiny()).draw(0)
    for turn in (mirrored, backwards):
        again = turn(turn(batch))
        for name in ("given", "wanted", "flow"):
            torch.testing.assert_close(getattr(again, name), getattr(batch, name), equal_nan=True)


def test_a_resumed_run_equals_an_unbroken_one(arrays: Arrays, tmp_path: Path) -> None:
    def trained(learner: PainterLearner, *numbers: int) -> PainterLearner:
        for number in numbers:
            learner.step(number)
        return learner

    torch.save(trained(PainterLearner(tiny(), arrays), 0, 1).state(), tmp_path / "state.pt")
    resumed = PainterLearner(tiny(), arrays)
    resumed.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    trained(resumed, 2, 3)
    unbroken = trained(PainterLearner(tiny(), arrays), 0, 1, 2, 3)
    for a, b in zip(unbroken.average.parameters(), resumed.average.parameters(), strict=True):
        assert torch.equal(a, b)


def test_every_weight_can_learn(arrays: Arrays) -> None:
    """Heads start at nothing, and must not be stuck there: after a few steps all of them have moved."""
    learner = PainterLearner(dataclasses.replace(tiny(), steps=9), arrays)
    before = {name: weight.detach().clone() for name, weight in learner.network.named_parameters()}
    for number in range(6):
        learner.step(number)
    stuck = [name for name, weight in learner.network.named_parameters() if torch.equal(weight, before[name])]
    assert not stuck


def test_it_learns(arrays: Arrays) -> None:
    recipe = dataclasses.replace(tiny(), steps=60, cooldown=20, warmup=5, flow=0.0)
    learner = PainterLearner(recipe, arrays)
    before = learner.look().figures["PSNR"]
    for number in range(60):
        learner.step(number)
    assert learner.look().figures["PSNR"] > before + 0.1


def test_a_whole_run_leaves_its_state(arrays: Arrays, tmp_path: Path) -> None:
    assert isinstance(train_painter(dataclasses.replace(tiny(), steps=1), arrays, tmp_path), Painter)
    assert (tmp_path / "state.pt").exists()


def test_a_trained_painter_goes_on(arrays: Arrays, tmp_path: Path) -> None:
    first = train_painter(dataclasses.replace(tiny(), steps=2), arrays, tmp_path / "a")
    kept = {name: tensor.clone() for name, tensor in first.state_dict().items()}
    still = dataclasses.replace(tiny(), steps=1, matrix_lr=0.0, vector_lr=0.0)
    on = train_painter(still, arrays, tmp_path / "b", begin=first)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in on.state_dict().items())


def test_what_is_not_there_cannot_go_on(tmp_path: Path) -> None:
    shutil.copy(weights.folder_of("embedded") / "autoencoder.safetensors", tmp_path)
    with pytest.raises(UsageError, match="no painter"):
        runs.painter(tmp_path / "run", runs.Wish(recipe="sharpen", model=str(tmp_path)))
    assert not (tmp_path / "run").exists()
