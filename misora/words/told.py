"""What a caption says of a scene, free of any language: a choice of the graph's facts in an order of their own; it knows no words."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter

from misora.words.graph import (
    CAMERAS,
    COLOURS,
    DIRECTIONS,
    FLOORS,
    LIGHTS,
    MIRRORED,
    RELATIONS,
    SHAPES,
    SIZES,
    STYLES,
    VERBS,
    Act,
    Relation,
    SceneGraph,
    Thing,
)

TARGETED = ("collide", "stack", "pass_behind")  # verbs that act on another thing, or on a wall where the target is None
LATERAL = "left_of"
TURNED = {"right_of": "left_of", "behind": "in_front_of"}  # the same fact from the other side; only the right-hand kinds are kept


@dataclasses.dataclass(frozen=True, kw_only=True)
class Told:
    """The facts that a text states; None or absent means that it leaves them open.

    ``things`` stand left to right as far as that is told, else by colour and shape, so that equal contents give equal values.
    ``acts[i]`` is what things[i] is said to do. ``relations`` holds left_of, in_front_of and on_top_of only.
    """

    things: tuple[Thing, ...]
    acts: tuple[Act | None, ...]
    relations: tuple[Relation, ...] = ()
    floor: str | None = None
    light: str | None = None
    style: str | None = None
    camera: str | None = None

    def doubles(self) -> set[int]:
        """The things that share colour and shape with another one, so that no name picks them out."""
        names = Counter((thing.colour, thing.shape) for thing in self.things)
        return {i for i, thing in enumerate(self.things) if names[thing.colour, thing.shape] > 1}

    def in_line(self) -> bool:
        """Whether the whole order from left to right is told."""
        pairs = {(r.a, r.b) for r in self.relations if r.kind == LATERAL}
        return len(self.things) > 1 and all((i, i + 1) in pairs for i in range(len(self.things) - 1))


def everything(graph: SceneGraph, card: int) -> Told:
    """All that could be said of one card of the graph."""
    acts: list[Act | None] = [None] * len(graph.things)
    for act in graph.cards[card].acts:
        acts[act.actor] = acts[act.actor] if acts[act.actor] else act
    hit = {act.target for act in graph.cards[card].acts if act.verb == "collide"}
    for i in range(len(acts)):
        known = acts[i]
        if known is None or known.verb == "stay":
            acts[i] = None if i in hit else Act(verb="stay", actor=i)
    scenery = {"floor": graph.floor, "light": graph.light, "style": graph.style, "camera": graph.cards[card].camera}
    return in_order(Told(things=graph.things, acts=tuple(acts), relations=tuple(map(_turned, graph.relations)), **scenery))


def choose(graph: SceneGraph, card: int, rng: random.Random, detail: float) -> Told:
    """A random part of ``everything``; the more ``detail`` (0..1), the more. Colours, shapes, deeds and odd scenery always stay."""

    def keep(chance_terse: float, chance_full: float) -> bool:
        return rng.random() < chance_terse + (chance_full - chance_terse) * detail

    told = everything(graph, card)
    doubles = told.doubles()
    aims = {act.target for act in told.acts if act is not None and act.target is not None}
    resting = keep(0.15, 0.8)  # one decision for all resting things, and then one for each
    acts = [
        None if act is None or (act.verb == "stay" and (i in aims & doubles or not (resting and keep(0.7, 1.0)))) else act
        for i, act in enumerate(told.acts)
    ]
    things = [dataclasses.replace(thing, size=_told_size(thing, keep(0.6, 0.95), keep(0.0, 0.2))) for thing in told.things]
    sideways = keep(0.35, 0.9) and not aims & doubles and (not doubles or told.in_line())
    relations = [
        r
        for r in told.relations
        if (sideways if r.kind == LATERAL else not doubles and keep(*((0.9, 1.0) if r.kind == "on_top_of" else (0.4, 0.95))))
    ]
    return in_order(
        Told(
            things=tuple(things),
            acts=tuple(acts),
            relations=tuple(relations),
            floor=told.floor if (keep(0.1, 0.4) if told.floor == "plain" else keep(0.25, 1.0)) else None,
            light=told.light if told.light != "day" or keep(0.0, 0.25) else None,
            style=told.style if told.style != "realistic" or keep(0.0, 0.12) else None,
            camera=told.camera if told.camera != "still" or keep(0.0, 0.2) else None,
        )
    )


def in_order(told: Told) -> Told:
    """The same facts with the things in the canonical order, and "left of" told of neighbours only where that implies the rest."""
    order = _order(told)
    place = {old: new for new, old in enumerate(order)}
    acts = [told.acts[old] for old in order]
    moved = [
        act and dataclasses.replace(act, actor=i, target=None if act.target is None else place[act.target]) for i, act in enumerate(acts)
    ]
    relations = {Relation(kind=r.kind, a=place[r.a], b=place[r.b]) for r in told.relations}
    return dataclasses.replace(
        told,
        things=tuple(told.things[old] for old in order),
        acts=tuple(moved),
        relations=tuple(sorted((r for r in relations if not _implied(r, relations)), key=lambda r: (r.kind, r.a, r.b))),
    )


def mirrored(told: Told) -> Told:
    """The facts of the mirror image."""

    def flip(word: str | None) -> str | None:
        return MIRRORED.get(word, word) if word else word

    acts = tuple(act and dataclasses.replace(act, direction=flip(act.direction)) for act in told.acts)
    relations = tuple(Relation(kind=r.kind, a=r.b, b=r.a) if r.kind == LATERAL else r for r in told.relations)
    return in_order(dataclasses.replace(told, acts=acts, relations=relations, camera=flip(told.camera)))


def number(word: str | None, names: tuple[str, ...]) -> int:
    """The class index of a word: 0 when nothing is told, else its place in ``names`` plus one."""
    return 0 if word is None else names.index(word) + 1


def scenery_numbers(told: Told) -> list[int]:
    """Class indices of floor, light, style and camera."""
    return [number(told.floor, FLOORS), number(told.light, LIGHTS), number(told.style, STYLES), number(told.camera, CAMERAS)]


def thing_numbers(thing: Thing, act: Act | None) -> list[int]:
    """Class indices of colour, shape, size, verb and direction."""
    look = [number(thing.colour, COLOURS), number(thing.shape, SHAPES), number(thing.size, SIZES)]
    return look + ([number(act.verb, VERBS), number(act.direction, DIRECTIONS)] if act else [0, 0])


def _told_size(thing: Thing, odd: bool, medium: bool) -> str | None:
    return thing.size if (medium if thing.size == "medium" else odd) else None


def _turned(relation: Relation) -> Relation:
    if relation.kind not in TURNED:
        return relation
    return Relation(kind=TURNED[relation.kind], a=relation.b, b=relation.a)


def _order(told: Told) -> list[int]:
    """Left before right where told; among the free ones the smallest description first, with its company where that ties."""
    alone = [thing_numbers(thing, act) for thing, act in zip(told.things, told.acts, strict=True)]
    company: list[list[list[int]]] = [[] for _ in told.things]
    for i, act in enumerate(told.acts):
        if act is not None and act.target is not None:
            company[i].append([0, *alone[act.target]])
            company[act.target].append([1, *alone[i]])
    for r in told.relations:
        company[r.a].append([2, RELATIONS.index(r.kind), *alone[r.b]])
        company[r.b].append([3, RELATIONS.index(r.kind), *alone[r.a]])
    left = {(r.a, r.b) for r in told.relations if r.kind == LATERAL}
    rest, order = set(range(len(told.things))), []
    while rest:
        free = [i for i in rest if not any((j, i) in left for j in rest)] or sorted(rest)
        order.append(min(free, key=lambda i: (alone[i], sorted(company[i]))))
        rest.remove(order[-1])
    return order


def _implied(relation: Relation, relations: set[Relation]) -> bool:
    """Whether "a left of b" follows from a left of c and c left of b."""
    if relation.kind != LATERAL:
        return False
    pairs = {(r.a, r.b) for r in relations if r.kind == LATERAL}
    between = {b for a, b in pairs if a == relation.a} & {a for a, b in pairs if b == relation.b}
    return bool(between)
