"""Training the autoencoder: it learns, and a run that was cut goes on as if it had not been."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from misora.model.autoencoder import Autoencoder
from misora.train.autoencoder import AutoencoderLearner, Crops, measure_latents, moving, noisy, tiny, train_autoencoder


def clips() -> npt.NDArray[np.uint8]:
    """A bright square that goes right over a dark ground."""
    pixels = np.full((3, 13, 32, 48, 3), 40, np.uint8)
    for i in range(13):
        pixels[:, i, 8:24, 2 * i : 2 * i + 16] = (200, 120, 60)
    return pixels


def lessons() -> Crops:
    return Crops([clips()], tiny())


def trained(learner: AutoencoderLearner, start: int, end: int) -> AutoencoderLearner:
    for number in range(start, end):
        learner.step(number)
    return learner


def test_a_resumed_run_equals_an_unbroken_one(tmp_path: Path) -> None:
    torch.save(trained(AutoencoderLearner(tiny(), lessons()), 0, 3).state(), tmp_path / "state.pt")
    resumed = AutoencoderLearner(tiny(), lessons())
    resumed.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    trained(resumed, 3, 6)
    unbroken = trained(AutoencoderLearner(tiny(), lessons()), 0, 6)
    for a, b in zip(unbroken.average.parameters(), resumed.average.parameters(), strict=True):
        assert torch.equal(a, b)


def test_it_learns() -> None:
    learner = AutoencoderLearner(dataclasses.replace(tiny(), steps=40, warmup=5), lessons())
    losses = [learner.step(number)["loss"] for number in range(40)]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_a_whole_run_leaves_its_state(tmp_path: Path) -> None:
    assert isinstance(train_autoencoder(dataclasses.replace(tiny(), steps=1), lessons(), tmp_path), Autoencoder)
    assert (tmp_path / "state.pt").exists()


def test_crops_seek_what_moves() -> None:
    recipe = dataclasses.replace(tiny(), batch=64, chosen=1)
    lively = Crops([clips()], dataclasses.replace(recipe, chosen=8)).draw(0).pixels
    assert moving(lively.float() / 127.5 - 1).mean() > moving(Crops([clips()], recipe).draw(0).pixels.float() / 127.5 - 1).mean()


def test_moving_marks_the_mover_and_its_surroundings() -> None:
    frames = torch.zeros(1, 3, 32, 32, 3)
    frames[0, 1, 16, 16] = 1.0
    marked = moving(frames)[0]
    assert marked[1, 16, 16] == marked[0, 12, 20] == 1
    assert marked[1, 11, 16] == marked[1, 0, 0] == 0


def test_noise_is_measured_in_deviations() -> None:
    torch.manual_seed(0)
    latents = torch.randn(64, 2, 3, 8, 8) * torch.tensor([1.0, 100.0]).view(2, 1, 1, 1)
    added = (noisy(latents, 0.1) - latents).std((0, 2, 3, 4)) / latents.std((0, 2, 3, 4))
    assert ((added > 0.03) & (added < 0.1)).all()


def test_measured_latents_have_mean_zero_and_variance_one() -> None:
    torch.manual_seed(0)
    network = Autoencoder(tiny().config)
    pairs = [(torch.rand(2, 3, 10, 32, 48) * 2 - 1, "SGGS") for _ in range(2)]
    measure_latents(network, pairs)
    latents = torch.cat([network.encode(*pair) for pair in pairs])  # b c t h w
    for kind in ([0, 3], [1, 2]):
        torch.testing.assert_close(latents[:, :, kind].mean((0, 2, 3, 4)), torch.zeros(4), atol=1e-4, rtol=0)
        torch.testing.assert_close(latents[:, :, kind].std((0, 2, 3, 4)), torch.ones(4), atol=1e-2, rtol=0)
