"""Drafts: what a transformer leaves of a clip is still that clip, and a lesson's pixels and latents show the same place and time."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from misora.model.autoencoder import Autoencoder
from misora.model.text import TextConfig, TextEncoder
from misora.model.transformer import Transformer
from misora.model.weights import Weights
from misora.train import drafts as module
from misora.train.autoencoder import AutoencoderLearner, finish
from misora.train.autoencoder import tiny as tiny_autoencoder
from misora.train.drafts import KINDS, Drafts, draft, drafts, layout
from misora.train.recipes import tiny


@pytest.fixture
def weights() -> Weights:
    torch.manual_seed(0)
    text = TextEncoder(TextConfig(vocabulary=("red", "ball"), width=32, heads=2, depth=1, slot_depth=1))
    transformer = Transformer(dataclasses.replace(tiny().config, channels=4))
    for weight in transformer.parameters():  # one that was never trained says nothing but zero
        weight.data.normal_(std=0.1)
    return Weights(autoencoder=Autoencoder(tiny_autoencoder().config), transformer=transformer, text=text)


def test_a_draft_is_drawn_from_its_dice_and_has_no_noise_left(weights: Weights) -> None:
    clean = torch.randn(1, 4, len(KINDS), 4, 4)
    first, again, other = (draft(weights, clean, "a red ball", random.Random(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.shape == clean.shape and first.isfinite().all()


def test_levels_are_those_of_samplings_last_steps() -> None:
    torch.testing.assert_close(module.LAST, [9 / 11, 2 / 3, 3 / 7, 0.0])


def test_what_a_lesson_shows_is_what_its_latents_stand_for() -> None:
    """Rows whose every number says its place and time, in pixels as in latents."""
    rows = np.zeros(9, layout(4))
    t, y, x = np.meshgrid(np.arange(49), np.arange(96) // 8, np.arange(176) // 8, indexing="ij")
    rows["pixels"] = np.stack(((t + 3) // 4, y, x), -1)  # latent frame, row and column
    u, v, w = np.meshgrid(np.arange(13), np.arange(12), np.arange(22), indexing="ij")
    rows["clean"][:] = rows["draft"][:] = np.stack((u, v, w, 0 * u))
    for number in range(8):
        lesson = Drafts(rows, finish()).draw(number)
        assert lesson.latents is not None
        shown = lesson.pixels[:, :: 1 if lesson.kinds[0] == "S" else 4, ::8, ::8]  # b t h w 3
        shown = shown[:, [0, 1, 5, 9]] if lesson.kinds[0] == "S" else shown
        torch.testing.assert_close(shown.float().permute(0, 4, 1, 2, 3), lesson.latents[:, :3])
        assert lesson.ahead == (0 if lesson.kinds[0] == "S" else 4)


def test_rows_are_made_once_and_a_decoder_learns_from_them(weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "load_weights", lambda model: weights)
    rows = drafts(tmp_path / "drafts.npy", 2, Path("any"))
    assert (rows["clean"] != rows["draft"]).any() and not (tmp_path / "drafts.part.npy").exists()
    monkeypatch.setattr(module, "load_weights", None)
    assert (drafts(tmp_path / "drafts.npy", 2, Path("any")) == rows).all()
    recipe = dataclasses.replace(finish(), batch=1, crops=((16, 16),), warmup=1, steps=3)
    learner = AutoencoderLearner(recipe, Drafts(rows, recipe), weights.autoencoder)
    before = {name: tensor.clone() for name, tensor in learner.network.state_dict().items()}
    assert all(np.isfinite(learner.step(number)["loss"]) for number in range(3))
    changed = {name.split(".")[0] for name, tensor in learner.network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"decoder"}
