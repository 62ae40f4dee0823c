"""A clip: pixels with their frame rate and, where they are known, captions and the truth; it knows nothing of files."""

from __future__ import annotations

import dataclasses

import numpy as np

from misora.words.graph import SceneGraph


@dataclasses.dataclass(frozen=True, kw_only=True)
class Truth:
    """What the simulator knows of a clip of t frames and k bodies. Metres; x to the right, y away from the camera, z up.

    The first ``len(graph.things)`` bodies are the graph's things in order; walls and broken pieces follow.
    """

    graph: SceneGraph
    positions: np.ndarray  # [t, k, 3] float32, centre of mass
    orientations: np.ndarray  # [t, k, 4] float32, quaternions w x y z
    velocities: np.ndarray  # [t, k, 3] float32, metres per second
    contacts: np.ndarray  # [n, 3] int32: frame, body a, body b (-1: the floor)
    visible: np.ndarray  # [t, k] float32, share of the frame's pixels that show the body
    masks: np.ndarray  # [t, h, w] uint8: 0 background, i + 1 body i
    camera: np.ndarray  # [t, 7] float32: eye xyz, target xyz, vertical field of view in degrees


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clip:
    """A piece of video: ``frames`` [t, h, w, 3] uint8 RGB at ``frame_rate`` frames per second."""

    frames: np.ndarray
    frame_rate: float
    caption: str | None = None
    truth: Truth | None = None
