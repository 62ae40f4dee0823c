"""Laws of the transformer's training: a resumed run equals an unbroken one, and a few clips can be learned by heart."""

from __future__ import annotations

import dataclasses
import os
import random
from pathlib import Path

import pytest
import torch

from misora.client.errors import CheckpointError, UsageError
from misora.data.loader import Batch, Loader, Serving
from misora.data.shards import Record, write_shard
from misora.model.text import TextConfig, TextEncoder
from misora.train import runs
from misora.train.log import Look
from misora.train.loop import Budget, save_state, train
from misora.train.pretrain import Pretrainer, _moving, _worn, flops
from misora.train.recipes import CLIPS, RECIPES, STILLS, tiny
from misora.words.graph import COLOURS, Act, Card, SceneGraph, Thing


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """A few made-up latents in the folders that the recipes name."""
    generator = torch.Generator().manual_seed(0)
    rng = random.Random(0)
    act = Act(verb="roll", actor=0, direction="left")
    for folder, frames in ((STILLS, 1), (CLIPS, 3)):
        graphs = [
            SceneGraph(things=(Thing(colour=rng.choice(COLOURS), shape="ball"),), cards=(Card(start=0, end=1, acts=(act,)),))
            for _ in range(8)
        ]
        latents = torch.randn(8, 16, frames, 4, 4, generator=generator)
        labels = torch.randint(0, 9, (8, 2, frames, 2, 2), generator=generator, dtype=torch.uint8)
        write_shard(
            tmp_path / folder / "a.safetensors", latents, labels, [Record(graph=g) for g in graphs], kinds="SGG"[:frames], autoencoder="x"
        )
    return tmp_path


def learner(shards: Path) -> Pretrainer:
    torch.manual_seed(1)
    text = TextEncoder(TextConfig(vocabulary=("red", "ball"), width=32, heads=2, depth=1, slot_depth=1))
    return Pretrainer(tiny(), Loader(shards, tiny().servings, seed=0), text)


def weights(pretrainer: Pretrainer) -> dict[str, torch.Tensor]:
    return {**pretrainer.network.state_dict(), **{f"average.{k}": v for k, v in pretrainer.average.state_dict().items()}}


def test_released_weights_are_not_forgotten_at_once(shards: Path, tmp_path: Path) -> None:
    other = learner(shards)
    released = {name: tensor + 0.01 for name, tensor in other.network.state_dict().items()}
    other.begin_from(released)
    train(other, tmp_path / "a", Budget(steps=2), quiet=True)
    resumed = learner(shards)
    train(resumed, tmp_path / "a", Budget(steps=3), quiet=True)
    for name, tensor in resumed.average.state_dict().items():
        moved = (resumed.network.state_dict()[name] - released[name]).norm()
        assert (tensor - released[name]).norm() <= 0.15 * moved + 1e-6  # three steps with an average of .95


def test_a_resumed_run_equals_an_unbroken_one(shards: Path, tmp_path: Path) -> None:
    unbroken = learner(shards)
    train(unbroken, tmp_path / "a", Budget(steps=6), quiet=True)
    train(learner(shards), tmp_path / "b", Budget(steps=3), quiet=True)
    torch.manual_seed(99)  # whatever happened between the two halves
    resumed = learner(shards)
    assert train(resumed, tmp_path / "b", Budget(steps=6), quiet=True) == 6
    ours, theirs = weights(resumed), weights(unbroken)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert resumed.samples == unbroken.samples and resumed.flops == unbroken.flops > 0


def test_a_damaged_state_is_not_resumed(shards: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "state.pt").write_bytes(b"not a state")
    with pytest.raises(CheckpointError, match="remove it to begin anew"):
        train(learner(shards), tmp_path / "run", Budget(steps=1), quiet=True)


@pytest.mark.parametrize("foreign", [{}, {"number": 1}, {"number": 1, "learner": {"network": {}}}, {"number": 1, "learner": []}, [1]])
def test_the_state_of_another_training_is_not_resumed(shards: Path, tmp_path: Path, foreign: object) -> None:
    (tmp_path / "run").mkdir()
    torch.save(foreign, tmp_path / "run" / "state.pt")
    with pytest.raises(CheckpointError, match="another training"):
        train(learner(shards), tmp_path / "run", Budget(steps=1), quiet=True)


def test_a_save_that_is_stopped_leaves_the_state_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    (tmp_path / "state.pt").write_bytes(b"whole")
    monkeypatch.setattr(torch, "save", stopped)
    with pytest.raises(KeyboardInterrupt):
        save_state(Stub(), tmp_path / "state.pt", 1)
    assert os.listdir(tmp_path) == ["state.pt"] and (tmp_path / "state.pt").read_bytes() == b"whole"


class Stub:
    def step(self, number: int) -> dict[str, float]:
        return {}

    def state(self) -> dict[str, object]:
        return {}

    def restore(self, state: dict[str, object]) -> None:
        pass

    def look(self) -> Look:
        return Look()


def test_the_loss_falls(shards: Path) -> None:
    pretrainer = learner(shards)
    losses = [pretrainer.step(number)["truth"] for number in range(40)]
    assert sum(losses[-8:]) < 0.9 * sum(losses[:8])


