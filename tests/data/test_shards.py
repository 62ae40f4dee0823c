"""Laws of the shards and the loader: what was written is read, prefixes are clips, and a batch depends on seed and step alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from misora.client.errors import CheckpointError, UsageError
from misora.data.loader import Loader, Serving
from misora.data.shards import Record, Shard, cards_of, write_shard
from misora.words.graph import Act, Card, SceneGraph, Thing

GRAPH = SceneGraph(
    things=(Thing(colour="red", shape="ball"),),
    cards=(Card(start=0, end=1, acts=(Act(verb="roll", actor=0, direction="left"),)),),
)


def fill(folder: Path, *, t: int, h: int, w: int, name: str = "a", code: str = "hash") -> torch.Tensor:
    latents = torch.randn(5, 16, t, h, w).to(torch.bfloat16)
    labels = torch.randint(0, 9, (5, 2, t, h // 2, w // 2), dtype=torch.uint8)
    write_shard(folder / f"{name}.safetensors", latents, labels, [Record(graph=GRAPH)] * 5, kinds="S" + "G" * (t - 1), autoencoder=code)
    return latents


def test_a_shard_returns_what_was_written(tmp_path: Path) -> None:
    latents = fill(tmp_path, t=4, h=12, w=22)
    shard = Shard(tmp_path / "a.safetensors")
    assert len(shard) == 5 and shard.shape == (16, 4, 12, 22) and shard.kinds == "SGGG" and shard.records[2].graph == GRAPH
    assert torch.equal(shard.read(3, 2)[0], latents[3, :, :2])


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    fill(tmp_path, t=1, h=4, w=4)
    path = tmp_path / "a.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="a.safetensors"):
        Shard(path)


@pytest.mark.parametrize("told", ["5", "[1]", '["{}"]', '["[]"]', r'["{\"graph\": \"{}\", \"card\": 0}"]'])
def test_a_shard_that_tells_of_no_scenes_is_named(tmp_path: Path, told: str) -> None:
    tensors = {"latents": torch.zeros(1, 16, 1, 4, 4).bfloat16(), "labels": torch.zeros(1, 2, 1, 2, 2, dtype=torch.uint8)}
    save_file(tensors, tmp_path / "a.safetensors", metadata={"kinds": "S", "autoencoder": "x", "records": told})
    with pytest.raises(CheckpointError, match=r"a\.safetensors is not a whole shard"):
        Shard(tmp_path / "a.safetensors")


def test_a_batch_depends_on_seed_and_step_alone(tmp_path: Path) -> None:
    fill(tmp_path / "clips", t=4, h=12, w=22)
    fill(tmp_path / "clips", t=4, h=16, w=16, name="b")
    servings = [Serving(folder="clips", frames=4, batch=3, share=1, jitter=2), Serving(folder="clips", frames=1, batch=6, share=1)]
    first, again = (Loader(tmp_path, servings, seed=7) for _ in range(2))
    shapes = set()
    for step in range(30):
        one, two = first.batch(step), again.batch(step)
        assert torch.equal(one.latents, two.latents) and one.captions == two.captions
        assert one.latents.shape[2] == len(one.kinds) and one.labels.shape[3] * 2 == one.latents.shape[3]
        shapes.add(tuple(one.latents.shape))
    assert len(shapes) > 4, "durations and aspects are mixed"
    assert not torch.equal(first.batch(0).latents, Loader(tmp_path, servings, seed=8).batch(0).latents)


def test_latents_of_two_autoencoders_do_not_mix(tmp_path: Path) -> None:
    fill(tmp_path / "clips", t=1, h=4, w=4)
    fill(tmp_path / "clips", t=1, h=4, w=4, name="b", code="other")
    with pytest.raises(UsageError, match="different autoencoders"):
        Loader(tmp_path, [Serving(folder="clips", frames=1, batch=1, share=1)], seed=0)


def test_an_empty_folder_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="misora world"):
        Loader(tmp_path, [Serving(folder="clips", frames=1, batch=1, share=1)], seed=0)


def test_windows_begin_anywhere_where_that_is_asked(tmp_path: Path) -> None:
    latents = fill(tmp_path / "clips", t=6, h=4, w=4)
    loader = Loader(tmp_path, [Serving(folder="clips", frames=3, batch=2, share=1, anywhere=True)], seed=0)
    begun = set()
    for step in range(30):
        batch = loader.batch(step)
        starts = [start for start in range(4) if any(torch.equal(batch.latents[0], clip[:, start : start + 3]) for clip in latents)]
        assert len(starts) == 1 and batch.kinds == "SGGGGG"[starts[0] : starts[0] + 3] and batch.labels.shape[2] == 3
        begun.add(starts[0])
    assert begun == {0, 1, 2, 3}


def test_clips_of_several_cards_have_a_text_for_every_frame(tmp_path: Path) -> None:
    acts = [(Act(verb="roll", actor=0, direction=side),) for side in ("left", "right")]
    cards = (Card(start=0, end=0.75, acts=acts[0]), Card(start=0.75, end=2, acts=acts[1], cut=True))
    told = Record(graph=dataclasses.replace(GRAPH, cards=cards))
    assert cards_of(told, "SGGSGG") == [0, 0, 0, 1, 1, 1] and cards_of(Record(graph=GRAPH), "SG") == [0, 0]
    records = [told] * 4
    write_shard(tmp_path / "clips" / "a.safetensors", torch.randn(4, 16, 6, 4, 4), torch.zeros(4, 2, 6, 2, 2, dtype=torch.uint8), records,
                kinds="SGGSGG", autoencoder="hash")  # fmt: skip
    loader = Loader(tmp_path, [Serving(folder="clips", frames=6, batch=3, share=1)], seed=0, empty=0.3)
    texts = set()
    for step in range(10):
        batch = loader.batch(step)
        assert batch.cards is not None and batch.cards.tolist() == [[2 * i] * 3 + [2 * i + 1] * 3 for i in range(3)]
        assert len(batch.captions) == 6
        texts |= set(batch.captions)
        pairs = list(zip(batch.captions[::2], batch.captions[1::2], strict=True))
        assert all((a == "") == (b == "") or (a == "" and "same" in b) or (a == "" and "同じ" in b) for a, b in pairs)
    assert "" in texts and any("left" in text for text in texts) and any("right" in text for text in texts)
    part = loader.batch(3, slice(1, None))
    assert part.cards is not None and part.cards.tolist() == [[0] * 3 + [1] * 3, [2] * 3 + [3] * 3]


def test_clips_of_one_card_and_of_several_are_not_mixed(tmp_path: Path) -> None:
    fill(tmp_path / "clips", t=4, h=4, w=4)
    batch = Loader(tmp_path, [Serving(folder="clips", frames=4, batch=3, share=1)], seed=0).batch(0)
    assert batch.cards is None and len(batch.captions) == 3
