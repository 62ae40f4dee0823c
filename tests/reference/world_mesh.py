"""The slow twin of meshes: every line against every triangle, by solving for the place; it shares nothing with the renderer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def places(corners: Array, origin: Array, direction: Array) -> Array:
    """Sorted ray parameters at which a line meets triangles [n, 3, 3]."""
    met = []
    for a, b, c in corners:
        matrix = np.stack((direction, a - b, a - c), 1)
        if abs(np.linalg.det(matrix)) > 1e-12:
            t, u, v = np.linalg.solve(matrix, a - origin)
            if u >= 0 and v >= 0 and u + v <= 1:
                met.append(t)
    return np.sort(met)
