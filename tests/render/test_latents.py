"""Laws of what is kept beside our own files: what is extended goes on from what was drawn, and so does what was extended before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from misora.render.compose import compose
from misora.render.cut import Cut
from misora.render.engine import Misora, load
from misora.render.footage import load_clip
from tests.tiny import write_weights

WISHES: Any = {"seed": 1, "steps": 1, "guidance": 1.0}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Misora:
    return load(write_weights(tmp_path_factory.mktemp("weights")))


def frames_of(video: Cut) -> Tensor:
    return video.frames


def test_a_clip_of_ours_is_extended_from_its_latents(engine: Misora, tmp_path: Path) -> None:
    video = engine.generate("a ball", seconds=4.0, size="64x64", **WISHES)
    path = video.save(tmp_path / "a.mp4")
    assert video.save_latents(path) == tmp_path / "a.mp4.latents.safetensors"
    clip = load_clip(path)
    assert clip.latents is not None and clip.kinds == "S" + "G" * 12
    more = engine.extend(clip, "a ball", seconds=1.0, **WISHES)
    canvas = compose(more.request, engine.weights).canvas
    assert torch.equal(canvas.given[:, :, :7], clip.latents[:, :, -7:])
    assert len(frames_of(more)) == 96 + 24
    again = more.save(tmp_path / "b.mp4")
    assert more.save_latents(again)
    longer = load_clip(again)
    twice = engine.extend(longer, "a ball", seconds=1.0, **WISHES)
    assert more.source and longer.latents is not None and longer.unseen == 1
    assert torch.equal(compose(twice.request, engine.weights).canvas.given[:, :, :7], torch.stack(more.source.latents[-7:], 2).float())
    assert len(frames_of(twice)) == 96 + 24 + 24, "and so is what was extended"
    back = engine.extend(clip, "a ball", seconds=0.2, backward=True, **WISHES)
    assert back.save_latents(path) is None, "what ends on given footage has none of its own"
    (tmp_path / "a.mp4.latents.safetensors").write_bytes(b"cut short")
    assert load_clip(path).latents is None