def test_errors_where_things_are_weigh_more(shards: Path) -> None:
    one = learner(shards)

    def loss(batch: Batch, things: float) -> float:
        return one.losses(one.network, one.truth, batch, torch.Generator().manual_seed(0), things)[0].item()

    full, empty = one.loader.batch(0), one.loader.batch(0)
    empty.labels.zero_()
    assert loss(empty, 3.0) == loss(empty, 0.0) == loss(full, 0.0) < loss(full, 3.0)


def test_every_recipe_names_a_share_for_each_serving() -> None:
    for recipe in (make() for make in RECIPES.values()):
        assert abs(sum(serving.share for serving in recipe.servings) - 1) < 1e-9
        assert flops(recipe.config, 66) < flops(recipe.config, 67)


def test_rates_fall_where_that_is_asked_for() -> None:
    cooled = runs.recipe_of(runs.Wish(steps=500, cool=300))
    assert (cooled.last, cooled.cooldown) == (500, 300)
    assert runs.recipe_of(runs.Wish(steps=500)).last is None
    for wish in (runs.Wish(cool=300), runs.Wish(steps=200, cool=300), runs.Wish(steps=200, cool=0)):
        with pytest.raises(UsageError, match="--steps"):
            runs.recipe_of(wish)


def test_cuts_references_masks_and_cards_are_learned_from(tmp_path: Path) -> None:
    card = Card(start=0, end=0.5, acts=(Act(verb="roll", actor=0, direction="left"),))
    graph = SceneGraph(things=(Thing(colour="red", shape="ball"),), cards=(card, dataclasses.replace(card, start=0.5, end=2, cut=True)))
    latents, labels = torch.randn(4, 16, 5, 4, 4), torch.zeros(4, 2, 5, 2, 2, dtype=torch.uint8)
    write_shard(tmp_path / "cuts" / "a.safetensors", latents, labels, [Record(graph=graph)] * 4, kinds="SGSGG", autoencoder="x")
    torch.manual_seed(1)
    text = TextEncoder(TextConfig(vocabulary=("red", "ball"), width=32, heads=2, depth=1, slot_depth=1))
    serving = Serving(folder="cuts", frames=5, batch=4, share=1, jitter=2, anywhere=True)
    pretrainer = Pretrainer(tiny(), Loader(tmp_path, [serving], seed=0), text)
    losses = [pretrainer.step(number)["loss"] for number in range(12)]
    assert all(0 < loss < 10 for loss in losses)


if hasattr(os, "sched_setaffinity"):  # Linux

    def test_processes_that_train_together_have_cores_of_their_own() -> None:
        before, threads, found = os.sched_getaffinity(0), torch.get_num_threads(), []
        try:
            for rank in range(len(before)):
                os.sched_setaffinity(0, before)
                runs.take_cores(rank, len(before))
                found.append(os.sched_getaffinity(0))
        finally:
            os.sched_setaffinity(0, before)
            torch.set_num_threads(threads)
        assert all(len(cores) == 1 for cores in found) and set().union(*found) == before


def test_what_moves_is_what_changes_from_group_to_group() -> None:
    clean = torch.zeros(1, 16, 5, 4, 4)
    clean[:, :, 0] = 3.0  # an S has another scale than what follows: no motion
    clean[:, :, 3, 1, 2] = 1.0  # there in one group only
    moving = _moving(clean, "SGGGG")[0, 0]  # t h w
    assert moving[:, 1, 2].tolist() == [0, 0, 1, 1, 1] and moving.sum() == 3
    assert not _moving(clean[:, :, :1], "S").any()


def test_a_worn_past_keeps_its_colours_and_is_off_by_little() -> None:
    clean, noise = torch.randn(2, 4, 16, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    batch = Batch(latents=clean, captions=[""] * 4, labels=torch.zeros(4, 2, 3, 4, 4), kinds="GGG", cards=None, whole=4, part=slice(None))

    def worn(most: float) -> torch.Tensor:
        return _worn(clean, noise, most, torch.Generator().manual_seed(1), batch)

    assert torch.equal(worn(0.0), clean)
    still, clear = worn(0.1).mean((3, 4)), worn(0.1) - clean
    assert (still - clean.mean((3, 4))).abs().max() <= 0.1 * noise.mean((3, 4)).abs().max() + 1e-5
    assert 0 < clear.std() < 0.15 and clear.flatten(1).std(1).unique().numel() == 4  # each clip its own


def test_only_the_past_of_a_window_is_worn(shards: Path) -> None:
    one, seen = learner(shards), list[torch.Tensor]()
    forward = one.network.forward_tapped
    one.network.forward_tapped = lambda x, *rest: (seen.append(x), forward(x, *rest))[1]  # type: ignore[method-assign]
    whole = next(batch for number in range(20) if len((batch := one.loader.batch(number)).kinds) == 3)
    for kinds in ("SGG", "GGG"):
        for number in range(20):
            one.losses(one.network, one.truth, dataclasses.replace(whole, kinds=kinds), torch.Generator().manual_seed(number))
    unlike = [bool((x == whole.latents).flatten(3).all(3).any()) for x in seen]
    assert any(unlike[:20]) and not any(unlike[20:])
