"""Rays against convex solids, each in its own frame, in scalar functions for a CPU and for CUDA; it knows nothing of light.

Kinds: 0 ellipsoid, 1 box, 2 cylinder, 3 cone, 4 capsule, 5 pyramid. Every function takes half extents a, b, c and a ray o + s d; a *span*
is the pair (near, far) of ray parameters between which the ray is inside, empty when near > far.
"""

from __future__ import annotations

import math

from misora.world.compiled import compiled

Span = tuple[float, float]
KINDS = {"ball": 0, "egg": 0, "cube": 1, "block": 1, "wall": 1, "shard": 1, "cylinder": 2, "cone": 3, "capsule": 4, "pyramid": 5}
MESH = 6  # no formula: ``render_mesh`` walks its triangles
FAR = 1e30
BEVEL = 0.08  # rounded edges, as a share of the smallest half extent; only the shading is rounded


@compiled
def _quadratic(a: float, b: float, c: float) -> Span:
    """Span in which a s² + 2 b s + c <= 0, for a > 0."""
    root = b * b - a * c
    if root < 0.0:
        return FAR, -FAR
    root = math.sqrt(root)
    return (-b - root) / a, (-b + root) / a


@compiled
def _below(near: float, far: float, start: float, slope: float, top: float) -> Span:
    """The span cut down to where start + s slope <= top."""
    if abs(slope) < 1e-12:
        if start > top:
            return FAR, -FAR
        return near, far
    cut = (top - start) / slope
    if slope > 0.0:
        return near, min(far, cut)
    return max(near, cut), far


@compiled
def _slab(near: float, far: float, start: float, slope: float, half: float) -> Span:
    """The span cut down to where |start + s slope| <= half."""
    near, far = _below(near, far, start, slope, half)
    return _below(near, far, -start, -slope, half)


@compiled
def _tube(r: float, ox: float, oy: float, dx: float, dy: float) -> Span:
    """Span inside an endless upright cylinder."""
    a = dx * dx + dy * dy
    c = ox * ox + oy * oy - r * r
    if a < 1e-12:
        if c > 0.0:
            return FAR, -FAR
        return -FAR, FAR
    return _quadratic(a, ox * dx + oy * dy, c)


@compiled
def _ellipsoid(a: float, b: float, c: float, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> Span:
    ox, oy, oz = ox / a, oy / b, oz / c
    dx, dy, dz = dx / a, dy / b, dz / c
    return _quadratic(dx * dx + dy * dy + dz * dz, ox * dx + oy * dy + oz * dz, ox * ox + oy * oy + oz * oz - 1.0)


@compiled
def _cone(r: float, h: float, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> Span:
    """Tip at +h, a disc of radius r at -h."""
    k = r / (2.0 * h)
    z = oz - h
    a = dx * dx + dy * dy - k * k * dz * dz
    b = ox * dx + oy * dy - k * k * z * dz
    c = ox * ox + oy * oy - k * k * z * z
    if abs(a) < 1e-9:
        a = 1e-9
    near, far = -FAR, FAR
    if a > 0.0:
        near, far = _quadratic(a, b, c)
    else:
        low, high = _quadratic(-a, -b, -c)  # the ray is outside between the two nappes
        if low <= high:
            if dz < 0.0:
                near = high
            else:
                far = low
    near, far = _below(near, far, z, dz, 0.0)
    return _below(near, far, -oz, -dz, h)


@compiled
def _capsule(r: float, h: float, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> Span:
    """A tube with a ball at each end; the union is convex, so its span runs from the first of the three to the last."""
    m = h - r
    near, far = _tube(r, ox, oy, dx, dy)
    near, far = _slab(near, far, oz, dz, m)
    if near > far:
        near, far = FAR, -FAR
    for end in (-m, m):
        low, high = _ellipsoid(r, r, r, ox, oy, oz - end, dx, dy, dz)
        near, far = min(near, low), max(far, high)
    return near, far


@compiled
def _pyramid(a: float, b: float, h: float, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> Span:
    near, far = _below(-FAR, FAR, -oz, -dz, h)
    lean = a / (2.0 * h)
    near, far = _below(near, far, ox + lean * oz, dx + lean * dz, lean * h)
    near, far = _below(near, far, -ox + lean * oz, -dx + lean * dz, lean * h)
    lean = b / (2.0 * h)
    near, far = _below(near, far, oy + lean * oz, dy + lean * dz, lean * h)
    return _below(near, far, -oy + lean * oz, -dy + lean * dz, lean * h)


@compiled
def span(kind: float, a: float, b: float, c: float, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> Span:
    """Where the ray enters and leaves the solid."""
    if kind == 0:
        return _ellipsoid(a, b, c, ox, oy, oz, dx, dy, dz)
    if kind == 2:
        near, far = _tube(a, ox, oy, dx, dy)
        return _slab(near, far, oz, dz, c)
    if kind == 3:
        return _cone(a, c, ox, oy, oz, dx, dy, dz)
    if kind == 4:
        return _capsule(a, c, ox, oy, oz, dx, dy, dz)
    if kind == 5:
        return _pyramid(a, b, c, ox, oy, oz, dx, dy, dz)
    near, far = _slab(-FAR, FAR, ox, dx, a)
    near, far = _slab(near, far, oy, dy, b)
    return _slab(near, far, oz, dz, c)


@compiled
def _share(depth: float, bevel: float) -> float:
    """How much a face that lies ``depth`` below the point's own has a say in its shading."""
    w = max(0.0, 1.0 - depth / bevel)
    return w * w


@compiled
def _pointed(a: float, b: float, c: float, x: float, y: float, z: float, bevel: float) -> tuple[float, float, float]:
    """Outward direction on a pyramid: its sides and its base, blended along the edges."""
    kx, ky = a / (2.0 * c), b / (2.0 * c)
    sx, sy = 1.0 / math.sqrt(1.0 + kx * kx), 1.0 / math.sqrt(1.0 + ky * ky)
    wx = _share((kx * (c - z) - abs(x)) * sx, bevel)
    wy = _share((ky * (c - z) - abs(y)) * sy, bevel)
    base = _share(z + c, bevel)
    return math.copysign(wx * sx, x), math.copysign(wy * sy, y), wx * sx * kx + wy * sy * ky - base


@compiled
def normal(kind: float, a: float, b: float, c: float, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Outward direction at a point of the surface, of any length but none; flat faces are blended within the bevel of an edge."""
    if kind == 0:
        return x / (a * a), y / (b * b), z / (c * c)
    bevel = BEVEL * min(a, b, c)
    if kind == 1:
        wx, wy, wz = _share(a - abs(x), bevel), _share(b - abs(y), bevel), _share(c - abs(z), bevel)
        return math.copysign(wx, x), math.copysign(wy, y), math.copysign(wz, z)
    if kind == 4:
        m = c - a
        return x, y, z - min(max(z, -m), m)
    if kind == 5:
        return _pointed(a, b, c, x, y, z, bevel)
    rho = math.sqrt(x * x + y * y) + 1e-12
    if kind == 2:
        side, cap = _share(a - rho, bevel), _share(c - abs(z), bevel)
        return side * x / rho, side * y / rho, math.copysign(cap, z)
    lean = a / (2.0 * c)
    side = _share((lean * (c - z) - rho) / math.sqrt(1.0 + lean * lean), bevel)
    return side * x / rho, side * y / rho, side * lean - _share(z + c, bevel) * math.sqrt(1.0 + lean * lean)
