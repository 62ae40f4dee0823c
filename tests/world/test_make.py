"""Laws of whole clips: what the graph says is true, seen, and the same at every making."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from misora.words.graph import Act, Card, Relation, SceneGraph, Thing, is_held_out, mirrored
from misora.world.claims import false_claims
from misora.world.make import Unstageable, make_clip, make_shot, render_graph, staged_scenes, with_masks
from misora.world.render import draw
from misora.world.scenes import CORE, FULL, STILL
from misora.world.takes import Picture

TINY = (48, 80)
BALL = Thing(colour="red", shape="ball")
CUBE = Thing(colour="blue", shape="cube")


def scene(act: Act, *things: Thing, relations: tuple[Relation, ...] = ()) -> SceneGraph:
    return SceneGraph(things=things, cards=(Card(start=0.0, end=2.0, acts=(act,)),), relations=relations)


@pytest.mark.parametrize("seed", range(30))
def test_all_that_a_clip_tells_is_true(seed: int) -> None:
    clip = make_clip(seed, FULL, seconds=2.0, size=TINY)
    assert clip.truth is not None and clip.frames.shape == (25, *TINY, 3)
    assert false_claims(clip.truth, 12.0, TINY[1] / TINY[0]) == []
    assert not is_held_out(clip.truth.graph)


def test_the_same_seed_makes_the_same_clip() -> None:
    one, two = (make_clip(3, CORE, seconds=1.0, size=TINY) for _ in range(2))
    assert np.array_equal(one.frames, two.frames) and one.truth is not None and two.truth is not None
    assert one.truth.graph == two.truth.graph and np.array_equal(one.truth.positions, two.truth.positions)
    assert not np.array_equal(one.frames, make_clip(4, CORE, seconds=1.0, size=TINY).frames)


@pytest.mark.parametrize("size", [(48, 48), (80, 48), (32, 80)])
def test_a_single_frame_shows_all_things_at_any_aspect(size: tuple[int, int]) -> None:
    for seed in range(6):
        truth = make_clip(seed, STILL, seconds=0.0, size=size).truth
        assert truth is not None and truth.masks.shape == (1, *size)
        assert (truth.visible[0] >= 0.004).all()


def test_the_held_out_side_can_be_made() -> None:
    truth = make_clip(0, STILL, seconds=0.0, size=TINY, held_out=True).truth
    assert truth is not None and is_held_out(truth.graph)


def test_a_scene_drawn_elsewhere_becomes_the_same_clip() -> None:
    picture = Picture(seconds=0.0, size=TINY)
    clip = make_clip(5, STILL, seconds=0.0, size=TINY)
    assert clip.truth is not None
    for shot, truth in staged_scenes(5, STILL, picture):
        seen = with_masks(truth, draw(shot, height=TINY[0], width=TINY[1])[1], picture)
        if seen:
            assert seen.graph == clip.truth.graph and np.array_equal(seen.masks, clip.truth.masks)
            break


def test_a_mirrored_sentence_is_not_true_of_the_clip() -> None:
    roll = scene(Act(verb="roll", actor=0, direction="right"), BALL, CUBE, relations=(Relation(kind="left_of", a=0, b=1),))
    _, truth = make_shot(roll, 1, Picture(seconds=2.0))
    lie = dataclasses.replace(truth, graph=mirrored(roll))
    assert false_claims(truth, 12.0, 11 / 6) == []
    assert len(false_claims(lie, 12.0, 11 / 6)) == 2


def test_what_has_bounced_can_roll_afterwards() -> None:
    bounce, roll = Act(verb="bounce", actor=0), Act(verb="roll", actor=0, direction="left")
    cards = (Card(start=0.0, end=2.0, acts=(bounce,)), Card(start=2.0, end=4.0, acts=(roll,)))
    for seed in range(4):
        _, truth = make_shot(dataclasses.replace(scene(bounce, BALL), cards=cards), seed, Picture(seconds=4.0))
        height = truth.positions[:, 0, 2]
        assert np.ptp(height[24:]) < 0.02 < np.ptp(height[:20])  # at rest on the floor before it rolls


def test_a_bounce_that_is_cut_off_before_the_floor_is_not_one() -> None:
    _, truth = make_shot(scene(Act(verb="bounce", actor=0), BALL), 0, Picture(seconds=2.0))
    begun = dataclasses.replace(truth, **{name: getattr(truth, name)[:3] for name in ("positions", "orientations", "camera")})
    assert false_claims(begun, 12.0, 11 / 6) == ["card 0: bounce 0"]


def test_what_is_never_named_does_not_move_and_is_not_moved() -> None:
    _, truth = make_shot(scene(Act(verb="collide", actor=0, direction="left", target=1), BALL, CUBE), 0, Picture(seconds=2.0))
    met = truth.contacts[(truth.contacts[:, 1:] == (1, 0)).all(axis=1), 0].min()
    assert np.abs(truth.positions[: met - 1, 1] - truth.positions[0, 1]).max() < 0.01
    assert truth.positions[-1, 1, 0] < truth.positions[0, 1, 0] - 0.2


def test_a_wall_hides_what_passes_behind_it_and_gives_it_back() -> None:
    clip = render_graph(scene(Act(verb="pass_behind", actor=0, direction="left"), BALL), 0, size=TINY)
    assert clip.truth is not None
    seen = clip.truth.visible[:, 0]
    assert seen.min() < 0.1 * seen[0] and seen[-1] > 0.5 * seen[0]
    hidden = int(seen.argmin())
    names = ("positions", "orientations", "velocities", "visible", "masks", "camera")
    late = dataclasses.replace(clip.truth, **{name: getattr(clip.truth, name)[hidden:] for name in names})
    assert "card 0: pass_behind 0" in false_claims(late, 12.0, TINY[1] / TINY[0])  # hidden from its first frame on


def test_what_cannot_be_shown_is_refused() -> None:
    with pytest.raises(Unstageable):
        make_shot(scene(Act(verb="roll", actor=0, direction="left"), dataclasses.replace(CUBE)), 0, Picture(seconds=1.0))
