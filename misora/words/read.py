"""A prompt of the world's own grammar read back into a scene graph, by its words and their order; it knows nothing of learned encoders.

What is said of colours, shapes, verbs, directions, sides, floor, light, style and camera is taken; what is not said stays open.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator

from misora.words import english, japanese
from misora.words.graph import Act, Card, Relation, SceneGraph, Thing
from misora.words.known import fold
from misora.words.presets import JAPANESE
from misora.words.told import TARGETED

DIRECTED = ("roll", "slide", "throw", "collide", "topple", "pass_behind")


@dataclasses.dataclass(frozen=True)
class Found:
    """A wording at ``start`` to ``stop`` of the text that means ``value``."""

    start: int
    stop: int
    value: str


def read(prompt: str, seconds: float = 4.0) -> SceneGraph | None:
    """The scene that a prompt describes, or None where it names no thing with a colour and a shape."""
    text, eastern = fold(prompt), bool(JAPANESE.search(prompt))
    language = japanese if eastern else english
    things, places = _things(text, eastern)
    if not things:
        return None
    acts = _acts(text, eastern, things, places)
    scenery = {
        name: (_first(text, {key: [w for group in row for w in group] for key, row in table.items()}, eastern) or default)
        for name, table, default in (
            ("floor", language.FLOORS, "plain"), ("light", language.LIGHTS, "day"), ("style", language.STYLES, "realistic"),
        )
    }  # fmt: skip
    camera = _first(text, _camera_words(eastern), eastern) or "still"
    return SceneGraph(
        things=tuple(things),
        cards=(Card(start=0.0, end=seconds, acts=acts, camera=camera),),
        relations=_relations(text, eastern, places),
        **scenery,
    )


def _things(text: str, eastern: bool) -> tuple[list[Thing], list[tuple[int, int, int]]]:
    """The things in the order in which they are first named, and every mention as (start, stop, number)."""
    language = japanese if eastern else english
    colours, shapes, sizes = (_meanings(table) for table in (language.COLOURS, language.SHAPES, language.SIZES))
    gap, end = ("", "") if eastern else (r"\s+(?:\w+ing\s+)?", r"(?:e?s)?\b")
    pattern = rf"(?:({_either(sizes)}){gap})?({_either(colours)}){gap}({_either(shapes)}){end}"
    things: list[Thing] = []
    places = []
    for match in re.finditer(pattern, text):
        thing = Thing(colour=colours[match[2]], shape=shapes[match[3]], size=sizes[match[1]] if match[1] else None)
        alike = [i for i, one in enumerate(things) if (one.colour, one.shape) == (thing.colour, thing.shape)]
        again = bool(re.search(r"another\s*$|もう(一|ひと)つの$", text[: match.start()]))
        if not alike or again:
            alike = [len(things)]
            things.append(thing)
        places.append((match.start(), match.end(), alike[-1]))
    return things, places


def _either(words: Iterable[str]) -> str:
    """A pattern for any of the words, longer ones first."""
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


def _acts(text: str, eastern: bool, things: list[Thing], places: list[tuple[int, int, int]]) -> tuple[Act, ...]:
    """What each thing is said to do; a verb belongs to the thing named last before it."""
    verbs = list(_found(text, _verb_words(eastern), eastern))
    acts: dict[int, Act] = {}
    for place, verb in enumerate(verbs):
        before = [number for start, _, number in places if start < verb.start]
        after = [number for start, _, number in places if start >= verb.start]
        if not before and not after:
            continue
        near = text[
            (verbs[place - 1].stop if place else 0) if eastern else verb.start : verbs[place + 1].start if place + 1 < len(verbs) else None
        ]
        side = re.search("左|右", near) if eastern else re.search("left|right", re.sub(r"from (the )?(left|right) to", "", near))
        direction = {"左": "left", "右": "right"}.get(side[0], side[0]) if side and verb.value in DIRECTED else None
        if eastern:
            direction = _toward(near) or direction if verb.value in DIRECTED else None
        target = None
        if verb.value in TARGETED:
            target = before[-1] if eastern and len(set(before)) > 1 else (after[0] if after and not eastern else None)
        actor = before[-2] if eastern and target is not None else (before or after)[-1 if before else 0]
        if target != actor:
            needed = "right" if verb.value in DIRECTED and direction is None else direction
            acts.setdefault(actor, Act(verb=verb.value, actor=actor, direction=needed, target=target))
    if not any(act.verb != "stay" for act in acts.values()):
        return tuple(Act(verb="stay", actor=i) for i in range(len(things)))
    return tuple(act for act in acts.values() if act.verb != "stay")


def _toward(text: str) -> str | None:
    """Where to, in Japanese: the side before へ or に, else the other than the one before から."""
    to = re.search("(左|右)(へ|に|の方|のほう|方向)", text)
    return {"左": "left", "右": "right"}[to[1]] if to else None


def _relations(text: str, eastern: bool, places: list[tuple[int, int, int]]) -> tuple[Relation, ...]:
    """Sides told between two things named one after the other."""
    found = []
    turned = {"left_of": "right_of", "in_front_of": "behind"}
    for (_, stop, a), (start, _, b) in zip(places, places[1:], strict=False):
        between = text[stop:start]
        for kind, (straight, other) in (japanese.PLACES if eastern else english.SIDES).items():
            for words, name in ((straight, kind), (other, turned.get(kind))):
                if name and a != b and any(word in between for word in words if word not in ("on", "behind")):
                    found.append(Relation(kind=name, a=b, b=a) if eastern else Relation(kind=name, a=a, b=b))
    return tuple(dict.fromkeys(found))


def _verb_words(eastern: bool) -> dict[str, list[str]]:
    if eastern:
        return {verb: [form for _, forms in rows for form in forms] for verb, rows in japanese.VERBS.items()}
    words = {}
    for verb, phrases in english.VERBS.items():
        stems = {phrase.split("{")[0].strip(" ,") for phrase in phrases if not phrase.startswith(("move*", "go*"))}
        words[verb] = [english.conjugate(stem, form) for stem in stems for form in (0, 1, 2)]
        words[verb] += [english.MOTION_ADJECTIVES[verb]] if verb in english.MOTION_ADJECTIVES else []
    return words


def _camera_words(eastern: bool) -> dict[str, list[str]]:
    if eastern:
        return {name: [before + form for before, forms in rows for form in forms] for name, rows in japanese.CAMERAS.items()}
    return {name: [w for group in row for w in group] for name, row in english.CAMERAS.items()}


def _found(text: str, meanings: dict[str, list[str]], eastern: bool) -> Iterator[Found]:
    """All wordings in order, the longest where several begin together, none within another."""
    edge = "" if eastern else r"\b"
    every = [(word, value) for value, words in meanings.items() for word in words if word]
    spans = [Found(m.start(), m.end(), value) for word, value in every for m in re.finditer(edge + re.escape(word) + edge, text)]
    stop = 0
    for found in sorted(spans, key=lambda one: (one.start, -one.stop)):
        if found.start >= stop:
            stop = found.stop
            yield found


def _first(text: str, meanings: dict[str, list[str]], eastern: bool) -> str | None:
    return next((found.value for found in _found(text, meanings, eastern)), None)


def _meanings(table: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Each wording's meaning."""
    pairs: Iterable[tuple[str, str]] = ((word, value) for value, words in table.items() for word in words)
    return dict(pairs)
