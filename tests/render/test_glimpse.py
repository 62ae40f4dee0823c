"""Laws of previews: they come nearer to one frame of the finished clip, cost a bounded share of the time, and change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from misora.canvas import fills
from misora.model.brush import to_bytes
from misora.model.weights import Weights, load_weights
from misora.render import glimpse
from misora.render.glimpse import Glimpses
from misora.render.render import render
from misora.render.request import Request
from tests.tiny import write_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """Tiny random networks."""
    return load_weights(write_weights(Path(tmp_path_factory.mktemp("model"))))


def test_previews_approach_a_frame_of_the_clip_and_change_nothing(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glimpse, "GAP", 0.0)
    monkeypatch.setattr(glimpse, "SHARE", 0.0)
    shown: list[Tensor] = []
    request = Request(prompt="a red ball", seconds=2.0, size="64x64", seed=3, steps=4)
    native = list(render(request, weights, show=shown.append).native)
    assert torch.equal(torch.stack(native), torch.stack(list(render(request, weights).native)))
    middle = to_bytes(native[12].clamp(-1, 1)).float()  # kinds SGGGGGG: the last pixel frame of the fourth
    apart = [float((picture.float() - middle).abs().mean()) for picture in shown]
    assert len(shown) > 2 and apart[-1] < 1.0 and apart[-1] < apart[0] and not torch.equal(shown[0], shown[-1])


def test_a_long_clip_shows_what_is_under_way() -> None:
    canvas = fills.text(kinds="S" + "G" * 39, channels=4, height=2, width=2)
    rows: list[str] = []

    def decode(latents: Tensor, kinds: str) -> Tensor:
        rows.append(kinds)
        return torch.zeros(3, 8, 8)

    glimpses = Glimpses(lambda picture: None, decode, canvas)
    glimpses([20, 21, 22, 23, 24], torch.zeros(1, 4, 5, 2, 2))
    glimpses([21, 22, 23, 24, 25], torch.zeros(1, 4, 5, 2, 2))  # too soon for another
    assert rows == ["GGG"]
