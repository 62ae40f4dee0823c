"""Verdicts: what of a scene graph a parsed clip shows; it knows nothing of pixels, prompts or models."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

from misora.evals.tracks import Parse, Track
from misora.words.graph import Act, SceneGraph

ATOMS = ("count", "colour", "shape", "order", "direction", "still", "action")
STILL_PIXELS = 2.0  # a centre that stays within this is at rest: outlines of decoded pictures jitter by half of it


def match(graph: SceneGraph, parse: Parse) -> list[Track | None]:
    """The sound track that plays each thing: the assignment with most colours right, then most shapes; None where one is missing."""
    sound: list[Track | None] = [*[track for track in parse.tracks if track.sound][:6], *[None] * len(graph.things)]
    casts: Iterable[tuple[Track | None, ...]] = itertools.permutations(sound, len(graph.things))

    def worth(cast: Iterable[Track | None]) -> float:
        pairs = [(track, thing) for track, thing in zip(cast, graph.things, strict=True) if track]
        return sum(3 * (track.colour == thing.colour) + (track.shape == thing.shape) + 0.1 for track, thing in pairs)

    return list(max(casts, key=worth))


def travel(track: Track) -> float:
    """How far to the right the thing went, in its own widths."""
    return float(track.centres[-1, 0] - track.centres[0, 0]) / track.width


def at_rest(track: Track) -> bool:
    """Whether the thing keeps its place for as long as it can be seen whole."""
    seen = track.centres[track.clear] if track.clear.any() else track.centres
    return bool(np.abs(seen - np.median(seen, axis=0)).max() <= STILL_PIXELS)


def falls(track: Track) -> bool:
    """Whether the thing ends well below where it began and does not come far up again."""
    y = track.centres[:, 1]
    drop = y[-1] - y[0]
    return bool(drop > 0.3 * track.width and rebounds(track)[:1] < [0.5 * drop])


def bounces(track: Track) -> bool:
    """Whether the thing comes up again at least twice."""
    return len(rebounds(track)) >= 2


def rebounds(track: Track, least: float = 0.12) -> list[float]:
    """Heights in pixels of the climbs after each low point, in order of time; ``least`` widths and more count."""
    y = track.centres[:, 1]
    low, high, climbs, climbing = y[0], y[0], [], False
    for height in y[1:]:
        if climbing and height > high + least * track.width:
            climbs.append(float(low - high))
            climbing, low = False, height
        elif climbing:
            high = min(high, height)
        elif height < low - least * track.width:
            climbing, high = True, height
        else:
            low = max(low, height)
    return climbs + ([float(low - high)] if climbing else [])


def acted(act: Act, track: Track) -> bool:
    """Whether the track does what the act's verb says."""
    if act.verb == "stay":
        return at_rest(track)
    if act.verb == "fall":
        return falls(track)
    if act.verb == "bounce":
        return bounces(track)
    return abs(travel(track)) > 0.5


def judge(graph: SceneGraph, parse: Parse) -> dict[str, list[bool]]:
    """For each of ATOMS the answers to the questions that the graph asks: one per clip, thing, act or relation; none: not asked.

    A thing that is missing, or shown only by a rejected track, answers every question about it with no.
    """
    cast = match(graph, parse)
    named = [track if track and track.colour == thing.colour else None for track, thing in zip(cast, graph.things, strict=True)]
    acts = graph.cards[0].acts
    moving = {act.actor for act in acts if act.verb != "stay"} | {act.target for act in acts if act.target is not None}
    sides = [(r.a, r.b) if r.kind == "left_of" else (r.b, r.a) for r in graph.relations if r.kind in ("left_of", "right_of")]
    return {
        "count": [bool(np.all(parse.counts == len(graph.things))) and all(track.sound for track in parse.tracks)],
        "colour": [track is not None for track in named],
        "shape": [track is not None and track.shape == thing.shape for track, thing in zip(cast, graph.things, strict=True)],
        "order": [_left_of(named[a], named[b]) for a, b in sides],
        "direction": [_goes(named[act.actor], act.direction) for act in acts if act.direction],
        "still": [track is not None and at_rest(track) for i, track in enumerate(named) if i not in moving],
        "action": [(track := named[act.actor]) is not None and acted(act, track) for act in acts],
    }


def _left_of(a: Track | None, b: Track | None) -> bool:
    """Whether ``a`` stands left of ``b`` when both are first seen."""
    return a is not None and b is not None and bool(a.centres[0, 0] < b.centres[0, 0])


def _goes(track: Track | None, direction: str) -> bool:
    """Whether the track ends at least half its width further in ``direction``."""
    return track is not None and (travel(track) if direction == "right" else -travel(track)) > 0.5
