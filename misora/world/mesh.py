"""Solids of triangles, read from OBJ and STL files that strangers made; it knows nothing of physics or of pixels."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from misora.client.errors import MediaError

Floats = npt.NDArray[np.float64]
Vector = tuple[float, float, float]

BYTES = 20_000_000
FACES = 20_000
VERTICES = 60_000
FLATTEST = 1e-3  # of its longest side: anything thinner is no solid
RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("colour", "<u2")])  # a triangle of a binary STL


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Mesh:
    """Triangles [n, 3 corners, 3] around the middle of their bounding box."""

    corners: Floats

    @property
    def half(self) -> Vector:
        """Half extents of the bounding box."""
        x, y, z = (float(side) for side in np.abs(self.corners).max((0, 1)))
        return (x, y, z)

    def sized(self, half: Vector) -> Mesh:
        """As large as a box of these half extents: its own box has that volume, unless it would be longer than the longest side."""
        scale = min((math.prod(half) / math.prod(self.half)) ** (1 / 3), max(half) / max(self.half))
        return dataclasses.replace(self, corners=self.corners * scale)


def read_mesh(path: str | Path, *, up: str = "z") -> Mesh:
    """The mesh of a file; ``up`` says which of its axes, y or z, points up. Raises MediaError, in one sentence, for what is no solid."""
    path = Path(path)
    try:
        if path.stat().st_size > BYTES:
            raise MediaError(f"{path.name} has {path.stat().st_size:,} bytes; simplify the mesh to {BYTES:,} or fewer.")
        if not path.is_file():  # a device would be read for ever
            raise MediaError(f"The mesh {path} cannot be read (it is no file); check the name.")
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = error.strerror if isinstance(error, OSError) else error
        raise MediaError(f"The mesh {str(path)!r} cannot be read ({reason}); check the name.") from None
    try:
        if path.suffix.lower() == ".obj":
            corners = _obj(data.decode("utf-8", "replace"))
        elif path.suffix.lower() == ".stl":
            corners = _stl(data)
        else:
            raise MediaError(f"{path.name} is no mesh known here; give an .obj or an .stl file.")
    except (ValueError, IndexError, OverflowError):
        raise MediaError(f"{path.name} is damaged or no mesh; export it again as OBJ or STL.") from None
    return _sound(corners, path.name, up)


def _sound(corners: Floats, name: str, up: str) -> Mesh:
    """The mesh centred and upright, if it is one that can be simulated and drawn. Raises MediaError."""
    if not len(corners):
        raise MediaError(f"{name} holds no triangle; export it again with its faces.")
    if len(corners) > FACES:
        raise MediaError(f"{name} has {len(corners):,} triangles; simplify the mesh to {FACES:,} or fewer.")
    if not np.isfinite(corners).all() or np.abs(corners).max() > 1e6:
        raise MediaError(f"{name} has corners that are no numbers or further away than a million; mend the mesh.")
    if up == "y":
        corners = np.stack((corners[..., 0], -corners[..., 2], corners[..., 1]), -1)  # n 3 3
    low, high = corners.min((0, 1)), corners.max((0, 1))
    size = float((high - low).max())
    if size <= 1e-9 or _thickness(corners / size) <= FLATTEST:
        raise MediaError(f"{name} is flat; give a mesh of a solid.")
    return Mesh(corners=(corners - (low + high) / 2) / (size / 2))


def _thickness(corners: Floats) -> float:
    """How thick it is where it is thinnest, however it is turned."""
    points = corners.reshape(-1, 3) - corners.mean((0, 1))  # v 3
    return float(np.ptp(points @ np.linalg.eigh(points.T @ points)[1], axis=0).min())


def _obj(text: str) -> Floats:
    """Triangles of Wavefront's text: its vertices and faces, polygons as fans; everything else is passed over."""
    vertices: list[list[float]] = []
    faces: list[tuple[int, int, int]] = []
    for line in text.splitlines():
        word, *rest = line.split() or [""]
        if word == "v":
            vertices.append([float(number) for number in rest[:3]])
        elif word == "f":
            faces.extend(_fan([int(corner.split("/")[0]) for corner in rest], len(vertices)))
        if len(faces) > FACES or len(vertices) > VERTICES:
            break
    if len(vertices) > VERTICES:
        raise MediaError(f"The mesh has more than {VERTICES:,} corners; simplify it.")
    points = np.array(vertices, np.float64).reshape(-1, 3)  # v 3
    return points[np.array(faces, np.int64).reshape(-1, 3)]  # n 3 3


def _fan(corners: list[int], known: int) -> Iterator[tuple[int, int, int]]:
    """A polygon's triangles; numbers count from 1, or from the end where they are below 0."""
    places = [corner - 1 if corner > 0 else known + corner for corner in corners]
    if len(places) < 3 or min(places) < 0 or max(places) >= known:
        raise ValueError("a face without its corners")
    for second, third in zip(places[1:], places[2:], strict=False):
        yield places[0], second, third


def _stl(data: bytes) -> Floats:
    """Triangles of a binary STL, or of its text."""
    count = int.from_bytes(data[80:84], "little")
    if len(data) >= 84 and len(data) == 84 + RECORD.itemsize * count:
        return np.frombuffer(data, RECORD, offset=84)["corners"].astype(np.float64)  # n 3 3
    if not data[:200].lstrip().startswith(b"solid"):
        raise ValueError("neither kind of STL")
    rows = [line.split()[1:4] for line in data.decode("ascii", "replace").splitlines() if line.split()[:1] == ["vertex"]]
    return np.array(rows, np.float64).reshape(-1, 3, 3)
