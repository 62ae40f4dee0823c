"""Captions: a scene graph in, a sentence and the facts that it states out; it knows no grammar of its own."""

from __future__ import annotations

import dataclasses
import random
from typing import Literal

from misora.words import english, japanese
from misora.words.graph import SceneGraph
from misora.words.told import Told, choose

Language = Literal["en", "ja"]
PHRASE = {"en": english.phrase, "ja": japanese.phrase}
AGAIN = {"en": english.again, "ja": japanese.again}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Telling:
    """A caption and exactly what it says."""

    text: str
    told: Told


def tell(graph: SceneGraph, card: int, rng: random.Random, language: Language, detail: float | None = None) -> Telling:
    """A fresh caption of one card of the graph: always true, never complete by force.

    ``detail`` from 0 (fragments, the bare deeds) to 1 (whole sentences, nearly every fact); None draws it.
    """
    detail = rng.random() if detail is None else detail
    told = choose(graph, card, rng, detail)
    return Telling(text=word(told, rng, language, terse=rng.random() < 0.5 * (1 - detail)), told=told)


def word(told: Told, rng: random.Random, language: Language, *, terse: bool = False) -> str:
    """A fresh wording of exactly these facts."""
    return PHRASE[language](told, rng, terse)


def tell_again(graph: SceneGraph, card: int, rng: random.Random, language: Language) -> str:
    """A caption for a later shot of a cast that was shown before: true, but it leaves the colours to be looked up there."""
    told = choose(graph, card, rng, rng.random())
    acts = [act for act in told.acts if act is not None and act.verb != "stay"]
    shapes = [thing.shape for thing in told.things]
    plain = len(acts) == 1 and acts[0].target is None and shapes.count(shapes[acts[0].actor]) == 1
    return AGAIN[language](told, acts[0] if plain else None, rng)
