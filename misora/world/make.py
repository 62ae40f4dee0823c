"""Clips with the truth attached, from nothing but a seed, kept only where all they say is true; it knows nothing of files or training."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from misora.data.clip import Clip, Truth
from misora.words.graph import SceneGraph, is_held_out
from misora.world.claims import false_acts, false_claims
from misora.world.mesh import Mesh
from misora.world.scenes import Mix, sample_graph
from misora.world.shot import Shot
from misora.world.stage import Unplaceable
from misora.world.takes import NO_MESHES, Picture, stage_graph, window

ATTEMPTS = 20  # times that one graph is staged anew before it is given up
LONG = 16.0  # seconds that a long simulation lasts at least
SHORTEST = 1.0  # seconds that a card must last in a window of a long simulation


class Unstageable(Exception):
    """The graph could not be made true in this picture, however often it was tried."""


def make_clip(
    seed: int, mix: Mix, *, seconds: float = 4.0, frame_rate: float = 12.0, size: tuple[int, int] = (96, 176), held_out: bool = False
) -> Clip:
    """The clip that belongs to a seed: ``round(seconds * frame_rate) + 1`` frames of ``size`` (h, w), drawn by the mix.

    With ``held_out`` only scenes of the measuring side of the split, else only of the training side. All that its graph says is true in it.
    """
    picture = Picture(seconds=seconds, frame_rate=frame_rate, size=size)
    return next(clip for shot, truth in staged_scenes(seed, mix, picture, held_out=held_out) if (clip := shoot(shot, truth, picture)))


def staged_scenes(seed: int, mix: Mix, picture: Picture, *, held_out: bool = False) -> Iterator[tuple[Shot, Truth]]:
    """Without end, the scenes that may become the seed's clip, not drawn yet: the first of which ``with_masks`` makes something is it."""
    for number in itertools.count():
        scene = _scene(np.random.default_rng([seed, number]), mix, picture, held_out)
        if scene:
            yield scene


def render_graph(
    graph: SceneGraph,
    seed: int,
    *,
    seconds: float | None = None,
    frame_rate: float = 12.0,
    size: tuple[int, int] = (96, 176),
    meshes: Mapping[int, Mesh] = NO_MESHES,
) -> Clip:
    """A clip of the given graph. ``seconds`` None: as long as its cards. Raises ``Unstageable`` where it cannot be made true.

    ``meshes``: what some of its things look like, by their numbers.
    """
    picture = Picture(seconds=graph.cards[-1].end if seconds is None else seconds, frame_rate=frame_rate, size=size)
    for attempt in range(ATTEMPTS):
        clip = shoot(*make_shot(graph, (seed, attempt), picture, meshes), picture)
        if clip:
            return clip
    raise Unstageable(graph.to_json())


def make_shot(
    graph: SceneGraph, seed: int | tuple[int, ...], picture: Picture, meshes: Mapping[int, Mesh] = NO_MESHES
) -> tuple[Shot, Truth]:
    """The graph staged and simulated, without pixels: ``visible`` and ``masks`` of the truth are empty. Raises ``Unstageable``."""
    seeds = (seed,) if isinstance(seed, int) else seed
    for attempt in range(ATTEMPTS):
        try:
            shot, truth = stage_graph(graph, np.random.default_rng([*seeds, attempt]), picture, meshes)
        except Unplaceable:
            continue
        if not false_claims(truth, picture.frame_rate, picture.aspect):
            return shot, truth
    raise Unstageable(graph.to_json())


def shoot(shot: Shot, truth: Truth, picture: Picture) -> Clip | None:
    """The shot drawn, with masks and visibility in its truth; None where something told cannot be seen."""
    from misora.world.render import draw  # compiled when first imported: a shot without pixels does not wait for it

    frames, ids = draw(shot, height=picture.size[0], width=picture.size[1])  # t h w 3, t h w
    seen = with_masks(truth, ids, picture)
    return Clip(frames=frames, frame_rate=picture.frame_rate, truth=seen) if seen else None


def with_masks(truth: Truth, ids: npt.NDArray[np.uint8], picture: Picture) -> Truth | None:
    """The truth with its masks (t h w, as ``draw`` returns them) and what is visible; None where something told cannot be seen."""
    bodies = truth.positions.shape[1]
    shares = np.stack([np.bincount(image.ravel(), minlength=bodies + 1)[1:] for image in ids]) / ids[0].size  # t k
    seen = dataclasses.replace(truth, visible=shares.astype(np.float32), masks=ids)
    return None if false_claims(seen, picture.frame_rate, picture.aspect) else seen


def _scene(rng: np.random.Generator, mix: Mix, picture: Picture, held_out: bool) -> tuple[Shot, Truth] | None:
    """One scene of the mix; sometimes it is cut out of a long one. None where it could not be made true."""
    long = picture.seconds > 0.0 and rng.random() < mix.long
    length = LONG + round(16.0 * rng.random()) / 4.0 if long else picture.seconds
    graph = sample_graph(rng, mix, seconds=length, held_out=held_out)
    try:
        shot, truth = make_shot(graph, int(rng.integers(2**62)), dataclasses.replace(picture, seconds=length))
    except Unstageable:
        return None
    for _ in range(ATTEMPTS if long else 0):
        first = int(rng.integers(round((length - picture.seconds) * picture.frame_rate) + 1))
        part = window(shot, truth, first, picture)
        part = (part[0], _told_anew(part[1], picture))
        if _holds(part[1], picture, held_out):
            return part
    return None if long else (shot, truth)


def _holds(truth: Truth, picture: Picture, held_out: bool) -> bool:
    """True where a window of a long scene tells of nothing too short to be seen, nothing false, and stays on its side of the split."""
    if min(card.end - card.start for card in truth.graph.cards) < SHORTEST or is_held_out(truth.graph) != held_out:
        return False
    return not false_claims(truth, picture.frame_rate, picture.aspect)


def _told_anew(truth: Truth, picture: Picture) -> Truth:
    """The graph without the acts that are over already in what is left of their card."""
    cards = []
    for number, card in enumerate(truth.graph.cards):
        acts = tuple(dataclasses.replace(act, verb="stay", direction=None, target=None) for act in card.acts)
        still = dataclasses.replace(card, acts=acts)
        cards.append(card if false_acts(truth, number, still, picture.frame_rate, picture.aspect) else still)
    return dataclasses.replace(truth, graph=dataclasses.replace(truth.graph, cards=tuple(cards)))
