"""Clips that come back to where they began, to learn loops from: what happens, a way back, the beginning once more.

The way back is no simulation: every body, and the camera, leaves with the speed that it has and arrives with that it began with.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from misora.data.clip import Clip, Truth
from misora.world.make import staged_scenes, with_masks
from misora.world.render import draw
from misora.world.scenes import Mix
from misora.world.shot import Shot
from misora.world.takes import Picture, window

BACK = (6, 24)  # frames that a way back takes
Path = npt.NDArray[Any]  # [t, ...], one row a frame


def make_return(
    seed: int, mix: Mix, *, seconds: float, again: int, frame_rate: float = 12.0, size: tuple[int, int] = (96, 176), held_out: bool = False
) -> Clip:
    """The clip of a seed: ``round(seconds * frame_rate) + 1`` frames, the last ``again`` of which are the first once more.

    ``mix`` draws scenes of one card, all of whose graph is true in the frames before the way back: at least half of those that come once.
    What breaks cannot come back: such scenes are passed over.
    """
    once = round(seconds * frame_rate) + 1 - again
    picture = Picture(seconds=(once - 1) / frame_rate, frame_rate=frame_rate, size=size)
    back = int(np.random.default_rng([seed, again]).integers(BACK[0], BACK[1] + 1))
    scenes = staged_scenes(seed, mix, picture, held_out=held_out)
    return next(clip for shot, truth in scenes if (clip := _returned(shot, truth, min(back, once // 2), again, picture)))


def way_back(path: Path, back: int) -> Path:
    """The path with its last ``back`` frames leading to its first: a cubic Hermite spline, continuous in place and speed at both ends."""
    last = len(path) - back - 1  # the frame from which it turns back
    share = np.arange(1, back + 1).reshape(-1, *[1] * (path.ndim - 1)) / (back + 1)  # n 1 ...
    rest = 1 - share
    leaving, arriving = ((path[k] - path[k - 1]) * (back + 1) for k in (last, 1))
    way = rest**2 * ((1 + 2 * share) * path[last] + share * leaving) + share**2 * ((1 + 2 * rest) * path[0] - rest * arriving)
    return np.concatenate((path[: last + 1], way)).astype(path.dtype)


def turned_back(orientations: Path, back: int) -> Path:
    """The same for unit quaternions [t, k, 4], by the shorter way round."""
    last = len(orientations) - back - 1
    signs = np.sign((orientations[1:] * orientations[:-1]).sum(-1)).cumprod(0)  # t-1 k
    steady = orientations.copy()
    steady[1:] *= signs[..., None]
    opposite = (steady[last] * steady[0]).sum(-1) < 0  # k: the way to the other sign of the first is shorter
    whole = way_back(np.where(opposite[:, None] & (np.arange(len(steady)) < 2)[:, None, None], -steady, steady), back)
    return np.asarray(whole / np.linalg.norm(whole, axis=-1, keepdims=True).clip(1e-6))


def _returned(shot: Shot, truth: Truth, back: int, again: int, picture: Picture) -> Clip | None:
    """The clip; None where a body is not always there, or what is told is not over or not seen when the way back begins."""
    if not shot.present.all():
        return None
    kept = picture.frames - back
    order = np.r_[: picture.frames, :again]
    places = way_back(shot.positions, back)
    places[..., 2] = np.maximum(places[..., 2], shot.positions[..., 2].min(0))  # none sinks into the floor
    moved: dict[str, Any] = {"orientations": turned_back(shot.orientations, back)[order], "camera": way_back(shot.camera, back)[order]}
    closed = dataclasses.replace(shot, positions=places[order], present=shot.present[order], **moved)
    frames, ids = draw(closed, height=picture.size[0], width=picture.size[1])  # t h w 3, t h w
    before = dataclasses.replace(picture, seconds=(kept - 1) / picture.frame_rate)
    if with_masks(window(shot, truth, 0, before)[1], ids[:kept], before) is None:
        return None
    whole = dataclasses.replace(
        truth,
        positions=way_back(truth.positions, back)[order],
        velocities=way_back(truth.velocities, back)[order],
        contacts=truth.contacts[truth.contacts[:, 0] < kept],
        visible=np.zeros((len(order), truth.positions.shape[1]), np.float32),
        masks=ids,
        **moved,
    )
    return Clip(frames=frames, frame_rate=picture.frame_rate, truth=whole)
