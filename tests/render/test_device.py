"""Laws of where our own weights work: on the device that was asked for, or a sentence; no card is needed to check them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from misora.cli.main import main
from misora.client.errors import UsageError
from misora.model import wan_weights, weights
from misora.render.compose import compose
from misora.render.request import Request
from tests.tiny import write_weights


@pytest.mark.parametrize("device", ["cuda", "cuda:9", "cuda:x", "mps", "cpu:1", "toaster"])
def test_a_device_that_is_not_there_is_refused(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    out, model = tmp_path / "ball.mp4", str(write_weights(tmp_path / "model"))
    assert main(["generate", "a red ball", "--quiet", "--device", device, "--model", model, "--out", str(out)]) == 2
    said = capsys.readouterr().err.strip()
    assert len(said.splitlines()) == 1 and repr(device) in said and "choose cpu" in said and not out.exists()


def test_a_card_is_named_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert wan_weights.device_of("cuda:1") == torch.device("cuda:1") and wan_weights.device_of(None).type == "cuda"
    with pytest.raises(UsageError, match="choose cuda"):
        wan_weights.device_of("cuda:2")


def test_the_networks_and_the_canvas_go_where_they_are_to_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, elsewhere = write_weights(tmp_path / "model"), torch.device("meta")  # a device without memory: all but arithmetic shows
    assert weights.load_weights(model).device == torch.device("cpu") == weights.load_weights(model, "cpu").device
    monkeypatch.setattr(weights, "device_of", lambda name: torch.device(name))
    loaded = weights.load_weights(model, "meta")
    for network in (loaded.autoencoder, loaded.transformer, loaded.text):
        assert {tensor.device for tensor in (*network.parameters(), *network.buffers())} == {elsewhere}
    assert loaded.painter is None or {tensor.device.type for tensor in loaded.painter.parameters()} == {"cpu"}
    canvas = compose(Request(prompt="a red ball", seconds=1.0), loaded).canvas
    assert {part.device for part in (canvas.given, canvas.level, canvas.times, canvas.roles, canvas.cards)} == {elsewhere}
