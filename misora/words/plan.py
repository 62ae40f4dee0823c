"""The order in which a caption brings its facts, free of any language: a list of moves to be phrased one by one; it knows no words."""

from __future__ import annotations

import dataclasses
import random

from misora.words.graph import Act, Relation
from misora.words.told import LATERAL, TARGETED, Told


@dataclasses.dataclass(frozen=True)
class Say:
    """These things do ``act`` (all the same, without a target where they are several), or are merely there."""

    things: tuple[int, ...]
    act: Act | None


@dataclasses.dataclass(frozen=True)
class Place:
    """Where one thing stands by another, told from the first one's side or ``turned``, from the second one's."""

    relation: Relation
    turned: bool


@dataclasses.dataclass(frozen=True)
class Line:
    """All things in a row, named left to right or ``turned``, right to left; ``acting``: each with what it does."""

    things: tuple[int, ...]
    turned: bool
    acting: bool


Move = Say | Place | Line


def plan(told: Told, rng: random.Random) -> list[Move]:
    """Moves that state every fact about the things once and introduce each thing before it is spoken of as known."""
    doubles = bool(told.doubles())
    line: list[Move] = []
    if told.in_line() and (doubles or rng.random() < 0.25 + 0.1 * len(told.things)):
        turned = rng.random() < 0.2
        things = tuple(range(len(told.things)))
        line = [Line(things[::-1] if turned else things, turned, doubles or rng.random() < 0.5)]
    places: list[Move] = [Place(r, rng.random() < 0.5) for r in told.relations if not (line and r.kind == LATERAL)]
    rng.shuffle(places)
    says: list[Move] = [] if line and line[0].acting else list(_says(told, rng))  # type: ignore[union-attr]
    if line:
        moves = line + says + places
    else:
        moves = places + says if rng.random() < 0.5 else says + places
    return _without_repeats(moves)


def _says(told: Told, rng: random.Random) -> list[Say]:
    """One Say per deed, equal deeds together; deeds on other things first when names are shared, so that "another" is clear."""
    groups: dict[object, list[int]] = {}
    together = rng.random() < 0.6
    for i, act in enumerate(told.acts):
        alone = act is not None and act.verb in TARGETED
        twins = (told.things[i], i in told.doubles())
        key = i if alone else (act and (act.verb, act.direction), None if together else twins if twins[1] else i)
        groups.setdefault(key, []).append(i)
    says = [Say(tuple(group), told.acts[group[0]]) for group in groups.values()]
    rng.shuffle(says)
    if told.doubles() or rng.random() < 0.7:
        says.sort(key=lambda say: (say.act is None, not (say.act and say.act.target is not None)))
    return says


def _without_repeats(moves: list[Move]) -> list[Move]:
    """Drop "there is a …" of things that another move brings in anyway."""
    met: set[int] = set()
    for move in moves:
        if isinstance(move, Line):
            met |= set(move.things)
        elif isinstance(move, Place):
            met |= {move.relation.a, move.relation.b}
        elif move.act is not None:
            met |= {*move.things, *([move.act.target] if move.act.target is not None else [])}
    kept: list[Move] = []
    for move in moves:
        if isinstance(move, Say) and move.act is None:
            rest = tuple(i for i in move.things if i not in met)
            kept += [Say(rest, None)] if rest else []
        else:
            kept.append(move)
    return kept
