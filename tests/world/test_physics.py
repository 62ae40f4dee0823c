"""Laws of the world's physics against closed forms; it knows nothing of stories or pixels."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from misora.world.physics import GRAVITY, Burst, Kick, Record, Solid, rest, simulate

BALL = Solid(shape="ball", half=(0.3, 0.3, 0.3), position=(0.0, 0.0, 0.3))
CUBE = Solid(shape="cube", half=(0.3, 0.3, 0.3), position=(0.0, 0.0, 0.3))


def record(*solids: Solid, seconds: float = 1.0, frame_rate: float = 24.0, **more: object) -> Record:
    return simulate(solids, seconds=seconds, frame_rate=frame_rate, **more)  # type: ignore[arg-type]


def test_a_falling_ball_falls_as_the_formula_says() -> None:
    height = record(dataclasses.replace(BALL, position=(0.0, 0.0, 4.0)), seconds=0.75).positions[:, 0, 2]
    times = np.arange(len(height)) / 24.0
    assert np.allclose(height, 4.0 - GRAVITY * times**2 / 2.0, atol=0.015)


def test_a_thrown_ball_keeps_its_speed_along_the_ground() -> None:
    thrown = record(dataclasses.replace(BALL, position=(0.0, 0.0, 2.0), velocity=(1.5, 0.0, 1.0)), seconds=0.5)
    assert np.allclose(thrown.velocities[:, 0, 0], 1.5, atol=1e-4)
    assert thrown.positions[-1, 0, 2] == pytest.approx(2.0 + 0.5 - GRAVITY * 0.125, abs=0.01)


@pytest.mark.parametrize("restitution", [0.5, 0.75, 0.85])
def test_a_ball_rebounds_to_the_square_of_its_restitution(restitution: float) -> None:
    dropped = record(dataclasses.replace(BALL, position=(0.0, 0.0, 1.5), restitution=restitution), frame_rate=96.0)
    air = dropped.positions[:, 0, 2] - 0.3
    first = int(np.argmin(air[:70]))
    assert air[first:].max() / air[0] == pytest.approx(restitution**2, abs=0.07)


def test_friction_stops_a_sliding_cube_after_the_right_distance() -> None:
    slid = record(dataclasses.replace(CUBE, velocity=(2.0, 0.0, 0.0), friction=0.3), seconds=1.5)
    assert slid.positions[-1, 0, 0] == pytest.approx(2.0**2 / (2.0 * 0.3 * GRAVITY), rel=0.03)


def test_rolling_resistance_stops_a_ball_after_the_right_distance() -> None:
    rolled = record(dataclasses.replace(BALL, velocity=(1.0, 0.0, 0.0), spin=(0.0, 1.0 / 0.3, 0.0), rolling=0.03), seconds=2.5)
    deceleration = 0.03 * GRAVITY / (1.4 * 0.3)
    assert rolled.positions[-1, 0, 0] == pytest.approx(1.0 / (2.0 * deceleration), rel=0.05)


def test_a_pendulum_swings_in_its_period() -> None:
    hung = dataclasses.replace(BALL, half=(0.05, 0.05, 0.05), position=(0.1, 0.0, 1.0), hinge=(0.0, 0.0, 2.0))
    x = record(hung, seconds=4.0, frame_rate=96.0).positions[:, 0, 0]
    crossings = np.flatnonzero((x[:-1] > 0.0) & (x[1:] <= 0.0))
    length = math.hypot(0.1, 1.0)
    inertia = length**2 + 0.4 * 0.05**2
    assert (crossings[1] - crossings[0]) / 96.0 == pytest.approx(2.0 * math.pi * math.sqrt(inertia / (GRAVITY * length)), rel=0.02)


@pytest.mark.parametrize("mass", [0.5, 1.0, 3.0])
def test_a_collision_keeps_the_momentum(mass: float) -> None:
    going = dataclasses.replace(BALL, velocity=(2.0, 0.0, 0.0), restitution=0.7, mass=mass)
    struck = dataclasses.replace(BALL, position=(1.0, 0.0, 0.3))
    after = record(going, struck, gravity=0.0)
    momentum = mass * after.velocities[:, 0] + after.velocities[:, 1]  # t 3
    assert np.allclose(momentum, momentum[0], atol=0.01)
    assert after.velocities[-1, 1, 0] - after.velocities[-1, 0, 0] == pytest.approx(0.7 * 2.0, abs=0.12)


def test_nothing_happens_before_the_contact() -> None:
    going = dataclasses.replace(CUBE, velocity=(1.0, 0.0, 0.0), friction=0.0)
    met = record(going, dataclasses.replace(CUBE, position=(1.2, 0.0, 0.3), friction=0.05), seconds=1.5)
    first = int(met.contacts[(met.contacts[:, 1] == 1) & (met.contacts[:, 2] == 0), 0].min())
    assert first / 24.0 == pytest.approx(0.6, abs=0.05)
    assert np.abs(met.positions[:first, 1] - met.positions[0, 1]).max() < 0.002
    assert met.velocities[first, 1, 0] > 0.2


def test_a_kick_waits_for_its_time() -> None:
    kicked = record(BALL, kicks=[Kick(time=0.5, body=0, velocity=(1.0, 0.0, 0.0), spin=(0.0, 1.0 / 0.3, 0.0))])
    assert abs(kicked.positions[12, 0, 0]) < 0.001
    assert kicked.positions[-1, 0, 0] == pytest.approx(0.5, abs=0.02)


def test_a_burst_leaves_only_pieces_behind() -> None:
    whole = dataclasses.replace(CUBE, position=(0.0, 0.0, 1.3))
    pieces = [Solid(shape="shard", half=(0.1, 0.1, 0.1), position=(x, 0.0, 0.0), velocity=(8.0 * x, 0.0, 1.0)) for x in (-0.15, 0.15)]
    burst = record(whole, *pieces, seconds=2.0, bursts=[Burst(body=0, pieces=(1, 2))])
    struck = math.ceil(24.0 * math.sqrt(2.0 / GRAVITY))
    assert burst.present[: struck - 1].tolist() == [[True, False, False]] * (struck - 1)
    assert burst.present[struck + 1 :].tolist() == [[False, True, True]] * (len(burst.present) - struck - 1)
    assert np.allclose(burst.positions[-1, 1:, 2], 0.1, atol=0.01)


@pytest.mark.parametrize("shape", ["ball", "cube", "cylinder", "cone", "pyramid", "block"])
def test_what_stands_stays(shape: str) -> None:
    still = record(dataclasses.replace(CUBE, shape=shape), seconds=2.0)
    assert np.abs(still.positions - still.positions[0]).max() < 0.003


@pytest.mark.parametrize("shape", ["ball", "cube", "cylinder", "cone", "pyramid", "block"])
def test_placing_without_simulating_equals_simulating(shape: str) -> None:
    standing = dataclasses.replace(CUBE, shape=shape, position=(0.4, -0.2, 0.3))
    fast, slow = rest([standing], frames=13), record(standing, seconds=0.5)
    for name in ("positions", "orientations", "masses_at", "velocities"):
        assert np.allclose(getattr(fast, name), getattr(slow, name), atol=0.004 if name != "velocities" else 0.05)


def test_the_same_scene_moves_the_same_way_twice() -> None:
    scene = (dataclasses.replace(BALL, velocity=(2.0, 0.1, 0.0)), dataclasses.replace(CUBE, position=(1.0, 0.0, 0.3)))
    assert np.array_equal(record(*scene).positions, record(*scene).positions)


@pytest.mark.parametrize("rate", [24.0, 48.0])
def test_a_scene_at_twice_the_rate_has_the_same_moments_and_some_between(rate: float) -> None:
    pieces = [Solid(shape="shard", half=(0.1, 0.1, 0.1), position=(x, 0.0, 0.0), velocity=(8.0 * x, 0.0, 1.0)) for x in (-0.15, 0.15)]
    falling, ball = (
        dataclasses.replace(CUBE, position=(2.0, 0.0, 1.3)),
        dataclasses.replace(BALL, velocity=(1.5, 0.0, 0.0), restitution=0.6),
    )
    told: dict[str, Any] = {
        "kicks": [Kick(time=0.57, body=1, velocity=(0.0, 1.0, 2.0), spin=(0.0, 3.0, 0.0))],
        "bursts": [Burst(body=0, pieces=(2, 3))],
        "beat": 12.0,
    }
    slow, fast = (record(falling, ball, *pieces, seconds=2.0, frame_rate=each, **told) for each in (12.0, rate))
    more = round(rate / 12)
    for name in ("positions", "orientations", "masses_at", "velocities", "present"):
        assert np.array_equal(getattr(slow, name), getattr(fast, name)[::more]), name
    late = {(math.ceil(frame / more), a, b) for frame, a, b in fast.contacts.tolist()}
    assert {tuple(row) for row in slow.contacts.tolist()} <= late, "who touches whom is noted in the same moments"
