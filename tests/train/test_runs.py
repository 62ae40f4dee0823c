"""Laws of whole runs and of the script for a card: what a run leaves, what it does not, and that every command is one that there is."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from misora.cli.main import build_parser, main
from misora.cli.world import _patterned
from misora.data.shards import Record, write_shard
from misora.model import checkpoint, weights
from misora.model.sizes import SIZES
from misora.model.transformer import Transformer
from misora.train import runs
from misora.train.recipes import CLIPS, HELD_OUT, RECIPES, STILLS
from misora.words.graph import Act, Card, SceneGraph, Thing
from misora.world.scenes import CORE
from tests.tiny import write_weights
from tests.tree import ROOT

GRAPH = SceneGraph(
    things=(Thing(colour="red", shape="ball"),), cards=(Card(start=0, end=1, acts=(Act(verb="roll", actor=0, direction="left"),)),)
)


def test_a_run_leaves_curves_a_sheet_its_cost_and_weights_without_the_truth_head(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model, folder = write_weights(tmp_path / "model"), tmp_path / "run"
    code = weights.load_autoencoder(model)[1]
    for name, frames in ((STILLS, 1), (CLIPS, 3)):
        latents, labels = torch.randn(8, 16, frames, 8, 8), torch.zeros(8, 2, frames, 4, 4, dtype=torch.uint8)
        path = tmp_path / "data" / name / "a.safetensors"
        write_shard(path, latents, labels, [Record(graph=GRAPH)] * 8, kinds="SGG"[:frames], autoencoder=code)
    runs.transformer(folder, runs.Wish(data=tmp_path / "data", model=str(model), steps=2))
    tensors, _ = checkpoint.load(folder / "transformer.safetensors")
    checkpoint.load_into(Transformer(SIZES["tiny"]), tensors)  # one to one: nothing of the head is left
    assert torch.load(folder / "state.pt", weights_only=True)["learner"]["truth"], "while it learns there is one"
    board = EventAccumulator(str(folder / "board")).Reload()
    assert [event.step for event in board.Scalars("loss")] == [1, 2] and board.Scalars("truth")[0].value > 0
    assert board.Images("samples")[0].step == 2
    assert '"samples":' in (folder / "runs.jsonl").read_text("utf-8")


def shim(folder: Path, does: str) -> dict[str, str]:
    """An environment in which python3 is a script of one line."""
    folder.mkdir()
    (folder / "python3").write_text(f"#!/bin/sh\n{does}\n")
    (folder / "python3").chmod(0o755)
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}


def script(what: str, where: Path, environment: dict[str, str]) -> int:
    """Run runs/gpu.sh in a folder; returns its exit code."""
    command = ["bash", str(ROOT / "runs/gpu.sh"), what, "model"]
    return subprocess.run(command, cwd=where, env=environment, capture_output=True, check=False).returncode


def test_the_script_for_a_card_makes_what_its_recipe_reads(tmp_path: Path) -> None:
    environment, made = shim(tmp_path / "bin", 'echo "$@" >> asked'), set[str]()
    needed = dict.fromkeys(serving.folder for serving in RECIPES["gpu"]().servings)
    for what in ("autoencoder", HELD_OUT.folder, *needed, "train"):
        (tmp_path / "asked").unlink(missing_ok=True)
        assert script(what, tmp_path, environment) == 0
        lines = [line.split() for line in (tmp_path / "asked").read_text().splitlines()]
        assert all(line[:2] == ["-m", "misora"] for line in lines)
        told = [build_parser().parse_args(line[2:]) for line in lines]
        assert 0 < sum(asked.minutes for asked in told) <= 9 and {asked.device for asked in told} == {"cuda"}
        if what in ("autoencoder", "train"):
            assert told[0].recipe == "gpu" and told[0].network == ("transformer" if what == "train" else what)
            assert what == "autoencoder" or told[0].data.name == "data"
            continue
        for asked in told:
            assert asked.folder == Path("data", what) and asked.held_out == (what == HELD_OUT.folder)
            if asked.kinds:
                _patterned(asked, CORE)  # refuses what cannot be
        made.add(what)
    assert {serving.folder for serving in RECIPES["gpu"]().servings} <= made
    assert script("nonsense", tmp_path, environment) == 2


def test_a_card_is_served_all_that_two_cores_are_in_larger_batches() -> None:
    for card, cores in zip(RECIPES["gpu"]().servings, RECIPES["night"]().servings, strict=True):
        assert card == dataclasses.replace(cores, batch=card.batch) and card.batch > cores.batch
    tokens = [one.frames * one.batch for one in RECIPES["gpu"]().servings]
    assert max(tokens) < 2 * sum(tokens) / len(tokens), "one of them would decide how much memory is needed"


def test_what_the_script_brings_off_a_card_is_what_was_trained_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained = write_weights(tmp_path / "runs" / "gpu") / "transformer.safetensors"
    (tmp_path / "runs" / "gpu" / "runs.jsonl").write_text("{}\n")
    assert script("bring", tmp_path, shim(tmp_path / "bin", f'exec "{sys.executable}" "$@"')) == 0
    brought = list((tmp_path / "out").iterdir())
    assert {path.suffix for path in brought} == {".safetensors", ".jsonl"} and max(path.stat().st_size for path in brought) <= 15 * 2**20
    assert main(["train", "join", str(tmp_path / "out")]) == 0
    assert checkpoint.digest(tmp_path / "out" / "transformer.safetensors") == checkpoint.digest(trained)
