"""Laws of captions: true, in canonical order, the same content in both languages, only known words."""

from __future__ import annotations

import itertools
import random
import re

import pytest

from misora.words import graph as g
from misora.words.known import fold, lexicon, unknown_words
from misora.words.labels import CLASSES, labels
from misora.words.read import read
from misora.words.tell import Telling, tell, tell_again, word
from misora.words.told import Told, everything, mirrored

SEEDS = range(150)
SPECIALLY_MOVED = {"collide", "stack", "pass_behind"}


def draw_graph(rng: random.Random) -> g.SceneGraph:
    """Any graph at all, far wilder than the world's."""
    n = rng.choice((1, 1, 2, 2, 3, 4, 5))
    sizes = (None, "small", "medium", "large")
    things = [g.Thing(colour=rng.choice(g.COLOURS), shape=rng.choice(g.SHAPES), size=rng.choice(sizes)) for _ in range(n)]
    things = [things[0], things[0], *things[2:]] if n > 1 and rng.random() < 0.2 else things
    acts = []
    for i in range(n):
        verb = rng.choice(("stay", "stay", *g.VERBS))
        others = [k for k in range(n) if k != i]
        if verb in ("collide", "stack") and not others:
            verb = "roll"
        target = rng.choice(others) if others and verb in SPECIALLY_MOVED else None
        acts.append(g.Act(verb=verb, actor=i, direction=None if verb == "stay" else rng.choice((None, *g.DIRECTIONS)), target=target))
    row = rng.sample(range(n), n)
    relations = [g.Relation(kind=rng.choice(g.RELATIONS[:2] * 3 + g.RELATIONS[2:]), a=a, b=b) for a, b in itertools.pairwise(row)]
    relations = [r for r in relations if r.kind != "right_of"] or [g.Relation(kind="right_of", a=r.b, b=r.a) for r in relations]
    return g.SceneGraph(
        things=tuple(things),
        cards=(g.Card(start=0, end=4, acts=tuple(acts), camera=rng.choice(("still", *g.CAMERAS))),),
        relations=tuple(relations),
        floor=rng.choice(g.FLOORS),
        light=rng.choice(("day", *g.LIGHTS)),
        style=rng.choice(("realistic", *g.STYLES)),
    )


def tellings(language: str) -> list[tuple[g.SceneGraph, Telling]]:
    out = []
    for seed in SEEDS:
        rng = random.Random(seed)
        graph = draw_graph(rng)
        out.append((graph, tell(graph, 0, rng, language)))  # type: ignore[arg-type]
    return out


def outline(told: Told) -> list[list[int]]:
    """Each thing's own labels, in no order."""
    row = labels(told)
    return sorted(row[i : i + 5] for i in range(0, 45, 9))


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_caption_is_short_and_says_something(language: str) -> None:
    for _, telling in tellings(language):
        assert 0 < len(telling.text) <= 600
        assert not re.search(r"[*{]|  |None| [,.;]|[,;]\.|\.\.", telling.text), telling.text


@pytest.mark.parametrize("language", ["en", "ja"])
def test_what_is_told_is_in_the_graph(language: str) -> None:
    for graph, telling in tellings(language):
        told, full = telling.told, everything(graph, 0)
        assert sorted((t.colour, t.shape) for t in told.things) == sorted((t.colour, t.shape) for t in graph.things)
        for kind in ("floor", "light", "style", "camera"):
            assert getattr(told, kind) in (None, getattr(full, kind))
        looks = {(t.colour, t.shape, t.size) for t in graph.things}
        assert all(t.size is None or (t.colour, t.shape, t.size) in looks for t in told.things)
        name = [(t.colour, t.shape) for t in told.things]
        deeds = {(act.verb, (graph.things[act.actor].colour, graph.things[act.actor].shape), act.direction) for act in graph.cards[0].acts}
        assert all((act.verb, name[act.actor], act.direction) in deeds for act in told.acts if act)


def test_deeds_and_odd_scenery_are_never_left_out() -> None:
    for graph, telling in tellings("en"):
        deeds = sorted(str((act.verb, act.direction)) for act in graph.cards[0].acts if act.verb != "stay")
        assert deeds == sorted(str((act.verb, act.direction)) for act in telling.told.acts if act and act.verb != "stay")
        assert graph.light == "day" or telling.told.light == graph.light
        assert graph.style == "realistic" or telling.told.style == graph.style
        assert graph.cards[0].camera == "still" or telling.told.camera == graph.cards[0].camera


