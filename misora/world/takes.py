"""A scene graph staged, simulated and filmed, take by take, without pixels; it knows nothing of chances, of claims or of drawing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from misora.data.clip import Truth
from misora.words.graph import Card, Relation, SceneGraph
from misora.world import events, physics, stage
from misora.world.mesh import Mesh
from misora.world.shot import Body, Shot

NO_MESHES: Mapping[int, Mesh] = {}
BEAT = 12.0  # frames per second at which training films: a scene moves as it does there also at 24 and 48


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """What is filmed: ``seconds`` at ``frame_rate`` frames per second (one frame more than their product) of ``size`` (h, w) pixels."""

    seconds: float = 4.0
    frame_rate: float = 12.0
    size: tuple[int, int] = (96, 176)

    @property
    def frames(self) -> int:
        return round(self.seconds * self.frame_rate) + 1

    @property
    def aspect(self) -> float:
        return self.size[1] / self.size[0]

    def frame_at(self, time: float) -> int:
        """The first frame that is not before ``time`` seconds."""
        return int(np.ceil(time * self.frame_rate - 1e-6))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Take:
    """The frames between two cuts, simulated."""

    record: physics.Record
    solids: tuple[physics.Solid, ...]
    pieces_of: dict[int, int]  # from a piece to the thing it was part of
    camera: stage.Floats  # t 7


def stage_graph(
    graph: SceneGraph, rng: np.random.Generator, picture: Picture, meshes: Mapping[int, Mesh] = NO_MESHES
) -> tuple[Shot, Truth]:
    """One try at the graph; ``visible`` and ``masks`` of the truth are left empty. Raises ``stage.Unplaceable``.

    ``meshes``: what some of the things look like, by their numbers, about as large as the shape that the graph gives them, and upright.
    """
    forms = [stage.form(thing, rng) for thing in graph.things]
    forms = [(shape, meshes[i].sized(half).half if i in meshes else half) for i, (shape, half) in enumerate(forms)]
    groups: list[list[Card]] = []
    for card in graph.cards:
        if card.cut or not groups:
            groups.append([])
        groups[-1].append(card)
    borders = [picture.frame_at(group[0].start) for group in groups] + [picture.frames]
    takes = []
    for number, group in enumerate(groups):
        times = np.arange(borders[number], borders[number + 1]) / picture.frame_rate
        takes.append(film_take(forms, group, graph.relations if number == 0 else (), times, picture, rng, meshes))
    return join(graph, takes, int(rng.integers(2**31)))


def film_take(
    forms: Sequence[tuple[str, physics.Vector]],
    cards: Sequence[Card],
    relations: tuple[Relation, ...],
    times: npt.NDArray[np.float64],
    picture: Picture,
    rng: np.random.Generator,
    meshes: Mapping[int, Mesh] = NO_MESHES,
) -> Take:
    """Cards without a cut between them, at the given times: placed, set going, simulated, filmed."""
    high = any(act.verb == "stack" for card in cards for act in card.acts) or any(relation.kind == "on_top_of" for relation in relations)
    roomy = 1.0 + 0.15 * rng.random() + (0.12 if any(card.camera != "still" for card in cards) else 0.0) + (0.25 if high else 0.0)
    view = stage.look_at(picture.size, [half for _, half in forms], roomy=roomy)
    draft = stage.Draft(view=view, parts=[stage.new_part(shape, half, rng, i in meshes) for i, (shape, half) in enumerate(forms)])
    for number, card in enumerate(cards):
        span = events.Span(start=card.start - cards[0].start, seconds=card.end - card.start, settles=number + 1 < len(cards))
        for act in card.acts:
            events.perform(draft, act, span, rng)
    stage.place(draft, relations, rng)
    solids = [
        dataclasses.replace(solid, mesh=meshes[i].sized(solid.half)) if i in meshes else solid
        for i, solid in enumerate(stage.solids(draft))
    ]
    bursts = []
    pieces_of: dict[int, int] = {}
    for body in draft.broken:
        pieces, burst = stage.shatter(solids, body, rng)
        solids += pieces
        bursts.append(burst)
        pieces_of |= dict.fromkeys(burst.pieces, body)
    if all(solid.fixed for solid in solids):
        record = physics.rest(solids, frames=len(times))
    else:
        length = (len(times) - 1) / picture.frame_rate
        rate = picture.frame_rate
        record = physics.simulate(solids, seconds=length, frame_rate=rate, kicks=draft.kicks, bursts=bursts, beat=BEAT)
    return Take(record=record, solids=tuple(solids), pieces_of=pieces_of, camera=stage.film(cards, times, view, rng))


def join(graph: SceneGraph, takes: Sequence[Take], texture_seed: int) -> tuple[Shot, Truth]:
    """One shot and one truth of all the takes: the things first, then each take's own walls and pieces, absent from the others."""
    things = len(graph.things)
    cast = zip(graph.things, takes[0].solids, strict=False)
    bodies = [Body(shape=thing.shape, half=solid.half, colour=thing.colour, mesh=solid.mesh) for thing, solid in cast]
    owned = []  # for each take, the columns of its bodies
    for take in takes:
        owned.append([*range(things), *range(len(bodies), len(bodies) + len(take.solids) - things)])
        for body, solid in enumerate(take.solids[things:], things):
            colour = graph.things[take.pieces_of[body]].colour if body in take.pieces_of else "wall"
            bodies.append(Body(shape=solid.shape, half=solid.half, colour=colour))

    def whole(name: str) -> npt.NDArray[Any]:
        rows = []
        for take, own in zip(takes, owned, strict=True):
            part = getattr(take.record, name)
            row = np.zeros((len(part), len(bodies), *part.shape[2:]), part.dtype)
            row[:, own] = part
            rows.append(row)
        return np.concatenate(rows)

    camera = np.concatenate([take.camera for take in takes])  # t 7
    present = whole("present")  # t k
    orientations = whole("orientations")  # t k 4
    orientations[..., 0][~orientations.any(-1)] = 1.0  # absent from this take: not turned
    shot = Shot(
        bodies=tuple(bodies),
        floor=graph.floor,
        light=graph.light,
        style=graph.style,
        texture_seed=texture_seed,
        positions=whole("positions"),
        orientations=orientations,
        present=present,
        camera=camera,
    )
    truth = Truth(
        graph=graph,
        positions=whole("masses_at"),
        orientations=orientations,
        velocities=whole("velocities"),
        contacts=_contacts(takes, owned),
        visible=np.zeros((0, len(bodies)), np.float32),
        masks=np.zeros((0, 0, 0), np.uint8),
        camera=camera,
    )
    return shot, truth


