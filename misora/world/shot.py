"""A shot: everything the renderer needs to draw some frames, as plain numbers; it knows nothing of why things move or of pixels."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from misora.world.mesh import Mesh


@dataclasses.dataclass(frozen=True, kw_only=True)
class Body:
    """One drawable solid.

    ``shape``: one of ``words.graph.SHAPES``, "wall" or "shard" (both boxes). ``half``: half extents in metres in the body's own frame,
    whose origin is the middle of the bounding box: a ball has r, r, r; a cylinder, a cone and a capsule have their axis along z and r, r,
    half of the whole height; a pyramid has a square base below and its tip above. ``colour``: one of ``words.graph.COLOURS`` or "wall".
    """

    shape: str
    half: tuple[float, float, float]
    colour: str
    mesh: Mesh | None = None  # drawn in place of the shape, within the same half extents


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shot:
    """Some frames of some bodies under one light. A body that is not ``present`` in a frame is neither seen nor casts a shadow there."""

    bodies: tuple[Body, ...]
    floor: str
    light: str
    style: str
    texture_seed: int
    positions: npt.NDArray[np.float32]  # t k 3, metres
    orientations: npt.NDArray[np.float32]  # t k 4, unit quaternions w x y z
    present: npt.NDArray[np.bool_]  # t k
    camera: npt.NDArray[np.float32]  # t 7, eye x y z, target x y z, vertical field of view in degrees

    def at(self, frames: slice) -> Shot:
        """Some of the frames, for example every second one: half the frame rate."""
        timed = ("positions", "orientations", "present", "camera")
        return dataclasses.replace(self, **{name: getattr(self, name)[frames] for name in timed})
