"""Draws the held-out prompt list of the evaluation slice, once, before any training; run it as ``python runs/make_prompts.py``."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter

import numpy as np

from misora.evals.prompts import HELDOUT_V1, Item, write_items
from misora.evals.slices import SLICE_V1
from misora.words import told as facts
from misora.words.graph import SceneGraph, mirrored, split_key
from misora.words.tell import word
from misora.world.make import Unstageable, make_shot
from misora.world.scenes import CORE, even, sample_graph
from misora.world.takes import Picture

SEED = 20261122
QUOTAS = {(1, False): 16, (2, True): 18, (2, False): 28, (3, True): 5, (3, False): 10}  # (things, left or right told): scenes
MIX = dataclasses.replace(
    CORE,
    counts=(0.5, 0.4, 0.1),
    verbs=even(SLICE_V1.verbs),
    shapes=even(SLICE_V1.shapes),
    lights=even(SLICE_V1.lights),
)
TWINS = {1: 2}  # how many scenes may share cast and acts, by the number of things; few scenes of one thing are held out


def stageable(graph: SceneGraph) -> bool:
    """Whether the simulator can show it, so that every row has a ceiling."""
    try:
        make_shot(graph, 0, Picture(seconds=4.0))
    except Unstageable:
        return False
    return True


def captioned(graph: SceneGraph, seed: int) -> list[Item]:
    """The item of a graph and, where the order is told, that of its mirror image: one choice of facts, worded in each language."""
    whole = facts.everything(graph, 0)
    rng = random.Random(seed)
    while (told := facts.choose(graph, 0, rng, rng.random())).relations != whole.relations:
        pass
    sides = [(graph, told)] + [(mirrored(graph), facts.mirrored(told))] * bool(graph.relations)
    return [
        Item(graph=side, captions={language: word(said, random.Random(seed), language) for language in ("en", "ja")})
        for side, said in sides
    ]


def draw_list() -> list[Item]:
    """All items in a shuffled order, the mirror images linked."""
    rng = np.random.default_rng(SEED)
    left, keys, scenes = dict(QUOTAS), Counter[str](), list[list[Item]]()
    while any(left.values()):
        graph = sample_graph(rng, MIX, held_out=True)
        kind = (len(graph.things), bool(graph.relations))
        fresh = keys[split_key(graph)] < TWINS.get(len(graph.things), 1)
        if left.get(kind) and fresh and graph in SLICE_V1 and stageable(graph):
            left[kind] -= 1
            keys[split_key(graph)] += 1
            scenes.append(captioned(graph, SEED + len(scenes)))
    items = [item for scene in scenes for item in scene]
    partner: dict[int, Item] = {}
    for scene in scenes:
        if len(scene) == 2:
            partner |= {id(scene[0]): scene[1], id(scene[1]): scene[0]}
    order = [items[i] for i in rng.permutation(len(items))]
    place = {id(item): i for i, item in enumerate(order)}
    return [dataclasses.replace(item, mirror=place[id(partner[id(item)])] if id(item) in partner else None) for item in order]


if __name__ == "__main__":
    print(write_items(HELDOUT_V1, draw_list()))
