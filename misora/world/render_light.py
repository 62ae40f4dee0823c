"""One ray into the scene and the colour it brings back, in scalar functions for a CPU and for CUDA; it knows nothing of pixels.

Light is linear: a sun, a sky above, a glow from below. Shadows come from how long the way to the sun runs through a body, which is smooth
for convex bodies; nearness darkens by the solid angle of a ball of the same size.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from misora.world.compiled import compiled
from misora.world.render_mesh import mesh_normal, mesh_span
from misora.world.render_solids import FAR, MESH, normal, span
from misora.world.render_tables import (
    ABOVE,
    BANDS,
    BELOW,
    EYE,
    FLAT,
    FLOOR,
    FORWARD,
    GLOSS,
    GREY,
    HALF,
    HORIZON,
    KIND,
    NATIVE,
    NODES,
    PLACE,
    REACH,
    RIGHT,
    ROUND,
    SOFT,
    START,
    SUN,
    SUNLIGHT,
    SWING,
    TINT,
    TURN,
    UP,
    WRAP,
    ZENITH,
)  # fmt: skip

Table = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Triple = tuple[float, float, float]

NEARNESS = 2.0  # radii out to which a body darkens its surroundings
STAGE, BACK = 3.0, 9.0  # metres from the middle: where the floor begins to melt into the sky, and where it has


@compiled
def smooth(low: float, high: float, x: float) -> float:
    """0 below ``low``, 1 above ``high``, a smooth step between."""
    s = min(1.0, max(0.0, (x - low) / (high - low)))
    return s * s * (3.0 - 2.0 * s)


@compiled
def cosine(cycles: float) -> float:
    """cos(2 pi cycles) within 2e-4, from a polynomial."""
    x = 2.0 * math.pi * (abs(cycles - math.floor(cycles) - 0.5) - 0.25)
    s = x * x
    return x * (1.0 + s * (-0.16605 + s * 0.00761))


@compiled
def into(body: Table, x: float, y: float, z: float) -> Triple:
    """A world direction in the body's frame."""
    m = TURN
    return (
        body[m] * x + body[m + 3] * y + body[m + 6] * z,
        body[m + 1] * x + body[m + 4] * y + body[m + 7] * z,
        body[m + 2] * x + body[m + 5] * y + body[m + 8] * z,
    )


