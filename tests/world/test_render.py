"""Laws of the renderer: equal to its slow twin, unchanged by reuse, mirrored by a mirror, the same at every size; no physics here."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from misora.words.graph import COLOURS, FLOORS, LIGHTS, SHAPES, STYLES
from misora.world import palette, texture
from misora.world.render import draw
from misora.world.render_solids import KINDS
from misora.world.shot import Body, Shot
from tests.reference import world_render as slow

HALF = {
    "cone": (0.3, 0.3, 0.35),
    "capsule": (0.2, 0.2, 0.4),
    "block": (0.22, 0.15, 0.42),
    "egg": (0.25, 0.25, 0.34),
    "wall": (0.5, 0.06, 0.4),
}


def shot_of(*shapes: str, seed: int = 0, frames: int = 1, floor: str = "tiled", light: str = "day", style: str = "realistic") -> Shot:
    """Bodies side by side, leaning at random, a little above the floor."""
    rng = np.random.default_rng(seed)
    k = len(shapes)
    turns = rng.normal(size=(1, k, 4)).repeat(frames, 0)
    places = np.stack([np.zeros(1) if k == 1 else np.linspace(-0.9, 0.9, k), rng.uniform(-0.3, 0.3, k), rng.uniform(0.35, 0.6, k)], 1)
    return Shot(
        bodies=tuple(Body(shape=s, half=HALF.get(s, (0.3, 0.3, 0.3)), colour=COLOURS[(i + seed) % 12]) for i, s in enumerate(shapes)),
        floor=floor,
        light=light,
        style=style,
        texture_seed=seed,
        positions=np.float32(places)[None].repeat(frames, 0),
        orientations=np.float32(turns / np.linalg.norm(turns, axis=-1, keepdims=True)),
        present=np.ones((frames, k), bool),
        camera=np.float32([[0, -5.2, 1.7, 0, 0, 0.55, 21]]).repeat(frames, 0),
    )


def moving(seed: int) -> Shot:
    """Three bodies: one stands, one flies past, one vanishes half-way and leaves its place to a fourth."""
    shot = shot_of("cube", "ball", "cylinder", "shard", seed=seed, frames=8)
    positions, present = shot.positions.copy(), shot.present.copy()
    positions[:, 1, 0] = np.linspace(-1.4, 1.5, 8)
    positions[:, 1, 2] += np.linspace(0, 1, 8) * np.linspace(1, 0, 8)
    present[:4, 3], present[4:, 2] = False, False
    return dataclasses.replace(shot, positions=positions, present=present)


@pytest.mark.parametrize(
    "shot",
    [
        shot_of("ball", "cube", "cylinder", seed=1),
        shot_of("cone", "capsule", "pyramid", seed=2, floor="wooden", light="sunset"),
        shot_of("egg", "block", "wall", seed=5, floor="stone", light="night", style="toon"),
        shot_of("ball", "cone", seed=4, floor="grass", style="clay"),
        shot_of("cylinder", "shard", seed=3, floor="sandy", style="monochrome"),
    ],
    ids=lambda shot: shot.style + " " + shot.floor,
)
def test_pictures_equal_those_of_the_slow_twin(shot: Shot) -> None:
    frames, ids = draw(shot, height=24, width=40)
    light, own = slow.draw_frame(shot, 0, 24, 40)
    assert (ids[0] != own).mean() < 0.003
    flat = np.ones_like(own, bool)  # away from edges, where one ray is not the whole story
    for axis in (0, 1):
        for step in (-1, 1):
            flat &= np.abs(light - np.roll(light, step, axis)).max(-1) < 9
    error = np.abs(frames[0] - light).max(-1)[flat]
    assert flat.mean() > 0.25 and np.mean(error > 1.5) < 0.005 and error.mean() < 0.5


@pytest.mark.parametrize("seed", range(4))
def test_reuse_between_frames_changes_nothing(seed: int) -> None:
    shot = moving(seed)
    for reused, afresh in zip(draw(shot, height=50, width=83), draw(shot, height=50, width=83, reuse=False), strict=True):
        assert np.array_equal(reused, afresh)


def test_a_frame_does_not_depend_on_the_frames_around_it() -> None:
    shot = moving(7)
    alone = {name: getattr(shot, name)[5:6] for name in ("positions", "orientations", "present", "camera")}
    assert np.array_equal(draw(shot, height=48, width=64)[0][5], draw(dataclasses.replace(shot, **alone), height=48, width=64)[0][0])


@pytest.mark.parametrize("seed", range(4))
def test_a_mirrored_scene_gives_the_mirrored_picture(seed: int) -> None:
    shot = shot_of("ball", "cube", "cone", seed=seed, floor=FLOORS[seed])
    mirrored = dataclasses.replace(
        shot,
        texture_seed=shot.texture_seed ^ 1,
        positions=shot.positions * np.float32([-1, 1, 1]),
        orientations=shot.orientations * np.float32([1, 1, -1, -1]),
        camera=shot.camera * np.float32([-1, 1, 1, -1, 1, 1, 1]),
    )
    frames, ids = draw(shot, height=40, width=64)
    other, other_ids = draw(mirrored, height=40, width=64)
    assert (ids != other_ids[:, :, ::-1]).mean() < 0.002
    assert np.abs(frames.astype(int) - other[:, :, ::-1]).mean() < 0.1


def test_a_larger_picture_is_the_same_picture() -> None:
    shot = shot_of("ball", "cube", "cylinder", seed=3, floor="carpet")
    small, large = draw(shot, height=48, width=64)[0][0], draw(shot, height=192, width=256)[0][0]
    pooled = large.reshape(48, 4, 64, 4, 3).mean((1, 3))
    assert np.abs(pooled - small).mean() < 0.6


@pytest.mark.parametrize("floor", FLOORS)
def test_floors_are_smooth_at_native_size(floor: str) -> None:
    """Nothing shorter than four native pixels: what a blur over two rows and columns removes is next to nothing."""
    picture = draw(shot_of(floor=floor, seed=11), height=96, width=176)[0][0].astype(float)
    second = picture[1:-1, 1:-1] * 4 - picture[:-2, 1:-1] - picture[2:, 1:-1] - picture[1:-1, :-2] - picture[1:-1, 2:]
    assert np.abs(second).max() < 14 and np.sqrt(np.square(second).mean()) < 3


def test_what_is_absent_leaves_no_trace() -> None:
    shot = shot_of("ball", "cube", seed=2)
    gone = dataclasses.replace(shot, present=np.zeros_like(shot.present))
    empty = dataclasses.replace(shot_of(), texture_seed=2)
    assert np.array_equal(draw(gone, height=32, width=48)[0], draw(empty, height=32, width=48)[0])


def test_every_word_can_be_drawn() -> None:
    assert set(SHAPES) <= set(KINDS) and set(COLOURS) <= set(palette.COLOURS)
    assert set(FLOORS) == set(texture.FLOORS) and set(LIGHTS) == set(palette.LIGHTS) and set(STYLES) == set(palette.STYLES)


@pytest.mark.parametrize("height, width", [(0, 8), (8, 0), (-1, 4)])
def test_impossible_sizes_are_refused(height: int, width: int) -> None:
    with pytest.raises(ValueError, match="cannot draw"):
        draw(shot_of("ball"), height=height, width=width)


def test_one_pixel_is_a_picture() -> None:
    frames, ids = draw(shot_of("cube"), height=1, width=1)
    assert frames.shape == (1, 1, 1, 3) and ids.tolist() == [[[1]]]
