"""Laws of reading: what the captions say is read back, and what names nothing is nothing."""

from __future__ import annotations

import random

import pytest

from misora.words.enhance import enhanced
from misora.words.graph import Act, Card, Relation, SceneGraph, Thing
from misora.words.known import unknown_words
from misora.words.read import read
from misora.words.tell import tell

ACTS = [
    Act(verb=verb, actor=0, direction=side if verb in ("roll", "slide", "throw", "topple") else None)
    for verb in ("roll", "slide", "fall", "bounce", "spin", "throw", "topple", "break", "stay")
    for side in ("left", "right")
]


def scene(act: Act) -> SceneGraph:
    return SceneGraph(things=(Thing(colour="red", shape="ball"),), cards=(Card(start=0, end=4, acts=(act,)),), floor="grass")


@pytest.mark.parametrize("language", ["en", "ja"])
def test_captions_are_read_back(language: str) -> None:
    right = asked = 0
    for act in ACTS:
        for seed in range(8):
            graph = scene(act)
            found = read(tell(graph, 0, random.Random(seed), language, detail=1.0).text)  # type: ignore[arg-type]
            right += found is not None and found.things == graph.things and found.cards[0].acts[0] == act
            asked += 1
    assert right > 0.85 * asked, f"{right} of {asked}"


def test_sides_targets_and_scenery_are_read() -> None:
    graph = read("a red ball rolls to the right and hits a blue cube on a wooden floor at night")
    assert graph is not None and graph.floor == "wooden" and graph.light == "night"
    assert [thing.shape for thing in graph.things] == ["ball", "cube"]
    assert any(act.verb in ("roll", "collide") and act.direction == "right" for act in graph.cards[0].acts)
    graph = read("a green cone stands to the left of a yellow cylinder")
    assert graph is not None and graph.relations == (Relation(kind="left_of", a=0, b=1),)
    assert read("a lion sleeps") is None


def test_a_fuller_prompt_keeps_what_was_said_and_its_words_are_known() -> None:
    for prompt in ("a crimson globe hops", "a red ball rolls at night on grass", "赤い球が転がる", "two cubes"):
        fuller = enhanced(prompt, 3)
        assert fuller == enhanced(prompt, 3) and not unknown_words(fuller), fuller
    assert enhanced("a red ball rolls at night on grass") == "a red ball rolls at night on grass, with a still camera"
    assert enhanced("赤い球が夜に転がる").startswith(("木", "草", "石", "タイル", "砂", "カーペット"))
