"""Laws of the drawn scenes: legal words, the split, verbs that suit their shapes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from misora.words import graph as words
from misora.world.scenes import CORE, FLAT_TOPPED, FULL, LIVELY, STILL, STORY, SUITED, Mix, sample_graph

MIXES = {"core": CORE, "full": FULL, "still": STILL, "story": STORY, "lively": LIVELY}


def graphs(mix: Mix, number: int = 150, seconds: float = 4.0, held_out: bool = False) -> list[words.SceneGraph]:
    rng = np.random.default_rng(7)
    return [sample_graph(rng, mix, seconds=seconds, held_out=held_out) for _ in range(number)]


@pytest.mark.parametrize("name", MIXES)
@pytest.mark.parametrize("held_out", [False, True])
def test_scenes_stay_on_their_side_of_the_split(name: str, held_out: bool) -> None:
    assert {words.is_held_out(graph) for graph in graphs(MIXES[name], 20, held_out=held_out)} == {held_out}


@pytest.mark.parametrize("name", MIXES)
def test_scenes_use_the_vocabulary_and_suit_their_shapes(name: str) -> None:
    for graph in graphs(MIXES[name]):
        assert graph.floor in words.FLOORS and graph.light in words.LIGHTS and graph.style in words.STYLES
        assert len({thing.colour for thing in graph.things}) == len(graph.things)
        for act in (act for card in graph.cards for act in card.acts):
            assert act.verb in words.VERBS and act.actor != act.target
            assert graph.things[act.actor].shape in SUITED.get(act.verb, words.SHAPES)
            assert act.verb != "stack" or graph.things[act.target or 0].shape in FLAT_TOPPED


@pytest.mark.parametrize("seconds", [4.0, 17.5])
def test_cards_follow_each_other_without_gaps(seconds: float) -> None:
    for graph in graphs(FULL, 60, seconds):
        assert graph.cards[0].start == 0.0 and graph.cards[-1].end == seconds
        assert all(a.end == b.start and b.end > b.start for a, b in zip(graph.cards[:-1], graph.cards[1:], strict=True))


def test_the_full_mix_teaches_cards_and_every_verb() -> None:
    drawn = graphs(FULL, 400)
    assert sum(len(graph.cards) > 1 for graph in drawn) >= 0.2 * len(drawn)
    assert {act.verb for graph in drawn for card in graph.cards for act in card.acts} == set(words.VERBS)
    assert {relation.kind for graph in drawn for relation in graph.relations} == set(words.RELATIONS)
    assert {len(graph.things) for graph in drawn} == {1, 2, 3, 4, 5}


def test_a_story_is_one_take_of_several_events() -> None:
    drawn = graphs(STORY, 300)
    assert all(len(graph.cards) in (2, 3) and not any(card.cut for card in graph.cards) for graph in drawn)
    verbs = {tuple(act.verb for act in card.acts) for graph in drawn for card in graph.cards}
    assert {("bounce",), ("roll",), ("slide",), ("topple",)} <= verbs


def test_the_lively_mix_is_mostly_in_motion() -> None:
    drawn = graphs(LIVELY, 400)
    assert all(len(graph.cards) == 1 and graph.cards[0].acts[0].verb != "stay" for graph in drawn)
    assert sum(len(graph.things) > 1 for graph in drawn) >= 0.6 * len(drawn)
    assert sum(graph.cards[0].acts[0].verb in ("bounce", "fall") for graph in drawn) >= 0.4 * len(drawn)


def test_both_sides_are_drawn_alike() -> None:
    rolls = [act.direction for graph in graphs(CORE, 800) for card in graph.cards for act in card.acts if act.verb == "roll"]
    assert abs(rolls.count("left") / len(rolls) - 0.5) < 0.12


def test_the_same_state_draws_the_same_scene() -> None:
    only_rolls = dataclasses.replace(CORE, verbs=(("roll", 1.0),))
    assert graphs(only_rolls, 5) == graphs(only_rolls, 5)


def test_a_mix_may_cut_where_it_is_told() -> None:
    mix = dataclasses.replace(CORE, cuts=(1.75,))
    for seed in range(20):
        graph = sample_graph(np.random.default_rng(seed), mix, seconds=3.75)
        assert [(card.start, card.end, card.cut) for card in graph.cards] == [(0.0, 1.75, False), (1.75, 3.75, True)]
