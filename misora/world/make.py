"""Clips with the truth attached, made from nothing but a seed: scene graph, stage, physics, claims and pixels put together; it knows nothing of files or training."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from misora.data.clip import Clip, Truth
from misora.words.graph import Card, SceneGraph, is_held_out
from misora.world import events, physics, stage
from misora.world.claims import false_acts, false_claims
from misora.world.scenes import Mix, sample_graph
from misora.world.shot import Body, Shot

ATTEMPTS = 20  # times that the same graph is staged anew before it is given up
LONG = 16.0  # seconds that a long simulation lasts at least
Size = tuple[int, int]


class Unstageable(Exception):
    """The graph could not be made true in this picture, however often it was tried."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Take:
    """The frames between two cuts, simulated."""

    record: physics.Record
    solids: tuple[physics.Solid, ...]
    pieces_of: dict[int, int]  # body of a piece: the thing it was
    camera: stage.Floats  # t 7


def make_clip(
    seed: int, mix: Mix, *, seconds: float = 4.0, frame_rate: float = 12.0, size: Size = (96, 176), held_out: bool = False
) -> Clip:
    """The clip that belongs to a seed: ``round(seconds * frame_rate) + 1`` frames of ``size`` (h, w), drawn by the mix.

    With ``held_out`` only scenes of the measuring side of the split, else only of the training side. All its graph says is true in it.
    """
    for number in itertools.count():
        rng = np.random.default_rng([seed, number])
        try:
            shot, truth = _draw_scene(rng, mix, seconds, frame_rate, size, held_out)
        except Unstageable:
            continue
        clip = _filmed(shot, truth, frame_rate, size)
        if not false_claims(_truth_of(clip), frame_rate, size[1] / size[0]):
            return clip
    raise AssertionError


def render_graph(
    graph: SceneGraph, seed: int, *, seconds: float | None = None, frame_rate: float = 12.0, size: Size = (96, 176)
) -> Clip:
    """A clip of the given graph. ``seconds`` None: as long as its cards. Raises ``Unstageable`` where it cannot be made true."""
    length = graph.cards[-1].end if seconds is None else seconds
    for attempt in range(ATTEMPTS):
        shot, truth = make_shot(graph, (seed, attempt), seconds=length, frame_rate=frame_rate, size=size)
        clip = _filmed(shot, truth, frame_rate, size)
        if not false_claims(_truth_of(clip), frame_rate, size[1] / size[0]):
            return clip
    raise Unstageable(graph.to_json())


def make_shot(
    graph: SceneGraph, seed: int | tuple[int, ...], *, seconds: float, frame_rate: float = 12.0, size: Size = (96, 176)
) -> tuple[Shot, Truth]:
    """The graph staged and simulated, without pixels: ``visible`` and ``masks`` of the truth are empty. Raises ``Unstageable``."""
    seeds = (seed,) if isinstance(seed, int) else seed
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([*seeds, attempt])
        try:
            shot, truth = _stage(graph, rng, seconds, frame_rate, size)
        except stage.Unplaceable:
            continue
        if not false_claims(truth, frame_rate, size[1] / size[0]):
            return shot, truth
    raise Unstageable(graph.to_json())


def _draw_scene(
    rng: np.random.Generator, mix: Mix, seconds: float, frame_rate: float, size: Size, held_out: bool
) -> tuple[Shot, Truth]:
    """One scene of the mix, staged; a long one is cut down to ``seconds`` at a random offset."""
    long = seconds > 0.0 and rng.random() < mix.long
    length = LONG + round(16.0 * rng.random()) / 4.0 if long else seconds
    graph = sample_graph(rng, mix, seconds=length, held_out=held_out)
    shot, truth = make_shot(graph, int(rng.integers(2**62)), seconds=length, frame_rate=frame_rate, size=size)
    if not long:
        return shot, truth
    for _ in range(ATTEMPTS):
        offset = int(rng.integers(round((length - seconds) * frame_rate) + 1))
        cut = _window(shot, truth, offset, round(seconds * frame_rate) + 1, frame_rate, size)
        if cut and is_held_out(cut[1].graph) == held_out:
            return cut
    raise Unstageable(graph.to_json())


