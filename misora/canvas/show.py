"""A canvas as a line of text, to be read by people and by tests; it knows nothing of what fills it."""

from __future__ import annotations

from torch import Tensor

from misora.canvas.canvas import REFERENCE, Canvas


def noise_map(canvas: Canvas, row: int = 0) -> str:
    """One sign for each latent frame of a clip of the batch: 0 given, 1 to invent, .5 rework, ``r`` reference, ``m`` different inside.

    A bar stands before every S but the first, brackets around frames that are tied, dots where a ring goes on.
    """
    tied = {frame for pair in canvas.tied for frame in pair}
    signs = []
    for i, (kind, role) in enumerate(zip(canvas.kinds, canvas.roles.tolist(), strict=True)):
        sign = "r" if role == REFERENCE else _sign(canvas.level[row, i])
        sign = f"[{sign}]" if i in tied else sign
        signs.append(f"| {sign}" if kind == "S" and i else sign)
    return " ".join(["..", *signs, ".."] if canvas.ring else signs)


def _sign(level: Tensor) -> str:
    """The level [h, w] of one frame."""
    if level.min() < level.max():
        return "m"
    return f"{float(level.min()):.2g}".replace("0.", ".")
