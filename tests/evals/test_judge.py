"""Laws of the verdicts and of the scores, on parses made by hand."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misora.evals.judge import ATOMS, bounces, falls, judge, rebounds, travel
from misora.evals.prompt import motion_energy, score, shuffled, wilson
from misora.evals.prompts import Item
from misora.evals.takes import Take
from misora.evals.tracks import Parse, Sight, Track, link
from misora.words.graph import Act, Card, Relation, SceneGraph, Thing, mirrored

T = 49


def track(x: np.ndarray, y: np.ndarray, colour: str = "red", shape: str = "ball", *, sound: bool = True) -> Track:
    centres = np.stack(np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float)), axis=1)
    return Track(
        colour=colour,
        shape=shape,
        sound=sound,
        width=30.0,
        frames=np.arange(len(centres)),
        centres=centres,
        clear=np.ones(len(centres), bool),
    )


def shown(*tracks: Track) -> Parse:
    return Parse(tracks=tracks, counts=np.full(T, len(tracks)))


def mirror_image(parse: Parse, width: int = 176) -> Parse:
    flip = np.array([-1, 1])
    tracks = tuple(dataclasses.replace(t, centres=t.centres * flip + np.array([width, 0])) for t in parse.tracks)
    return dataclasses.replace(parse, tracks=tracks)


ROLL = SceneGraph(
    things=(Thing(colour="red", shape="ball"), Thing(colour="blue", shape="cube")),
    cards=(Card(start=0, end=4, acts=(Act(verb="roll", actor=0, direction="right"),)),),
    relations=(Relation(kind="left_of", a=0, b=1),),
)
ROLLING = shown(track(np.linspace(20, 120, T), np.full(T, 60.0)), track(np.full(T, 140.0), np.full(T, 50.0), "blue", "cube"))


def answers(graph: SceneGraph, parse: Parse) -> dict[str, bool]:
    return {atom: all(given) for atom, given in judge(graph, parse).items()}


def test_what_the_graph_says_is_right() -> None:
    assert answers(ROLL, ROLLING) == dict.fromkeys(ATOMS, True)


def test_the_mirror_image_is_right_for_the_mirrored_graph_only() -> None:
    assert answers(mirrored(ROLL), mirror_image(ROLLING)) == dict.fromkeys(ATOMS, True)
    wrong = answers(ROLL, mirror_image(ROLLING))
    assert not wrong["order"] and not wrong["direction"] and wrong["colour"] and wrong["shape"]


@pytest.mark.parametrize(
    ("change", "atom"),
    [({"colour": "pink"}, "colour"), ({"shape": "cone"}, "shape"), ({"sound": False}, "count"), ({"sound": False}, "shape")],
)
def test_one_change_makes_its_atom_wrong(change: dict[str, Any], atom: str) -> None:
    first, second = ROLLING.tracks
    assert not answers(ROLL, shown(dataclasses.replace(first, **change), second))[atom]


def test_a_third_thing_or_a_missing_frame_is_a_wrong_count() -> None:
    assert not answers(ROLL, shown(*ROLLING.tracks, track(np.full(T, 80.0), np.full(T, 20.0), "green")))["count"]
    assert not answers(ROLL, dataclasses.replace(ROLLING, counts=np.r_[np.full(T - 1, 2), 1]))["count"]


def test_falls_and_bounces_are_told_apart() -> None:
    t = np.linspace(0, 4, T)
    fall = track(np.full(T, 80.0), np.minimum(10 + 80 * t * t, 70))
    bounce = track(np.full(T, 80.0), 70 - 50 * np.abs(np.cos(3 * t)) * np.exp(-0.2 * t))
    still = track(np.full(T, 80.0), np.full(T, 70.0))
    assert (falls(fall), bounces(fall)) == (True, False)
    assert (falls(bounce), bounces(bounce)) == (False, True)
    assert (falls(still), bounces(still), rebounds(still), travel(still)) == (False, False, [], 0.0)


def test_faults_on_the_way_count_though_the_thing_rests_afterwards() -> None:
    def seen(faulty: range, moves: int) -> bool:
        sights = [
            [
                Sight(
                    frame=t,
                    centre=(50.0, 20.0 + 5 * min(t, moves)),
                    box=(40, 10 + 5 * min(t, moves), 60, 30 + 5 * min(t, moves)),
                    area=300,
                    colour="red",
                    shape="ball",
                    clear=True,
                    fault="ghosted" if t in faulty else None,
                )
            ]
            for t in range(T)
        ]
        return link(sights, (96, 176)).tracks[0].sound

    assert seen(range(0), 6) and seen(range(40, 44), 6)  # a few at rest are noise
    assert not seen(range(4), 6)  # the same number on the way is a ghost


@given(st.integers(0, 200), st.integers(0, 200))
def test_wilson_holds_the_share(right: int, more: int) -> None:
    low, high = wilson(right, right + more)
    assert 0 <= low <= high <= 1
    if right + more:
        assert low - 1e-9 <= right / (right + more) <= high + 1e-9


def test_scores_of_a_perfect_and_a_shuffled_source() -> None:
    items = [Item(graph=ROLL, captions={}, mirror=1), Item(graph=mirrored(ROLL), captions={}, mirror=0)]
    takes = [Take(index=i, language="en", seed=0, parse=p, energy=2.0) for i, p in enumerate((ROLLING, mirror_image(ROLLING)))]
    row = score("right", items, takes, reference=takes)
    assert row.scores["all"].share == row.scores["pair"].share == row.energy == row.takes == 1
    chance = score("chance", items, shuffled(takes, len(items)))
    assert chance.scores["all"].right == chance.scores["pair"].right == 0 and math.isinf(chance.takes)


def test_a_frozen_clip_has_no_energy() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (5, 8, 8, 3), dtype=np.uint8)
    assert motion_energy(np.repeat(frames[:1], 5, axis=0)) == motion_energy(frames[:1]) == 0 < motion_energy(frames)