def test_the_order_of_the_things_in_the_graph_does_not_matter() -> None:
    for seed in SEEDS:
        rng = random.Random(seed)
        graph = draw_graph(rng)
        order = rng.sample(range(len(graph.things)), len(graph.things))
        place = {old: new for new, old in enumerate(order)}
        acts = [
            g.Act(verb=a.verb, actor=place[a.actor], direction=a.direction, target=None if a.target is None else place[a.target])
            for a in graph.cards[0].acts
        ]
        shuffled = g.SceneGraph(
            things=tuple(graph.things[i] for i in order),
            cards=(g.Card(start=0, end=4, acts=tuple(acts), camera=graph.cards[0].camera),),
            relations=tuple(g.Relation(kind=r.kind, a=place[r.a], b=place[r.b]) for r in reversed(graph.relations)),
            floor=graph.floor,
            light=graph.light,
            style=graph.style,
        )
        assert labels(everything(graph, 0)) == labels(everything(shuffled, 0))


def test_a_mirrored_graph_has_mirrored_labels() -> None:
    turn = {0: 0, 1: 2, 2: 1}
    for seed in SEEDS:
        graph = draw_graph(random.Random(seed))
        told, reflected = everything(graph, 0), everything(g.mirrored(graph), 0)
        assert reflected == mirrored(told)
        assert mirrored(reflected) == told
        assert outline(reflected) == sorted([*thing[:4], turn[thing[4]]] for thing in outline(told))
        if told.in_line():
            assert [t.colour for t in reflected.things] == [t.colour for t in told.things][::-1]


def test_labels_fit_their_classes() -> None:
    for _, telling in tellings("ja"):
        row = labels(telling.told)
        assert len(row) == len(CLASSES)
        assert all(0 <= index < size for index, size in zip(row, CLASSES, strict=True))


def test_left_of_and_right_of_are_one_fact() -> None:
    things = (g.Thing(colour="red", shape="ball"), g.Thing(colour="blue", shape="cube"))
    card = g.Card(start=0, end=4, acts=())
    one = g.SceneGraph(things=things, cards=(card,), relations=(g.Relation(kind="left_of", a=0, b=1),))
    other = g.SceneGraph(things=things, cards=(card,), relations=(g.Relation(kind="right_of", a=1, b=0),))
    assert everything(one, 0) == everything(other, 0)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_captions_use_known_words_only(language: str) -> None:
    for _, telling in tellings(language):
        assert unknown_words(telling.text) == [], telling.text


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_same_dice_give_the_same_words(language: str) -> None:
    assert [t.text for _, t in tellings(language)] == [t.text for _, t in tellings(language)]


@pytest.mark.parametrize("language", ["en", "ja"])
def test_one_content_has_many_wordings(language: str) -> None:
    told = tell(draw_graph(random.Random(4)), 0, random.Random(0), "en", detail=1.0).told
    assert len({word(told, random.Random(k), language) for k in range(30)}) > 20  # type: ignore[arg-type]


def test_details_grow() -> None:
    def facts(detail: float) -> int:
        return sum(sum(map(bool, labels(tell(draw_graph(random.Random(k)), 0, random.Random(k), "en", detail).told))) for k in SEEDS)

    assert facts(0.0) < facts(0.5) < facts(1.0)


def test_every_word_of_the_lexicon_is_known() -> None:
    assert list(lexicon()) == sorted(set(lexicon()))
    assert [piece for piece in lexicon() if unknown_words(piece)] == []
    assert all(piece == fold(piece) for piece in lexicon())


def test_unknown_words_are_named_with_their_neighbours() -> None:
    assert unknown_words("A lion and a RED bal, 3 times.")[0] == ("lion", ("egg", "capsule"))
    assert "ball" in dict(unknown_words("a red bal"))["bal"]
    assert "ライオン" in dict(unknown_words("ライオンが赤いボールを見る"))
    assert unknown_words("Ｔｗｏ red balls (on a wooden floor)!") == []
    assert unknown_words("") == unknown_words("123 ... 。") == []


@pytest.mark.parametrize("language", ["en", "ja"])
def test_what_is_told_again_names_no_colour_and_only_known_words(language: str) -> None:
    for seed in SEEDS:
        graph = draw_graph(random.Random(seed))
        text = tell_again(graph, 0, random.Random(seed), language)  # type: ignore[arg-type]
        assert not unknown_words(text), text
        assert read(text) is None, text
