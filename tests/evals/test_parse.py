"""The parser against renders with known truth, their mirror images, held frames and damage."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from misora.evals.damage import blurred, doubled, ghosted
from misora.evals.judge import judge
from misora.evals.parse import parse
from misora.evals.slices import SLICE_V1
from misora.evals.tracks import Parse
from misora.words.graph import SceneGraph
from misora.world.make import Unstageable, render_graph
from misora.world.scenes import CORE, even, sample_graph

SEED, CLIPS = 5, 10
MIX = dataclasses.replace(
    CORE, counts=(0.5, 0.4, 0.1), verbs=even(SLICE_V1.verbs), shapes=even(SLICE_V1.shapes), lights=even(SLICE_V1.lights)
)


@pytest.fixture(scope="module")
def clips() -> list[tuple[SceneGraph, np.ndarray]]:
    """Scenes of the slice as the simulator shows them."""
    rng = np.random.default_rng(SEED)
    found: list[tuple[SceneGraph, np.ndarray]] = []
    while len(found) < CLIPS:
        graph = sample_graph(rng, MIX)
        if graph in SLICE_V1:
            try:
                found.append((graph, render_graph(graph, len(found)).frames))
            except Unstageable:
                continue
    return found


def sound(seen: Parse) -> bool:
    return all(track.sound for track in seen.tracks)


def test_renders_are_read_right(clips: list[tuple[SceneGraph, np.ndarray]]) -> None:
    wrong = [graph for graph, frames in clips if not all(all(given) for given in judge(graph, parse(frames)).values())]
    assert not wrong


def test_a_mirrored_clip_is_parsed_mirrored(clips: list[tuple[SceneGraph, np.ndarray]]) -> None:
    for _, frames in clips[:3]:
        seen, image = parse(frames[::6]), parse(frames[::6, :, ::-1])
        assert np.array_equal(seen.counts, image.counts)
        width = frames.shape[2]
        names = sorted((t.colour, t.shape, round(float(t.centres[0, 0]))) for t in seen.tracks)
        assert names == sorted((t.colour, t.shape, round(width - 1 - float(t.centres[0, 0]))) for t in image.tracks)


def test_nothing_moves_in_a_held_frame(clips: list[tuple[SceneGraph, np.ndarray]]) -> None:
    for _, frames in clips[:3]:
        assert all(np.ptp(track.centres, axis=0).max() == 0 for track in parse(np.repeat(frames[24:25], 5, axis=0)).tracks)


def test_an_empty_stage_shows_nothing() -> None:
    ramp = np.linspace(220, 120, 96)[None, :, None, None] * np.ones((3, 1, 176, 3))
    assert parse(ramp.astype(np.uint8)).tracks == ()


@pytest.mark.parametrize("damage", [blurred, doubled, ghosted])
def test_damage_is_rejected(clips: list[tuple[SceneGraph, np.ndarray]], damage: object) -> None:
    assert callable(damage)
    moving = [(graph, frames) for graph, frames in clips if any(act.verb in ("roll", "slide", "bounce") for act in graph.cards[0].acts)]
    for graph, frames in moving[:3]:
        seen = parse(damage(frames)[::3])
        assert not sound(seen) and not judge(graph, seen)["count"][0]


def test_each_fault_has_its_cause(clips: list[tuple[SceneGraph, np.ndarray]]) -> None:
    frames = clips[0][1][::12]
    assert sound(parse(frames)) and not sound(parse(doubled(frames))) and not sound(parse(blurred(frames, 3.0)))
