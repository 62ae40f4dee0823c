"""From an empty folder to a video by the command line alone, with the tiny recipes: whether all the rooms fit together."""

from __future__ import annotations

from pathlib import Path

import pytest

from misora.cli.main import main
from misora.media.read import read_video

PROMPT = "a red ball rolls to the left"
SECONDS = 1


def misora(*arguments: object) -> None:
    assert main([str(argument) for argument in arguments]) == 0


@pytest.mark.slow
def test_from_an_empty_folder_to_a_video(tmp_path: Path) -> None:
    model, data, run = (tmp_path / name for name in ("model", "data", "run"))
    misora("train", "autoencoder", model, "--recipe", "tiny")
    misora("train", "text", model, "--steps", 3)
    latents = ("--latents", model, "--size", "96x64")
    misora("world", data / "stills", "--mix", "still", "--seconds", 0, "--clips", 8, *latents)
    for _ in range(2):  # the second call finds its shard and adds nothing
        misora("world", data / "clips", "--seconds", SECONDS, "--clips", 8, *latents)
    assert [len(list((data / name).iterdir())) for name in ("stills", "clips")] == [1, 1]
    misora("train", "transformer", run, "--recipe", "tiny", "--data", data, "--model", model, "--steps", 4)
    misora("train", "split", run)
    (run / "transformer.safetensors").unlink()
    misora("train", "join", run)
    (run / "transformer.safetensors").rename(model / "transformer.safetensors")
    out = tmp_path / "ball.mp4"
    misora("generate", PROMPT, "--model", model, "--out", out, "--seconds", SECONDS, "--seed", 0, "--steps", 2, "--quiet")
    frames, frame_rate = read_video(out)
    assert len(frames) == SECONDS * frame_rate and frame_rate == 24