def _contacts(takes: Sequence[Take], owned: Sequence[Sequence[int]]) -> npt.NDArray[np.int32]:
    """The contacts of all takes, in the whole clip's frames and bodies."""
    rows, frame = [], 0
    for take, own in zip(takes, owned, strict=True):
        columns = np.array([*own, -1], np.int32)  # the floor, -1, is the last
        met = take.record.contacts
        rows.append(np.column_stack([met[:, 0] + frame, columns[met[:, 1]], columns[met[:, 2]]]))
        frame += len(take.camera)
    return np.concatenate(rows).astype(np.int32)


def window(shot: Shot, truth: Truth, first: int, picture: Picture) -> tuple[Shot, Truth]:
    """``picture.frames`` frames of a longer scene, from frame ``first`` on, with the cards that rule them and no relations."""
    start, end = first / picture.frame_rate, first / picture.frame_rate + picture.seconds
    cards = [
        dataclasses.replace(
            card,
            start=round(max(card.start - start, 0.0), 3),
            end=round(min(card.end, end) - start, 3),
            cut=card.cut and card.start > start,
        )
        for card in truth.graph.cards
        if card.end > start and card.start < end
    ]
    keep = slice(first, first + picture.frames)
    inside = (truth.contacts[:, 0] >= first) & (truth.contacts[:, 0] < first + picture.frames)
    shared = {name: getattr(truth, name)[keep] for name in ("orientations", "camera")}
    return (
        dataclasses.replace(shot, positions=shot.positions[keep], present=shot.present[keep], **shared),
        dataclasses.replace(
            truth,
            graph=dataclasses.replace(truth.graph, cards=tuple(cards), relations=()),
            positions=truth.positions[keep],
            velocities=truth.velocities[keep],
            contacts=truth.contacts[inside] - np.array([first, 0, 0], np.int32),
            **shared,
        ),
    )
