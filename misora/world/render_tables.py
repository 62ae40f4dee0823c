"""A shot as plain numbers: bodies, camera, light and floor in the rows that the scalar functions read; no rays and no pixels here."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from misora.world.palette import COLOURS, LIGHTS, STYLES, Colour, Light
from misora.world.render_mesh import tree
from misora.world.render_solids import KINDS, MESH
from misora.world.shot import Shot
from misora.world.texture import FLOORS, wave_table

Table = npt.NDArray[np.float64]

# One row a body: kind (-1: absent), half extents, rotation (rows: world axes in the body's frame), centre, bounding radius, radius of a
# ball of the same size, linear colour; of a mesh, where it begins in the shot's row and how many nodes it has.
KIND, HALF, TURN, PLACE, REACH, ROUND, TINT, START, NODES, BODY_WIDTH = 0, 1, 4, 13, 16, 17, 18, 21, 22, 23
# One row a frame: eye, right and up (as long as half the picture), forward, sine of a native pixel's angle.
EYE, RIGHT, UP, FORWARD, NATIVE, CAMERA_WIDTH = 0, 3, 6, 9, 12, 13
# One row a shot: direction to the sun, its light, light from above and below, sky at and over the horizon, floor and its swing; the style;
# sunlight on the flat floor; then the trees of the meshes.
SUN, SUNLIGHT, ABOVE, BELOW, HORIZON, ZENITH, FLOOR, SWING = range(0, 24, 3)
GLOSS, WRAP, SOFT, BANDS, GREY, FLAT = range(24, 30)
NATIVE_SIDE = 96  # the shorter side, in pixels, of the pictures that the networks see


def body_table(shot: Shot) -> Table:
    """Rows [t, k, BODY_WIDTH] of all bodies in all frames."""
    t, k = shot.present.shape
    rows = np.zeros((t, k, BODY_WIDTH))
    milk = STYLES[shot.style].milk
    start = FLAT + 1
    for i, body in enumerate(shot.bodies):
        a, b, c = body.half
        rows[:, i, KIND] = np.where(shot.present[:, i], MESH if body.mesh else KINDS[body.shape], -1)
        rows[:, i, HALF:TURN] = body.half
        rows[:, i, REACH] = (
            max(body.half) if body.shape in ("ball", "egg", "capsule") and not body.mesh else math.sqrt(a * a + b * b + c * c)
        )
        rows[:, i, ROUND] = (a * b * c) ** (1 / 3)
        rows[:, i, TINT : TINT + 3] = linear(COLOURS[body.colour]) * (1 - milk) + milk
        if body.mesh:
            numbers, nodes = tree(body.mesh)
            rows[:, i, START], rows[:, i, NODES] = start, nodes
            start += numbers.size
    rows[:, :, TURN:PLACE] = rotations(shot.orientations.astype(np.float64)).reshape(t, k, 9)
    rows[:, :, PLACE : PLACE + 3] = shot.positions
    return rows


def rotations(quaternions: Table) -> Table:
    """Matrices [..., 3, 3] of unit quaternions w x y z [..., 4]; columns are the body's axes in the world."""
    w, x, y, z = np.moveaxis(quaternions / np.linalg.norm(quaternions, axis=-1, keepdims=True), -1, 0)
    entries = (
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    )  # fmt: skip
    return np.stack(entries, axis=-1).reshape(*w.shape, 3, 3)


def camera_table(shot: Shot, *, height: int, width: int) -> Table:
    """Rows [t, CAMERA_WIDTH]; the sky is up in every picture."""
    camera = shot.camera.astype(np.float64)
    forward = camera[:, 3:6] - camera[:, 0:3]
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    reach = np.tan(np.radians(camera[:, 6:7]) / 2)  # t 1
    native = 2 * reach * min(1.0, width / height) / NATIVE_SIDE
    return np.concatenate([camera[:, 0:3], right * reach * width / height, np.cross(right, forward) * reach, forward, native], axis=1)


def look_tables(shot: Shot) -> tuple[Table, Table]:
    """The shot's light, floor, style and meshes [FLAT + 1 ...], and the floor's waves [n, 4].

    The lowest bit of ``texture_seed`` is the sun's side.
    """
    light, style, floor = LIGHTS[shot.light], STYLES[shot.style], FLOORS[shot.floor]
    side = 1.0 if shot.texture_seed % 2 else -1.0
    rng = np.random.default_rng(shot.texture_seed // 2)
    mean = linear(floor.mean) * (1 - style.milk) + style.milk
    look = np.zeros(FLAT + 1)
    look[SUN:SUNLIGHT] = _sun(light, side, rng.uniform(-0.2, 0.2))
    look[SUNLIGHT:ABOVE], look[ABOVE:BELOW] = light.sunlight, light.above
    look[HORIZON:ZENITH], look[ZENITH:FLOOR] = linear(light.horizon), linear(light.zenith)
    look[BELOW:HORIZON] = np.array(light.below) * (0.5 + mean)
    look[FLOOR:SWING], look[SWING:GLOSS] = mean, floor.swing
    look[GLOSS:FLAT] = style.gloss, style.wrap, style.soft, style.bands, style.grey
    look = np.concatenate([look, *(tree(body.mesh)[0].ravel() for body in shot.bodies if body.mesh)])
    return look, wave_table(floor, side, rng)


def _sun(light: Light, side: float, turn: float) -> Table:
    x, y, z = light.sun
    sun = np.array([side * (x * math.cos(turn) - y * math.sin(turn)), x * math.sin(turn) + y * math.cos(turn), z])
    unit: Table = sun / np.linalg.norm(sun)
    return unit


def linear(colour: Colour) -> Table:
    """Linear light of a display colour, under the renderer's own gamma of two."""
    light: Table = np.square(np.array(colour))
    return light
