"""The slow twin of the renderer: one ray a pixel, solids as inside-tests found by marching; it shares only the tables of numbers."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from misora.world.palette import COLOURS, LIGHTS, STYLES
from misora.world.render_tables import SUN, camera_table, linear, look_tables
from misora.world.shot import Body, Shot
from misora.world.texture import FLOORS

Array = npt.NDArray[np.float64]
STEPS = 300


def draw_frame(shot: Shot, frame: int, height: int, width: int) -> tuple[Array, npt.NDArray[np.int64]]:
    """One frame as display values 0..255 [h, w, 3] and ids [h, w]."""
    camera = camera_table(shot, height=height, width=width)[frame]
    u = (np.arange(width) + 0.5) / width * 2 - 1  # w
    v = 1 - (np.arange(height) + 0.5) / height * 2  # h
    rays = camera[9:12] + u[None, :, None] * camera[3:6] + v[:, None, None] * camera[6:9]  # h w 3
    rays = rays.reshape(-1, 3) / np.linalg.norm(rays, axis=-1).reshape(-1, 1)  # n 3
    origins = np.broadcast_to(camera[:3], rays.shape)
    first, own = np.full(len(rays), np.inf), np.zeros(len(rays), np.int64)  # n
    ground = np.where(rays[:, 2] < -1e-6, -camera[2] / np.minimum(rays[:, 2], -1e-6), np.inf)  # n
    for i in range(len(shot.bodies)):
        if shot.present[frame, i]:
            near, far = chord(shot, frame, i, origins, rays)
            closer = (near < far) & (near < first) & (near < ground)
            first, own = np.where(closer, near, first), np.where(closer, i + 1, own)
    light = stage(shot, frame, camera, rays)
    for i in range(len(shot.bodies)):
        here = own == i + 1
        if here.any():
            light[here] = surface(shot, frame, i, (origins + np.minimum(first, 99)[:, None] * rays)[here], rays[here])
    if STYLES[shot.style].grey:
        light[:] = (light @ [0.2126, 0.7152, 0.0722])[:, None]
    return 255 * np.sqrt(light.clip(0, 1)).reshape(height, width, 3), own.reshape(height, width)


def turned(shot: Shot, frame: int, i: int) -> Array:
    """Rotation [3, 3] of a body, column by column: q e q* for each axis e."""
    w, *v = shot.orientations[frame, i].astype(np.float64)
    columns = [e + 2 * w * np.cross(v, e) + 2 * np.cross(v, np.cross(v, e)) for e in np.eye(3)]
    return np.stack(columns, axis=1)


def faces(body: Body, points: Array) -> list[tuple[Array, Array]]:
    """(depth below the face [n], outward unit normal [n, 3]) of every face; a point is inside where all depths are positive."""
    a, b, c = body.half
    x, y, z = points.T
    if body.shape in ("ball", "egg"):
        lean = points / np.square(body.half)
        return [((1 - np.square(points / body.half).sum(1)) * min(a, b, c) / 2, lean / np.linalg.norm(lean, axis=1, keepdims=True))]
    if body.shape == "capsule":
        away = points - np.stack([0 * x, 0 * y, z.clip(a - c, c - a)], 1)
        length = np.linalg.norm(away, axis=1)
        return [(a - length, away / np.maximum(length, 1e-9)[:, None])]
    planes = [(0, 0, -1, c)]
    if body.shape in ("cube", "block", "wall", "shard"):
        planes += [(1, 0, 0, a), (-1, 0, 0, a), (0, 1, 0, b), (0, -1, 0, b), (0, 0, 1, c)]
    if body.shape == "pyramid":
        planes += [(s, 0, a / (2 * c), a / 2) for s in (1, -1)] + [(0, s, b / (2 * c), b / 2) for s in (1, -1)]
    if body.shape == "cylinder":
        planes += [(0, 0, 1, c)]
    found = []
    for *n, offset in planes:
        size = float(np.linalg.norm(n))
        found.append(((offset - points @ np.array(n)) / size, np.broadcast_to(np.array(n) / size, points.shape)))
    if body.shape in ("cylinder", "cone"):
        lean = a / (2 * c) if body.shape == "cone" else 0.0
        rho = np.maximum(np.hypot(x, y), 1e-9)
        normal = np.stack([x / rho, y / rho, np.full_like(x, lean)], 1) / math.hypot(1, lean)
        found.append((((lean * (c - z) if lean else a) - rho) / math.hypot(1, lean), normal))
    return found


def chord(shot: Shot, frame: int, i: int, origins: Array, rays: Array) -> tuple[Array, Array]:
    """Where rays enter and leave a body [n], by marching through its bounding ball and halving the steps at both ends."""
    body, turn = shot.bodies[i], turned(shot, frame, i)
    start, way = (origins - shot.positions[frame, i]) @ turn, rays @ turn
    reach = float(np.linalg.norm(body.half))
    middle = -(start * way).sum(1)  # n
    inside = lambda s: np.min([depth for depth, _ in faces(body, start + s[:, None] * way)], axis=0) > 0
    grid = middle[:, None] + np.linspace(-reach, reach, STEPS)  # n steps
    hit = np.stack([inside(s) for s in grid.T], 1)  # n steps
    enter, leave = hit.argmax(1), STEPS - 1 - hit[:, ::-1].argmax(1)
    rows = np.arange(len(rays))
    ends = []
    for out, into in (
        (grid[rows, np.maximum(enter - 1, 0)], grid[rows, enter]),
        (grid[rows, np.minimum(leave + 1, STEPS - 1)], grid[rows, leave]),
    ):
        for _ in range(30):
            half = (out + into) / 2
            ok = inside(half)
            out, into = np.where(ok, out, half), np.where(ok, half, into)
        ends.append(into)
    missed = ~hit.any(1)
    return np.where(missed, np.inf, ends[0]), np.where(missed, -np.inf, ends[1])


def ramp(low: float, high: Array | float, x: Array) -> Array:
    s = ((x - low) / (high - low)).clip(0, 1)
    return s * s * (3 - 2 * s)


def sunshine(shot: Shot, frame: int, own: int, points: Array) -> Array:
    """Share of sunlight that other bodies leave to points [n]."""
    sun = look_tables(shot)[0][SUN : SUN + 3]
    left = np.ones(len(points))
    for i, body in enumerate(shot.bodies):
        if i != own and shot.present[frame, i]:
            near, far = chord(shot, frame, i, points, np.broadcast_to(sun, points.shape))
            enter, size = np.maximum(near, 0), float(np.cbrt(np.prod(body.half)))
            length = np.where(far > enter, far - np.where(far > enter, enter, 0), 0)
            enter = np.where(length > 0, enter, 0)
            blocked = length**2 / size if body.shape in ("ball", "egg") else length
            left *= 1 - ramp(0, STYLES[shot.style].soft * size * (1 + enter), blocked)
    return left


def open_share(shot: Shot, frame: int, own: int, points: Array, normals: Array) -> Array:
    """Share of the surroundings that other bodies leave open to points [n] with normals [n, 3]."""
    left = np.ones(len(points))
    for i, body in enumerate(shot.bodies):
        if i != own and shot.present[frame, i]:
            toward = (shot.positions[frame, i] - points) / np.cbrt(np.prod(body.half))  # n 3
            distance = np.linalg.norm(toward, axis=1)
            cover = ((normals * toward).sum(1).clip(0) / np.maximum(distance, 1) ** 3).clip(0, 1)
            left *= 1 - 0.8 * (1 - (distance / 2) ** 2).clip(0) * cover
    return left


def facing_sun(shot: Shot, cosine: Array) -> Array:
    style = STYLES[shot.style]
    cosine = ((cosine + style.wrap) / (1 + style.wrap)).clip(0)
    return 0.45 * ramp(0.05, 0.2, cosine) + 0.45 * ramp(0.5, 0.65, cosine) if style.bands else cosine


def stage(shot: Shot, frame: int, camera: Array, rays: Array) -> Array:
    """Linear light of floor and sky [n, 3]."""
    light, style = LIGHTS[shot.light], STYLES[shot.style]
    look, waves = look_tables(shot)
    floor = FLOORS[shot.floor]
    distance = camera[2] / np.maximum(-rays[:, 2], 1e-3)  # n
    points = camera[:3] + distance[:, None] * rays
    points[:, 2] = 0
    view = rays[:, :2] / np.linalg.norm(rays[:, :2], axis=1, keepdims=True)
    swing = np.zeros(len(rays))
    for *k, phase, share in waves:
        along, across = abs(view @ np.array(k)) / np.maximum(-rays[:, 2], 1e-3), abs(view @ np.array([-k[1], k[0]]))
        fade = (2 - 8 * distance * camera[12] * np.maximum(along, across)).clip(0, 1)
        swing += share * fade * np.cos(2 * np.pi * (points[:, :2] @ np.array(k) + phase))
    sun = facing_sun(shot, np.full(len(rays), look[SUN + 2])) * sunshine(shot, frame, -1, points)
    free = open_share(shot, frame, -1, points, np.broadcast_to([0.0, 0.0, 1.0], points.shape))
    mean = linear(floor.mean) * (1 - style.milk) + style.milk
    near = mean * (1 + np.outer(swing, floor.swing)) * (np.outer(sun, light.sunlight) + np.outer(free, light.above))
    high = ramp(-0.1, 0.6, rays[:, 2])[:, None]
    far = linear(light.horizon) * (1 - high) + linear(light.zenith) * high
    melt = ramp(3, 9, np.linalg.norm(points, axis=1))[:, None]
    return near + melt * (far - near)


def surface(shot: Shot, frame: int, i: int, points: Array, rays: Array) -> Array:
    """Linear light [n, 3] of points on body i seen along rays."""
    body, turn, light, style = shot.bodies[i], turned(shot, frame, i), LIGHTS[shot.light], STYLES[shot.style]
    sun = look_tables(shot)[0][SUN : SUN + 3]
    normals = np.zeros_like(points)
    for depth, normal in faces(body, (points - shot.positions[frame, i]) @ turn):
        weight = (1 - depth / (0.08 * min(body.half))).clip(0) ** 2 if body.shape not in ("ball", "egg", "capsule") else 1 + 0 * depth
        normals += weight[:, None] * (normal @ turn.T)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    up = (0.5 + 0.5 * normals[:, 2])[:, None]
    free = open_share(shot, frame, i, points, normals)[:, None] * (1 - 0.45 * (1 - up) * (1 - ramp(0, 0.35, points[:, 2:])))
    direct = sunshine(shot, frame, i, points)[:, None]
    half = sun - rays
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    shine = direct * style.gloss * (normals * half).sum(1, keepdims=True).clip(0) ** 32
    rim = 0.2 * style.gloss * free * (1 + (normals * rays).sum(1, keepdims=True)) ** 3
    below = np.array(light.below) * (0.5 + linear(FLOORS[shot.floor].mean) * (1 - style.milk) + style.milk)
    tint = linear(COLOURS[body.colour]) * (1 - style.milk) + style.milk
    direct = direct * facing_sun(shot, normals @ sun)[:, None]
    return (
        tint * (direct * light.sunlight + free * (up * light.above + (1 - up) * below))
        + shine * light.sunlight
        + rim * linear(light.horizon)
    )
