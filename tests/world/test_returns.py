"""A clip that returns ends where it began, without a jump, and what it tells is true before it turns back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from misora.world.returns import make_return, turned_back, way_back
from misora.world.scenes import CORE

ROLL = dataclasses.replace(CORE, counts=(1.0,), verbs=(("roll", 1.0),), cameras=(("still", 1.0),))


@pytest.mark.parametrize("back", [1, 6, 18])
def test_a_way_back_is_continuous_in_place_and_speed(back: int) -> None:
    times = np.arange(40.0)
    path = np.stack((times**2 / 80, np.sin(times / 7), np.full(40, 3.0)), -1)
    whole = way_back(path, back)
    assert whole.shape == path.shape and np.array_equal(whole[: 40 - back], path[: 40 - back])
    assert np.allclose(whole[:, 2], 3.0)  # what rests stays
    if back == 18:
        ring = np.concatenate((whole, whole[:2]))
        speed = np.diff(ring, axis=0)
        assert np.abs(np.diff(speed, axis=0)).max() < 0.25 < np.abs(path[-1] - path[0]).max()


def test_what_turned_turns_back_by_the_shorter_way() -> None:
    angle = np.linspace(0, np.pi / 2, 30)
    turns = np.stack((np.cos(angle / 2), 0 * angle, 0 * angle, np.sin(angle / 2)), -1)[:, None]  # t 1 4
    turns[5:15] *= -1  # the same orientations
    whole = turned_back(turns, 10)
    assert np.allclose(np.linalg.norm(whole, axis=-1), 1)
    ring = np.concatenate((whole, whole[:1]))[:, 0]
    alike = np.abs((ring[1:] * ring[:-1]).sum(-1))  # the cosine of half of each turn
    assert alike.min() > np.cos(np.radians(12))


def test_a_clip_that_returns_shows_its_beginning_twice_and_tells_the_truth() -> None:
    clip = make_return(3, ROLL, seconds=45 / 12, again=9)
    assert clip.truth is not None and len(clip.frames) == len(clip.truth.masks) == len(clip.truth.positions) == 46
    assert np.array_equal(clip.frames[37:], clip.frames[:9]) and np.array_equal(clip.truth.masks[37:], clip.truth.masks[:9])
    steps = np.abs(np.diff(clip.frames.astype(np.int16), axis=0)).mean((1, 2, 3))
    assert steps[36] < 2 * np.median(steps)  # from the way back to the beginning: no cut
    act = clip.truth.graph.cards[0].acts[0]
    moved = clip.truth.positions[12, act.actor, 0] - clip.truth.positions[0, act.actor, 0]
    assert moved > 0 if act.direction == "right" else moved < 0
    again = make_return(3, ROLL, seconds=45 / 12, again=9)
    assert np.array_equal(again.frames, clip.frames) and again.truth is not None and again.truth.graph == clip.truth.graph
