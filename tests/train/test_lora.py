"""Laws of LoRA training: nothing changes at first, the loss falls, what is saved is what was learned, and it says what it was taught."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from misora.cli.main import main
from misora.client.errors import UsageError
from misora.media.write import write_video
from misora.model import hub, lora
from misora.model.wan import load_transformer
from misora.model.wan_weights import FORCED, TEXT
from misora.model.weights import open_weights
from misora.train.lora import LoraLearner, LoraRecipe, Sample
from tests import wan


def _learner(folder: Path, recipe: LoraRecipe) -> LoraLearner:
    generator = torch.Generator().manual_seed(1)
    latents, text = torch.randn(1, 6, 3, 4, 4, generator=generator), torch.randn(1, 5, wan.TEXT, generator=generator)
    return LoraLearner(load_transformer(folder), [Sample(latents=latents, text=text)], torch.zeros_like(text), recipe, 1.0)


@pytest.mark.parametrize("fills", [False, True])
def test_what_is_saved_is_what_was_learned(tmp_path: Path, fills: bool) -> None:
    folder = wan.save(wan.transformer(), tmp_path / "model")
    recipe = LoraRecipe(fills=fills, rank=4, rate=3e-3)
    learner = _learner(folder, recipe)
    generator = torch.Generator().manual_seed(2)
    inputs = (torch.randn(1, 6, 3, 4, 4, generator=generator), torch.tensor([[0.0, 0.5, 0.9]]), torch.randn(1, 5, wan.TEXT))
    marks = torch.zeros(1, 3, dtype=torch.long)

    def made(network: torch.nn.Module) -> torch.Tensor:
        with torch.no_grad():
            result: torch.Tensor = network(*inputs, marks, marks.float(), marks)
        return result

    plain = load_transformer(folder)
    before = made(plain)
    assert torch.allclose(made(learner.network), before, atol=1e-5)
    losses = [learner.step(number)["loss"] for number in range(12)]
    assert learner.step(0)["loss"] < losses[0]
    assert not torch.allclose(made(learner.network), before, atol=1e-3)
    learner.save(tmp_path / "lora.safetensors")
    lora.merge(plain, lora.read(tmp_path / "lora.safetensors", plain.config))
    assert torch.allclose(made(plain), made(learner.network), atol=1e-4)
    assert lora.taught_fills(tmp_path / "lora.safetensors") == fills


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    folder = wan.save(wan.transformer(), tmp_path / "model")
    whole, first, second = (_learner(folder, LoraRecipe(fills=True, rank=2)) for _ in range(3))
    for number in range(4):
        whole.step(number)
        (first if number < 2 else second).step(number)
        if number == 1:
            second.restore(first.state())
    assert all(torch.equal(a, b) for a, b in zip(whole.weights, second.weights, strict=True))


def test_the_whole_way_from_clips_to_weights_that_know_fills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hub, "cache", lambda: tmp_path / "cache")
    with wan.silence():
        wan.pipeline("t2v").save_pretrained(tmp_path / "model")
    data = tmp_path / "data"
    data.mkdir()
    frames = torch.randint(0, 256, (12, 64, 64, 3), dtype=torch.uint8)
    write_video(data / "one.mp4", frames, 24.0)
    command = ["train", "lora", str(tmp_path / "run"), "--data", str(data), "--model", str(tmp_path / "model"), "--fills"]
    assert main([*command, "--steps", "2", "--rank", "2"]) == 2
    assert "one.mp4 has no caption" in capsys.readouterr().err
    (data / "one.txt").write_text("a red ball", "utf-8")
    assert main([*command, "--steps", "2", "--rank", "2"]) == 0
    made = str(tmp_path / "run" / "lora.safetensors")
    assert capsys.readouterr().out.splitlines()[-1] == made
    learned = [open_weights(tmp_path / "model", loras).learned for loras in ({}, {made: 1.0})]  # type: ignore[union-attr]
    assert learned == [TEXT, FORCED]
    assert main([*command, "--rank", "0"]) == UsageError.exit_code