def _stage(graph: SceneGraph, rng: np.random.Generator, seconds: float, frame_rate: float, size: Size) -> tuple[Shot, Truth]:
    forms = [stage.form(thing, rng) for thing in graph.things]
    groups: list[list[Card]] = []
    for card in graph.cards:
        if card.cut or not groups:
            groups.append([])
        groups[-1].append(card)
    frames = round(seconds * frame_rate) + 1
    borders = [int(np.ceil(group[0].start * frame_rate - 1e-6)) for group in groups] + [frames]
    takes = []
    for number, group in enumerate(groups):
        relations = graph.relations if number == 0 else ()
        times = np.arange(borders[number], borders[number + 1]) / frame_rate
        takes.append(_take(forms, group, relations, times, frame_rate, size, rng))
    return _joined(graph, takes, int(rng.integers(2**31)))


def _take(forms, cards, relations, times, frame_rate, size, rng):  # type: ignore[no-untyped-def]
    start = float(times[0])
    roomy = 1.0 + 0.15 * rng.random() + (0.12 if any(card.camera != "still" for card in cards) else 0.0)
    view = stage.look_at(size, [half for _, half in forms], float(times[-1]) - start, roomy=roomy)
    draft = stage.Draft(view=view, parts=[stage.new_part(shape, half, rng) for shape, half in forms])
    for number, card in enumerate(cards):
        span = events.Span(start=card.start - cards[0].start, seconds=card.end - card.start, settles=number + 1 < len(cards))
        for act in card.acts:
            events.perform(draft, act, span, rng)
    stage.place(draft, relations, rng)
    solids = stage.solids(draft)
    bursts, pieces_of = [], {}
    for body in draft.broken:
        pieces, burst = stage.shatter(solids, body, 0.0, rng)
        solids += pieces
        bursts.append(burst)
        pieces_of |= dict.fromkeys(burst.pieces, body)
    if all(act.verb == "stay" for card in cards for act in card.acts):
        record = physics.rest(solids, frames=len(times))
    else:
        length = (len(times) - 1) / frame_rate
        record = physics.simulate(solids, seconds=length, frame_rate=frame_rate, kicks=draft.kicks, bursts=bursts)
    camera = stage.film(tuple(cards), times, view, rng)
    return _Take(record=record, solids=tuple(solids), pieces_of=pieces_of, camera=camera)


def _joined(graph: SceneGraph, takes: list[_Take], texture_seed: int) -> tuple[Shot, Truth]:
    """One shot and one truth of all the takes: the things first, then the walls and pieces of each take, absent in the others."""
    things = len(graph.things)
    extras = [len(take.solids) - things for take in takes]
    count = things + sum(extras)
    columns = {"positions": 3, "orientations": 4, "masses_at": 3, "velocities": 3}
    rows: dict[str, list[np.ndarray]] = {name: [] for name in (*columns, "present", "contacts")}
    bodies = [Body(shape=thing.shape, half=takes[0].solids[i].half, colour=thing.colour) for i, thing in enumerate(graph.things)]
    at = things
    frame = 0
    for take, extra in zip(takes, extras, strict=True):
        own = [*range(things), *range(at, at + extra)]
        length = len(take.camera)
        for name, width in columns.items():
            full = np.zeros((length, count, width), np.float32)
            full[:, own] = getattr(take.record, name)
            rows[name].append(full)
        present = np.zeros((length, count), np.bool_)
        present[:, own] = take.record.present
        rows["present"].append(present)
        contacts = take.record.contacts.copy()
        contacts[:, 1:] += np.where(contacts[:, 1:] >= things, at - things, 0)
        contacts[:, 0] += frame
        rows["contacts"].append(contacts)
        for body, solid in enumerate(take.solids[things:], things):
            colour = graph.things[take.pieces_of[body]].colour if body in take.pieces_of else "wall"
            bodies.append(Body(shape=solid.shape, half=solid.half, colour=colour))
        at += extra
        frame += length
    whole = {name: np.concatenate(parts) for name, parts in rows.items()}
    whole["orientations"][..., 0] += np.abs(whole["orientations"]).sum(-1) == 0.0  # absent in this take: not turned
    camera = np.concatenate([take.camera for take in takes])
    shot = Shot(
        bodies=tuple(bodies),
        floor=graph.floor,
        light=graph.light,
        style=graph.style,
        texture_seed=texture_seed,
        positions=whole["positions"],
        orientations=whole["orientations"],
        present=whole["present"],
        camera=camera,
    )
    truth = Truth(
        graph=graph,
        positions=whole["masses_at"],
        orientations=whole["orientations"],
        velocities=whole["velocities"],
        contacts=whole["contacts"],
        visible=np.zeros((0, count), np.float32),
        masks=np.zeros((0, 0, 0), np.uint8),
        camera=camera,
    )
    return shot, truth


