"""Laws of drawing with Wan's weights: a folder as diffusers saves it becomes a video; what was not learned is refused or said."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from misora.cli.main import main
from misora.client.errors import CheckpointError, UsageError
from misora.model import hub
from misora.model.weights import WanWeights, open_weights
from misora.render import verbs
from misora.render.footage import Footage, Notice
from misora.render.render import render
from misora.render.request import Request
from misora.render.wan import suited
from tests import wan

ASKED = Request(prompt="a red ball", seconds=0.5, size="80x64", steps=2, seed=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("wan")
    with wan.silence():
        wan.pipeline("ti2v").save_pretrained(made / "model")
    return made / "model"


@pytest.fixture
def weights(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WanWeights:
    monkeypatch.setattr(hub, "cache", lambda: tmp_path / "cache")
    opened = open_weights(folder)
    assert isinstance(opened, WanWeights)
    return opened


def _image() -> Footage:
    pixels = torch.randint(0, 256, (1, 64, 80, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    return Footage(frames=pixels, rate=24.0, name="image.png")


def test_a_folder_becomes_a_video_of_the_size_and_length_asked_for(weights: WanWeights) -> None:
    assert weights.given_first and weights.rate == 24
    video = render(ASKED, weights)
    assert video.frames.shape == (12, 64, 80, 3)
    assert torch.equal(render(ASKED, weights).frames, video.frames)
    assert not torch.equal(render(dataclasses.replace(ASKED, seed=2), weights).frames, video.frames)
    assert '"native": "96x64"' in video.notes()["comment"]  # whole tokens of 32 pixels


def test_slower_weights_are_shown_at_their_own_speed(weights: WanWeights) -> None:
    slow = dataclasses.replace(weights, rate=8.0)
    frames = render(ASKED, slow).frames
    assert len(frames) == 12
    assert torch.equal(frames[0], frames[1]) and torch.equal(frames[0], frames[2])
    assert not torch.equal(frames[2], frames[3])


def test_a_first_frame_is_native_to_some_and_said_to_be_approximate_of_others(weights: WanWeights) -> None:
    request = verbs.animate(ASKED, _image())
    assert len(render(request, weights).frames) == 12
    with pytest.warns(Notice, match="never learned to animate"):
        render(request, dataclasses.replace(weights, given_first=False))


@pytest.mark.parametrize("verb", ["loop", "extend", "remix"])
def test_what_was_not_learned_is_refused(weights: WanWeights, verb: str) -> None:
    clip = dataclasses.replace(_image(), frames=_image().frames.expand(12, -1, -1, -1))
    made = {"loop": verbs.loop(ASKED), "extend": verbs.extend(ASKED, clip), "remix": verbs.remix(ASKED, clip)}
    with pytest.raises(UsageError, match="generate, image, animate and nothing else"):
        render(made[verb], weights)


def test_its_own_steps_stand_where_none_were_asked_for(weights: WanWeights) -> None:
    assert suited(ASKED, weights, []).steps == weights.steps
    assert suited(ASKED, weights, ["steps"]).steps == 2
    assert suited(ASKED, weights, ["steps"]).guidance == weights.guidance


def test_the_command_line_takes_a_folder(folder: Path, weights: WanWeights, tmp_path: Path) -> None:
    out = tmp_path / "ball.mp4"
    flags = ["--model", str(folder), "--size", "64x64", "--seconds", "0.25", "--steps", "1", "--out", str(out), "--quiet"]
    assert main(["generate", "a red ball", *flags]) == 0
    assert out.stat().st_size > 500


def test_a_lora_changes_the_video_by_its_strength(folder: Path, weights: WanWeights, tmp_path: Path) -> None:
    down, up = torch.randn(2, wan.HEADS * wan.HEAD), torch.randn(wan.HEADS * wan.HEAD, 2)
    name = "diffusion_model.blocks.0.self_attn.v.lora_{}.weight"
    save_file({name.format("A"): down, name.format("B"): up}, tmp_path / "style.safetensors")
    before = weights.transformer.blocks[0].attention.qkv.weight.float()
    for strength in (0.0, 0.5):
        changed = open_weights(folder, {str(tmp_path / "style.safetensors"): strength}).transformer.blocks[0].attention.qkv.weight.float()
        assert bool((changed != before).any()) == bool(strength)
    assert main(["generate", "a red ball", "--lora", "style.safetensors:much", "--out", str(tmp_path / "ball.mp4")]) == 2
    with pytest.raises(CheckpointError, match="for weights of the Wan family"):
        open_weights("embedded", {"style.safetensors": 1.0})


def test_half_a_folder_is_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "transformer").symlink_to(folder / "transformer")
    with pytest.raises(CheckpointError, match="has no vae/"):
        open_weights(tmp_path / "half")
