"""Rays against meshes: a tree of boxes laid out in depth-first order, walked without a stack, for a CPU and for CUDA; no light here.

A mesh is a run of numbers in the shot's ``look``, nine to a row: first the nodes (low corner, high corner, the row to go on at when the box
is missed, first triangle, count of triangles), then the triangles (a corner and two edges). Rows are counted from the start of the mesh.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from misora.world.compiled import compiled
from misora.world.mesh import Mesh

Table = npt.NDArray[np.float64]
ROW = 9  # numbers in a row of the tree
LEAF = 4  # triangles in a leaf, at most
MISSED, REACHED = 1e30, -1e30
CLOSE = 1e-4  # metres from a surface at which a point lies on it


def tree(mesh: Mesh) -> tuple[Table, int]:
    """All rows [n, ROW] of a mesh, and how many of them are nodes."""
    corners = mesh.corners
    low, high, middle = corners.min(1), corners.max(1), corners.mean(1)  # n 3 each
    nodes: list[list[float]] = []
    order: list[int] = []
    waiting = [np.arange(len(corners))]
    after: list[tuple[int, int]] = []  # a node, and how many waiting boxes lie outside of it
    while waiting:
        members = waiting.pop()
        while after and after[-1][1] > len(waiting):
            nodes[after.pop()[0]][6] = len(nodes)
        after.append((len(nodes), len(waiting)))
        leaf = len(members) <= LEAF
        first, count = (len(order), len(members)) if leaf else (0, 0)
        nodes.append([*low[members].min(0), *high[members].max(0), 0, first, count])
        if leaf:
            order.extend(members.tolist())
        else:
            axis = int(np.ptp(middle[members], axis=0).argmax())
            halves = np.array_split(members[np.argsort(middle[members, axis], kind="stable")], 2)
            waiting.extend(halves[::-1])
    for node, _ in after:
        nodes[node][6] = len(nodes)
    shown = corners[order]  # n 3 3
    triangles = np.concatenate((shown[:, 0], shown[:, 1] - shown[:, 0], shown[:, 2] - shown[:, 0]), 1)  # n 9
    return np.concatenate((np.array(nodes), triangles)), len(nodes)


@compiled
def _box_met(look: Table, at: int, ox: float, oy: float, oz: float, ux: float, uy: float, uz: float) -> bool:
    """Whether a line meets the box of the node at ``at``; u: one over its direction."""
    x0, x1 = (look[at] - ox) * ux, (look[at + 3] - ox) * ux
    y0, y1 = (look[at + 1] - oy) * uy, (look[at + 4] - oy) * uy
    z0, z1 = (look[at + 2] - oz) * uz, (look[at + 5] - oz) * uz
    near = max(min(x0, x1), min(y0, y1), min(z0, z1))
    far = min(max(x0, x1), max(y0, y1), max(z0, z1))
    return near <= far + 1e-9


@compiled
def _over(slope: float) -> float:
    """One over a slope that may be nothing."""
    if abs(slope) < 1e-12:
        return 1e12
    return 1.0 / slope


@compiled
def _triangle_met(look: Table, at: int, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> float:
    """Where a line meets the triangle at ``at``, else MISSED (T. Möller, B. Trumbore, 1997)."""
    ax, ay, az, bx, by, bz = look[at + 3], look[at + 4], look[at + 5], look[at + 6], look[at + 7], look[at + 8]
    px, py, pz = dy * bz - dz * by, dz * bx - dx * bz, dx * by - dy * bx
    size = ax * px + ay * py + az * pz
    if abs(size) < 1e-14:
        return MISSED
    sx, sy, sz = ox - look[at], oy - look[at + 1], oz - look[at + 2]
    u = (sx * px + sy * py + sz * pz) / size
    qx, qy, qz = sy * az - sz * ay, sz * ax - sx * az, sx * ay - sy * ax
    v = (dx * qx + dy * qy + dz * qz) / size
    if u < -1e-9 or v < -1e-9 or u + v > 1.0 + 1e-9:
        return MISSED
    return (bx * qx + by * qy + bz * qz) / size


@compiled
def mesh_span(look: Table, start: int, nodes: int, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> tuple[float, float]:
    """The first and the last place at which a line meets the mesh that lies at ``start`` in ``look``; the first behind the last if none."""
    near, far = MISSED, REACHED
    ux, uy, uz = _over(dx), _over(dy), _over(dz)
    node = 0
    while node < nodes:
        at = start + ROW * node
        if not _box_met(look, at, ox, oy, oz, ux, uy, uz):
            node = int(look[at + 6])
            continue
        for n in range(int(look[at + 8])):
            met = _triangle_met(look, start + ROW * (nodes + int(look[at + 7]) + n), ox, oy, oz, dx, dy, dz)
            if met < MISSED:
                near, far = min(near, met), max(far, met + CLOSE)  # so that a sheet that is met once is seen as well
        node += 1
    return near, far


@compiled
def mesh_normal(look: Table, start: int, nodes: int, x: float, y: float, z: float) -> tuple[float, float, float]:
    """The normal, on either side and of any length, of the triangle that a point of the surface lies nearest to."""
    best, nx, ny, nz = MISSED, 0.0, 0.0, 1.0
    node = 0
    while node < nodes:
        at = start + ROW * node
        inside = look[at] - CLOSE <= x <= look[at + 3] + CLOSE and look[at + 1] - CLOSE <= y <= look[at + 4] + CLOSE
        if not (inside and look[at + 2] - CLOSE <= z <= look[at + 5] + CLOSE):
            node = int(look[at + 6])
            continue
        for n in range(int(look[at + 8])):
            row = start + ROW * (nodes + int(look[at + 7]) + n)
            ax, ay, az, bx, by, bz = look[row + 3], look[row + 4], look[row + 5], look[row + 6], look[row + 7], look[row + 8]
            tx, ty, tz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
            size = tx * tx + ty * ty + tz * tz
            if size > 1e-24:
                sx, sy, sz = x - look[row], y - look[row + 1], z - look[row + 2]
                off = (sx * tx + sy * ty + sz * tz) ** 2 / size  # metres squared
                v = ((sy * bz - sz * by) * tx + (sz * bx - sx * bz) * ty + (sx * by - sy * bx) * tz) / size
                w = ((ay * sz - az * sy) * tx + (az * sx - ax * sz) * ty + (ax * sy - ay * sx) * tz) / size
                off += max(0.0, -v, -w, v + w - 1.0)  # beside the triangle
                if off < best:
                    best, nx, ny, nz = off, tx, ty, tz
        node += 1
    return nx, ny, nz