def _window(shot: Shot, truth: Truth, first: int, frames: int, frame_rate: float, size: Size) -> tuple[Shot, Truth] | None:
    """Some frames of a long scene, with the cards that rule them; None where a card would be cut so that it is not true any more."""
    start, end = first / frame_rate, (first + frames - 1) / frame_rate
    inside = [card for card in truth.graph.cards if card.end > start and card.start < end]
    cards = []
    for number, card in enumerate(inside):
        trimmed = dataclasses.replace(
            card, start=max(card.start - start, 0.0), end=min(card.end, end) - start, cut=card.cut and number > 0
        )
        if trimmed.end - trimmed.start < 1.0:
            return None
        cards.append(trimmed)
    keep = slice(first, first + frames)
    here = (truth.contacts[:, 0] >= first) & (truth.contacts[:, 0] < first + frames)
    cut_truth = dataclasses.replace(
        truth,
        graph=dataclasses.replace(truth.graph, cards=tuple(cards), relations=()),
        positions=truth.positions[keep],
        orientations=truth.orientations[keep],
        velocities=truth.velocities[keep],
        contacts=truth.contacts[here] - np.array([first, 0, 0], np.int32),
        camera=truth.camera[keep],
    )
    cut_truth = dataclasses.replace(cut_truth, graph=_told_anew(cut_truth, frame_rate, size))
    if false_claims(cut_truth, frame_rate, size[1] / size[0]):
        return None
    moved = {name: getattr(shot, name)[keep] for name in ("positions", "orientations", "present", "camera")}
    return dataclasses.replace(shot, **moved), cut_truth


def _told_anew(truth: Truth, frame_rate: float, size: Size) -> SceneGraph:
    """The graph without the acts that are over in what is left of their card; a camera's move that is cut is told as long as it goes on."""
    cards = []
    for number, card in enumerate(truth.graph.cards):
        still = dataclasses.replace(card, acts=tuple(dataclasses.replace(act, verb="stay", direction=None, target=None) for act in card.acts))
        cards.append(still if not false_acts(truth, number, still, frame_rate, size[1] / size[0]) else card)
    return dataclasses.replace(truth.graph, cards=tuple(cards))


def _filmed(shot: Shot, truth: Truth, frame_rate: float, size: Size) -> Clip:
    """The shot drawn: pixels, masks and what is visible."""
    from misora.world.render import draw

    height, width = size
    frames, ids = draw(shot, height=height, width=width)  # t h w 3, t h w
    visible = np.stack([np.bincount(row.ravel(), minlength=len(shot.bodies) + 1)[1:] for row in ids]) / (height * width)  # t k
    return Clip(frames=frames, frame_rate=frame_rate, truth=dataclasses.replace(truth, visible=visible.astype(np.float32), masks=ids))


def _truth_of(clip: Clip) -> Truth:
    assert clip.truth is not None
    return clip.truth
