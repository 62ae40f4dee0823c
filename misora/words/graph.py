"""The scene graph: what a caption can say and a prompt can ask, free of any language; it knows nothing of pixels or physics."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "brown", "white", "grey", "black")
SHAPES = ("ball", "cube", "cylinder", "cone", "capsule", "block", "pyramid", "egg")
SIZES = ("small", "medium", "large")
FLOORS = ("wooden", "grass", "stone", "tiled", "snowy", "sandy", "carpet", "plain")
LIGHTS = ("day", "sunset", "night")
STYLES = ("realistic", "toon", "clay", "monochrome")
CAMERAS = ("still", "pan_left", "pan_right", "zoom_in", "zoom_out", "orbit_left", "orbit_right")
VERBS = ("stay", "roll", "slide", "fall", "bounce", "throw", "collide", "topple", "stack", "spin", "pass_behind", "break")
DIRECTIONS = ("left", "right")
RELATIONS = ("left_of", "right_of", "in_front_of", "behind", "on_top_of")
MIRRORED = {"left": "right", "left_of": "right_of", "pan_left": "pan_right", "orbit_left": "orbit_right"}
MIRRORED |= {b: a for a, b in MIRRORED.items()}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Thing:
    """One object. ``size`` None: not worth telling (medium)."""

    colour: str
    shape: str
    size: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Act:
    """What one object does: ``verb`` of VERBS by ``things[actor]``, toward ``direction``, onto ``things[target]`` (or a wall: None)."""

    verb: str
    actor: int
    direction: str | None = None
    target: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Relation:
    """``things[a]`` stands ``kind`` (of RELATIONS) ``things[b]`` when the clip begins, as the camera sees it."""

    kind: str
    a: int
    b: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """One span of the clip, in seconds, with what happens in it. ``cut``: the camera jumps at its start."""

    start: float
    end: float
    acts: tuple[Act, ...]
    camera: str = "still"
    cut: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class SceneGraph:
    """One cast on one stage, and the cards it plays. A thing that no act names stays where it is."""

    things: tuple[Thing, ...]
    cards: tuple[Card, ...]
    relations: tuple[Relation, ...] = ()
    floor: str = "plain"
    light: str = "day"
    style: str = "realistic"

    def to_json(self) -> str:
        """Canonical JSON text, the same for equal graphs."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> SceneGraph:
        """The graph that ``to_json`` wrote."""
        raw: dict[str, Any] = json.loads(text)
        cards = tuple(Card(**{**card, "acts": tuple(Act(**act) for act in card["acts"])}) for card in raw.pop("cards"))
        things = tuple(Thing(**thing) for thing in raw.pop("things"))
        relations = tuple(Relation(**relation) for relation in raw.pop("relations"))
        return SceneGraph(things=things, cards=cards, relations=relations, **raw)


def mirrored(graph: SceneGraph) -> SceneGraph:
    """The same scene seen in a mirror: left and right change places, nothing else does."""
    cards = tuple(
        dataclasses.replace(
            card,
            camera=MIRRORED.get(card.camera, card.camera),
            acts=tuple(dataclasses.replace(act, direction=MIRRORED.get(act.direction or "", act.direction)) for act in card.acts),
        )
        for card in graph.cards
    )
    relations = tuple(dataclasses.replace(relation, kind=MIRRORED.get(relation.kind, relation.kind)) for relation in graph.relations)
    return dataclasses.replace(graph, cards=cards, relations=relations)


def split_key(graph: SceneGraph) -> str:
    """Hash of cast and acts, in which mirror images, the order of the things and everything that is only scenery fall together."""

    def outline(g: SceneGraph) -> str:
        names = [f"{thing.colour} {thing.shape}" for thing in g.things]
        acts = sorted(
            f"{act.verb}:{names[act.actor]}:{act.direction}:{names[act.target] if act.target is not None else '-'}"
            for card in g.cards
            for act in card.acts
            if act.verb != "stay"
        )
        pairs = sorted(
            f"{names[r.a]}<{names[r.b]}" if r.kind == "left_of" else f"{names[r.b]}<{names[r.a]}"
            for r in g.relations
            if r.kind in ("left_of", "right_of")
        )
        others = sorted(f"{r.kind}:{names[r.a]}:{names[r.b]}" for r in g.relations if r.kind not in ("left_of", "right_of"))
        return "|".join([",".join(sorted(names)), ",".join(acts), ",".join(pairs), ",".join(others)])

    return hashlib.sha256(min(outline(graph), outline(mirrored(graph))).encode()).hexdigest()


def is_held_out(graph: SceneGraph) -> bool:
    """True for the one graph in sixteen that is only ever used to measure; training draws again when it meets one."""
    return int(split_key(graph)[:8], 16) % 16 == 0
