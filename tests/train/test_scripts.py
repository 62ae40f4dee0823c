"""The measuring scripts of training, on networks too small to learn anything: they run and tell what they measured."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from misora.data.shards import Record, write_shard
from misora.train.recipes import CLIPS, HELD_OUT, STILLS
from misora.words.graph import Act, Card, SceneGraph, Thing
from runs import overfit, restart
from tests.tiny import write_weights

GRAPH = SceneGraph(
    things=(Thing(colour="red", shape="ball"),), cards=(Card(start=0, end=1, acts=(Act(verb="roll", actor=0, direction="left"),)),)
)


def test_a_restart_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = torch.Generator().manual_seed(0)
    for folder, frames in ((STILLS, 1), (CLIPS, 3), (HELD_OUT.folder, 3)):
        latents = torch.randn(4, 16, frames, 4, 4, generator=generator)
        labels = torch.randint(0, 9, (4, 2, frames, 2, 2), generator=generator, dtype=torch.uint8)
        write_shard(tmp_path / folder / "a.safetensors", latents, labels, [Record(graph=GRAPH)] * 4, kinds="SGG"[:frames], autoencoder="x")
    model = write_weights(tmp_path / "model")
    restart.main([str(model), str(tmp_path), "--recipe", "tiny", "--steps", "4", "--every", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[0].endswith("1.0000 of the released") and "back after" in lines[-1]


@pytest.mark.slow
def test_the_gate_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_weights(tmp_path / "model")
    assert overfit.main([str(tmp_path), "--model", str(model), "--clips", "2", "--frames", "4", "--size", "tiny", "--steps", "5"]) == 1
    out = capsys.readouterr().out
    assert "simulator: " in out and "model: " in out and "the gate is not passed" in out
