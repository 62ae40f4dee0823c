"""Laws of making latents for hours: a stopped call goes on, other latents are not mixed in, a card gets the clips that a CPU makes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from misora.client.errors import UsageError
from misora.data.clip import Clip, Truth
from misora.data.shards import Shard
from misora.model.autoencoder import Autoencoder, AutoencoderConfig
from misora.train import cache, card
from misora.words.graph import Act, Card, SceneGraph, Thing
from misora.world.make import make_clip, shoot
from misora.world.scenes import STILL
from misora.world.takes import Picture

GRAPH = SceneGraph(things=(Thing(colour="red", shape="ball"),), cards=(Card(start=0, end=1, acts=(Act(verb="stay", actor=0),)),))


def flat_clip(seed: int) -> Clip:
    """One frame of one grey, its seed."""
    shapes = {"positions": (1, 1, 3), "orientations": (1, 1, 4), "velocities": (1, 1, 3), "visible": (1, 1), "camera": (1, 7)}
    numbers = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    truth = Truth(graph=GRAPH, contacts=np.zeros((0, 3), np.int32), masks=np.zeros((1, 32, 32), np.uint8), **numbers)
    return Clip(frames=np.full((1, 32, 32, 3), seed, np.uint8), frame_rate=12.0, truth=truth)


def test_a_stopped_call_goes_on_and_other_latents_are_not_mixed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card, "SPAN", 4)
    torch.manual_seed(0)
    network = Autoencoder(AutoencoderConfig(near=8, deep=8, frame=8))
    asked: list[int] = []

    def clips_of(seeds: Sequence[int]) -> Iterator[Clip]:
        for seed in seeds:
            asked.append(seed)
            yield flat_clip(seed)

    def fill(folder: Path, seeds: range, minutes: float | None = None, hash: str = "x") -> int:
        asked.clear()
        return card.fill_spans(folder, clips_of, network, seeds=seeds, kinds="S", hash=hash, name="a", minutes=minutes)

    assert fill(tmp_path / "whole", range(10)) == 10
    assert fill(tmp_path / "parts", range(10), minutes=1e-9) == 4 == len(asked)  # one span at least, or no call would ever get on
    assert fill(tmp_path / "parts", range(10)) == 6 and asked == [4, 5, 6, 7, 8, 9]
    assert fill(tmp_path / "parts", range(10)) == 0 and not asked
    whole, parts = (sorted((tmp_path / name).iterdir()) for name in ("whole", "parts"))
    assert [path.name for path in whole] == [path.name for path in parts]
    for ours, theirs in zip(map(Shard, whole), map(Shard, parts), strict=True):
        assert all(torch.equal(ours.read(row, 1)[0], theirs.read(row, 1)[0]) for row in range(len(ours)))
    with pytest.raises(UsageError, match="another autoencoder"):
        fill(tmp_path / "parts", range(20), hash="y")


def test_devices_that_are_not_there_are_named() -> None:
    assert card.device_of("cpu").type == "cpu"
    for name in ("nonsense", "meta:x"):
        with pytest.raises(UsageError, match="no device"):
            card.device_of(name)


@pytest.mark.slow
def test_what_processes_stage_and_this_one_draws_is_what_make_clip_makes() -> None:
    seeds, picture = range(6), Picture(seconds=0.0, size=(64, 96))
    made = card.drawn(seeds, shoot, mix=STILL, picture=picture, held_out=False, workers=1)
    frames = {clip.frames.tobytes() for clip in made}
    assert frames == {make_clip(seed, STILL, seconds=0.0, size=(64, 96)).frames.tobytes() for seed in seeds}


def test_clips_that_cut_elsewhere_than_at_an_s_are_passed_over(tmp_path: Path) -> None:
    def clip(cut: float | None) -> Clip:
        cards = GRAPH.cards if cut is None else (*GRAPH.cards, Card(start=cut, end=2, acts=GRAPH.cards[0].acts, cut=True))
        made = flat_clip(0)
        assert made.truth is not None
        truth = dataclasses.replace(made.truth, graph=dataclasses.replace(GRAPH, cards=cards), masks=np.zeros((10, 32, 32), np.uint8))
        return dataclasses.replace(made, frames=np.zeros((10, 32, 32, 3), np.uint8), truth=truth)

    torch.manual_seed(0)
    network = Autoencoder(AutoencoderConfig(near=8, deep=8, frame=8))
    clips = [clip(None), clip(5 / 12), clip(6 / 12)]
    assert cache.fill(tmp_path, clips, network, kinds="SGSG", hash="x", name="a") == 2
    shard = Shard(tmp_path / "a-0000000.safetensors")
    assert shard.several and shard.kinds == "SGSG" and [len(record.graph.cards) for record in shard.records] == [1, 2]
