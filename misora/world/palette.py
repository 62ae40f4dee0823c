"""Colours, lights and styles: the numbers behind the words; it knows nothing of rays."""

from __future__ import annotations

import dataclasses

Colour = tuple[float, float, float]

COLOURS: dict[str, Colour] = {
    "red": (0.86, 0.10, 0.10),
    "orange": (0.97, 0.50, 0.05),
    "yellow": (0.98, 0.87, 0.12),
    "green": (0.10, 0.62, 0.18),
    "cyan": (0.10, 0.80, 0.86),
    "blue": (0.12, 0.26, 0.88),
    "purple": (0.50, 0.16, 0.72),
    "pink": (0.99, 0.52, 0.71),
    "brown": (0.42, 0.23, 0.10),
    "white": (0.97, 0.97, 0.97),
    "grey": (0.48, 0.48, 0.50),
    "black": (0.08, 0.08, 0.09),
    "wall": (0.82, 0.76, 0.68),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Light:
    """``sun``: direction to it, for a sun on the right. Lights are linear and add up to about 1 on a face turned to the sun.

    ``above``, ``below``: light from the sky and from the floor. ``horizon``, ``zenith``: display colours of the sky.
    """

    sun: Colour
    sunlight: Colour
    above: Colour
    below: Colour
    horizon: Colour
    zenith: Colour


@dataclasses.dataclass(frozen=True, kw_only=True)
class Style:
    """``gloss``: highlight. ``wrap``: how far light reaches round a body. ``soft``: width of shadow edges, in radii of what casts them.

    ``bands``: 1 for stepped shading. ``grey``: 1 for no colour. ``milk``: share of white in every colour.
    """

    gloss: float = 0.35
    wrap: float = 0.0
    soft: float = 0.2
    bands: float = 0.0
    grey: float = 0.0
    milk: float = 0.0


LIGHTS = {
    "day": Light(
        sun=(0.50, -0.38, 0.86),
        sunlight=(0.74, 0.70, 0.63),
        above=(0.30, 0.33, 0.38),
        below=(0.16, 0.15, 0.14),
        horizon=(0.84, 0.89, 0.93),
        zenith=(0.50, 0.66, 0.86),
    ),
    "sunset": Light(
        sun=(0.74, -0.38, 0.55),
        sunlight=(0.84, 0.64, 0.43),
        above=(0.27, 0.24, 0.30),
        below=(0.13, 0.10, 0.09),
        horizon=(0.97, 0.74, 0.55),
        zenith=(0.55, 0.42, 0.60),
    ),
    "night": Light(
        sun=(0.42, -0.38, 0.88),
        sunlight=(0.29, 0.32, 0.42),
        above=(0.11, 0.12, 0.17),
        below=(0.05, 0.054, 0.07),
        horizon=(0.30, 0.34, 0.50),
        zenith=(0.10, 0.12, 0.26),
    ),
}

STYLES = {
    "realistic": Style(),
    "toon": Style(gloss=0.0, soft=0.06, bands=1.0),
    "clay": Style(gloss=0.0, wrap=0.35, soft=0.8, milk=0.06),
    "monochrome": Style(grey=1.0),
}