@compiled
def body_span(body: Table, look: Table, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> tuple[float, float]:
    """Where a world ray of unit direction enters and leaves the body; rays that miss its bounding ball are turned away first."""
    px, py, pz = ox - body[PLACE], oy - body[PLACE + 1], oz - body[PLACE + 2]
    along = px * dx + py * dy + pz * dz
    if px * px + py * py + pz * pz - along * along > body[REACH] * body[REACH]:
        return FAR, -FAR
    px, py, pz = into(body, px, py, pz)
    dx, dy, dz = into(body, dx, dy, dz)
    if body[KIND] == MESH:
        return mesh_span(look, int(body[START]), int(body[NODES]), px, py, pz, dx, dy, dz)
    return span(body[KIND], body[HALF], body[HALF + 1], body[HALF + 2], px, py, pz, dx, dy, dz)


@compiled
def body_normal(body: Table, look: Table, x: float, y: float, z: float, dx: float, dy: float, dz: float) -> Triple:
    """Unit normal in the world at a world point of the body's surface, seen along d."""
    px, py, pz = into(body, x - body[PLACE], y - body[PLACE + 1], z - body[PLACE + 2])
    if body[KIND] == MESH:
        px, py, pz = mesh_normal(look, int(body[START]), int(body[NODES]), px, py, pz)
        ax, ay, az = into(body, dx, dy, dz)
        if px * ax + py * ay + pz * az > 0.0:  # a mesh may be wound either way
            px, py, pz = -px, -py, -pz
    else:
        px, py, pz = normal(body[KIND], body[HALF], body[HALF + 1], body[HALF + 2], px, py, pz)
    m = TURN
    nx = body[m] * px + body[m + 1] * py + body[m + 2] * pz
    ny = body[m + 3] * px + body[m + 4] * py + body[m + 5] * pz
    nz = body[m + 6] * px + body[m + 7] * py + body[m + 8] * pz
    scale = 1.0 / math.sqrt(nx * nx + ny * ny + nz * nz)
    return nx * scale, ny * scale, nz * scale


@compiled
def shadow(own: int, x: float, y: float, z: float, bodies: Table, near: Indices, count: int, look: Table) -> float:
    """Share of sunlight, 0..1, that other bodies leave to a point: smooth in the length of the way through each."""
    light = 1.0
    for n in range(count):
        i = near[n]
        if i != own:
            enter, leave = body_span(bodies[i], look, x, y, z, look[SUN], look[SUN + 1], look[SUN + 2])
            chord = leave - max(enter, 0.0)
            if chord > 0.0:
                if bodies[i, KIND] == 0.0:
                    chord = chord * chord / bodies[i, ROUND]  # grows like the depth of the cut, as it does at an edge
                light *= 1.0 - smooth(0.0, look[SOFT] * bodies[i, ROUND] * (1.0 + max(enter, 0.0)), chord)
    return light


@compiled
def openness(own: int, x: float, y: float, z: float, nx: float, ny: float, nz: float, bodies: Table, near: Indices, count: int) -> float:
    """Share of the surroundings, 0..1, that other bodies leave open to a point with normal n; exactly 1 beyond NEARNESS radii of each."""
    free = 1.0
    for n in range(count):
        i = near[n]
        if i != own:
            r = bodies[i, ROUND]
            vx, vy, vz = bodies[i, PLACE] - x, bodies[i, PLACE + 1] - y, bodies[i, PLACE + 2] - z
            square = (vx * vx + vy * vy + vz * vz) / (r * r)
            if square < NEARNESS * NEARNESS:
                facing = (nx * vx + ny * vy + nz * vz) / r
                fade = 1.0 - square / (NEARNESS * NEARNESS)
                square = max(square, 1.0)
                free *= 1.0 - 0.8 * fade * min(1.0, max(0.0, facing) / (square * math.sqrt(square)))
    return free


@compiled
def sky(dz: float, look: Table, channel: int) -> float:
    """Linear light of the sky, or of the far end of the floor, in a direction with slope dz."""
    high = smooth(-0.1, 0.6, dz)
    light: float = look[HORIZON + channel] * (1.0 - high) + look[ZENITH + channel] * high
    return light


@compiled
def aim(u: float, v: float, camera: Table) -> Triple:
    """Unit direction of the ray through (u, v), both -1..1, v up."""
    dx = camera[FORWARD] + u * camera[RIGHT] + v * camera[UP]
    dy = camera[FORWARD + 1] + u * camera[RIGHT + 1] + v * camera[UP + 1]
    dz = camera[FORWARD + 2] + u * camera[RIGHT + 2] + v * camera[UP + 2]
    scale = 1.0 / math.sqrt(dx * dx + dy * dy + dz * dz)
    return dx * scale, dy * scale, dz * scale


@compiled
def ripple(u: float, v: float, camera: Table, wave: Table) -> float:
    """What one wave adds to the swing of the floor seen at (u, v): less where under eight, nothing where under four native pixels span it.

    A native pixel covers more floor along the view than across it, by the slope of the ray. Free of branches, so that rows of it vectorise.
    """
    dx, dy, dz = aim(u, v, camera)
    dz = min(dz, -1e-3)
    ground = -camera[EYE + 2] / dz
    flat = 1.0 / math.sqrt(dx * dx + dy * dy + 1e-12)
    along, across = abs(wave[0] * dx + wave[1] * dy) * flat / -dz, abs(wave[0] * dy - wave[1] * dx) * flat
    cycles = ground * camera[NATIVE] * max(along, across)
    share: float = wave[3] * min(1.0, max(0.0, 2.0 - 8.0 * cycles))
    return share * cosine(wave[0] * (camera[EYE] + ground * dx) + wave[1] * (camera[EYE + 1] + ground * dy) + wave[2])


@compiled
def lit(facing: float, look: Table) -> float:
    """Sunlight on a face that is turned to the sun by the cosine ``facing``, in the shot's style."""
    facing = max(0.0, (facing + look[WRAP]) / (1.0 + look[WRAP]))
    if look[BANDS] > 0.0:
        return 0.45 * smooth(0.05, 0.2, facing) + 0.45 * smooth(0.5, 0.65, facing)
    return facing


@compiled
def stage_light(dx: float, dy: float, dz: float, swing: float, sun: float, free: float, camera: Table, look: Table) -> Triple:
    """Linear colour of the floor in direction d, melting into the sky far from the middle; of the sky where d rises. Free of branches.

    ``sun``: sunlight that arrives there, ``free``: share of the surroundings that is open.
    """
    ground = camera[EYE + 2] / max(-dz, 1e-3)
    x, y = camera[EYE] + ground * dx, camera[EYE + 1] + ground * dy
    far = smooth(STAGE, BACK, math.sqrt(x * x + y * y))
    red = look[FLOOR] * (1.0 + look[SWING] * swing) * (sun * look[SUNLIGHT] + free * look[ABOVE])
    green = look[FLOOR + 1] * (1.0 + look[SWING + 1] * swing) * (sun * look[SUNLIGHT + 1] + free * look[ABOVE + 1])
    blue = look[FLOOR + 2] * (1.0 + look[SWING + 2] * swing) * (sun * look[SUNLIGHT + 2] + free * look[ABOVE + 2])
    return red + far * (sky(dz, look, 0) - red), green + far * (sky(dz, look, 1) - green), blue + far * (sky(dz, look, 2) - blue)


@compiled
def body_light(
    own: int, x: float, y: float, z: float, dx: float, dy: float, dz: float, bodies: Table, near: Indices, count: int, look: Table
) -> Triple:
    """Linear colour of body ``own`` at a point of its surface, seen along d."""
    nx, ny, nz = body_normal(bodies[own], look, x, y, z, dx, dy, dz)
    facing = nx * look[SUN] + ny * look[SUN + 1] + nz * look[SUN + 2]
    sun = 0.0
    if facing > -look[WRAP]:
        sun = shadow(own, x, y, z, bodies, near, count, look)
    up = 0.5 + 0.5 * nz
    free = openness(own, x, y, z, nx, ny, nz, bodies, near, count) * (1.0 - 0.45 * (1.0 - up) * (1.0 - smooth(0.0, 0.35, z)))
    hx, hy, hz = look[SUN] - dx, look[SUN + 1] - dy, look[SUN + 2] - dz
    shine = max(0.0, nx * hx + ny * hy + nz * hz) / math.sqrt(hx * hx + hy * hy + hz * hz)
    for _ in range(5):
        shine *= shine
    shine *= sun * look[GLOSS]
    sun *= lit(facing, look)
    edge = 1.0 + nx * dx + ny * dy + nz * dz
    edge = 0.2 * look[GLOSS] * free * edge * edge * edge
    red = bodies[own, TINT] * (sun * look[SUNLIGHT] + free * (up * look[ABOVE] + (1.0 - up) * look[BELOW]))
    green = bodies[own, TINT + 1] * (sun * look[SUNLIGHT + 1] + free * (up * look[ABOVE + 1] + (1.0 - up) * look[BELOW + 1]))
    blue = bodies[own, TINT + 2] * (sun * look[SUNLIGHT + 2] + free * (up * look[ABOVE + 2] + (1.0 - up) * look[BELOW + 2]))
    return (
        red + shine * look[SUNLIGHT] + edge * look[HORIZON],
        green + shine * look[SUNLIGHT + 1] + edge * look[HORIZON + 1],
        blue + shine * look[SUNLIGHT + 2] + edge * look[HORIZON + 2],
    )


@compiled
def shown(red: float, green: float, blue: float, look: Table) -> Triple:
    """Display colour 0..255 of linear light, in grey where the style says so."""
    grey = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    red, green, blue = red + look[GREY] * (grey - red), green + look[GREY] * (grey - green), blue + look[GREY] * (grey - blue)
    return (
        255.0 * math.sqrt(min(1.0, max(0.0, red))),
        255.0 * math.sqrt(min(1.0, max(0.0, green))),
        255.0 * math.sqrt(min(1.0, max(0.0, blue))),
    )


@compiled
def bare(u: float, v: float, swing: float, camera: Table, look: Table) -> Triple:
    """Display colour at (u, v) of a stage without bodies. Free of branches, so that rows of it vectorise."""
    dx, dy, dz = aim(u, v, camera)
    red, green, blue = stage_light(dx, dy, dz, swing, look[FLAT], 1.0, camera, look)
    return shown(red, green, blue, look)


@compiled
def ray(
    u: float, v: float, swing: float, camera: Table, bodies: Table, seen: Indices, few: int, near: Indices, many: int, look: Table
) -> tuple[int, float, float, float]:
    """What the picture shows at (u, v), both -1..1, v up: 0 or body + 1, and display colour 0..255.

    ``swing``: the sum of the floor's ripples there. ``seen``: the ``few`` bodies that the ray may meet; ``near``: the ``many`` that may
    take light from what it meets.
    """
    dx, dy, dz = aim(u, v, camera)
    ox, oy, oz = camera[EYE], camera[EYE + 1], camera[EYE + 2]
    first, own = (-oz / dz if dz < -1e-6 else FAR), -1
    for n in range(few):
        enter, leave = body_span(bodies[seen[n]], look, ox, oy, oz, dx, dy, dz)
        if enter < leave and 0.0 < enter < first:
            first, own = enter, seen[n]
    x, y, z = ox + first * dx, oy + first * dy, oz + first * dz
    if own >= 0:
        red, green, blue = body_light(own, x, y, z, dx, dy, dz, bodies, near, many, look)
    elif many > 0 and first < FAR:
        sun = look[FLAT] * shadow(-1, x, y, 0.0, bodies, near, many, look)
        free = openness(-1, x, y, 0.0, 0.0, 0.0, 1.0, bodies, near, many)
        red, green, blue = stage_light(dx, dy, dz, swing, sun, free, camera, look)
    else:
        red, green, blue = stage_light(dx, dy, dz, swing, look[FLAT], 1.0, camera, look)
    red, green, blue = shown(red, green, blue, look)
    return own + 1, red, green, blue
