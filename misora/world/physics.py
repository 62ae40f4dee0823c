"""Rigid bodies under gravity, stepped by MuJoCo and recorded frame by frame; it knows nothing of stories, colours or cameras."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt

from misora.world.mesh import Mesh

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
Floats = npt.NDArray[np.float32]

GRAVITY = 9.81  # metres per second squared
LONGEST_STEP = 0.003  # seconds; contacts of the stiffness below are then still resolved by several steps
STEPS_PER_LOOK = 4  # contacts are read after this many steps, less than one contact lasts, and at the end of a frame
STIFFNESS = 300.0**2  # of a bouncing contact, per unit of mass: it lasts pi / 300 s, about 10 ms
HULL = 64  # corners of the convex hull of a mesh, at most
ROUND = ("ball", "capsule", "egg", "cylinder", "cone")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Solid:
    """One body and its state at the beginning. Metres, seconds, kilograms; ``half`` as in ``world.shot.Body``.

    ``friction``: sliding coefficient. ``rolling``: rolling resistance, metres. ``restitution``: rebound speed over impact speed, 0 for a
    dull contact. A body with friction or restitution of its own imposes it on whatever it touches. ``fixed``: a wall, which never moves.
    """

    shape: str
    half: Vector
    position: Vector
    orientation: Quaternion = (1.0, 0.0, 0.0, 0.0)
    velocity: Vector = (0.0, 0.0, 0.0)
    spin: Vector = (0.0, 0.0, 0.0)  # radians per second about the world's axes
    mass: float = 1.0
    friction: float | None = None
    rolling: float = 0.0005
    restitution: float = 0.0
    fixed: bool = False
    mesh: Mesh | None = None  # collides by its convex hull in place of the shape
    hinge: Vector | None = None  # the point about which it swings, free only to turn about the y axis: a pendulum


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kick:
    """At ``time`` seconds the body's velocity and spin become these."""

    time: float
    body: int
    velocity: Vector
    spin: Vector = (0.0, 0.0, 0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Burst:
    """At its first touch ``body`` vanishes and ``pieces`` take its place: their positions are offsets in its frame."""

    body: int
    pieces: tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """What happened: t frames of k bodies. ``positions`` are of the bodies' own frames, ``masses_at`` of their centres of mass."""

    positions: Floats  # t k 3
    orientations: Floats  # t k 4
    masses_at: Floats  # t k 3
    velocities: Floats  # t k 3, of the centres of mass
    present: npt.NDArray[np.bool_]  # t k
    contacts: npt.NDArray[np.int32]  # n 3: frame, body a, body b (-1: the floor); since the frame before, where one of them can move


def simulate(
    solids: Sequence[Solid],
    *,
    seconds: float,
    frame_rate: float,
    kicks: Sequence[Kick] = (),
    bursts: Sequence[Burst] = (),
    gravity: float = GRAVITY,
    beat: float | None = None,
) -> Record:
    """Step the solids for ``seconds`` and record ``round(seconds * frame_rate) + 1`` frames. Deterministic.

    With a ``beat`` all happens as it does at that frame rate, where its steps go evenly into these frames: twice its rate, every second
    frame is the same.
    """
    beat = beat if beat and frame_rate % beat == 0 and _steps(beat) * beat % frame_rate == 0 else frame_rate
    steps = round(_steps(beat) * beat / frame_rate)  # in a frame
    world = _World(solids, timestep=1.0 / (beat * _steps(beat)), gravity=gravity, bursts=bursts)
    waiting = sorted((max(0, math.ceil(kick.time * beat - 0.5)) / beat, number) for number, kick in enumerate(kicks))  # when, which
    world.write_frame()
    for frame in range(1, round(seconds * frame_rate) + 1):
        while waiting and waiting[0][0] <= (frame - 0.5) / frame_rate:
            world.kick(kicks[waiting.pop(0)[1]])
        for number in range((frame - 1) * steps + 1, frame * steps + 1):
            if number % STEPS_PER_LOOK == 0 or number == frame * steps:
                mujoco.mj_step(world.model, world.data, number - world.steps)
                world.steps = number
                world.look(frame, acts=number % STEPS_PER_LOOK == 0)
        world.write_frame()
    return world.record()


def _steps(frame_rate: float) -> int:
    """How many steps a frame takes at a rate: whole looks, none of them longer than is safe."""
    return STEPS_PER_LOOK * math.ceil(1.0 / (frame_rate * LONGEST_STEP * STEPS_PER_LOOK))


def rest(solids: Sequence[Solid], *, frames: int) -> Record:
    """The record of upright solids of which none moves, without any simulation."""

    def still(rows: Sequence[Sequence[float]]) -> Floats:
        return np.repeat(np.asarray(rows, np.float32)[None], frames, axis=0)

    positions = still([solid.position for solid in solids])  # t k 3
    sunk = still(
        [(0.0, 0.0, -0.5 * solid.half[2] if solid.shape in ("cone", "pyramid") and not solid.mesh else 0.0) for solid in solids]
    )  # t k 3
    return Record(
        positions=positions,
        orientations=still([solid.orientation for solid in solids]),
        masses_at=positions + sunk,  # a cone's centre of mass is a quarter of the way up
        velocities=np.zeros_like(positions),
        present=np.ones(positions.shape[:2], np.bool_),
        contacts=np.zeros((0, 3), np.int32),
    )


class _World:
    """MuJoCo's model and state, and the rows recorded so far."""

    def __init__(self, solids: Sequence[Solid], *, timestep: float, gravity: float, bursts: Sequence[Burst]) -> None:
        self.solids = solids
        self.bursts = list(bursts)
        self.model = mujoco.MjModel.from_xml_string(_describe(solids, timestep, gravity))
        self.data = mujoco.MjData(self.model)
        self.present = np.ones(len(solids), np.bool_)
        self.rows: list[tuple[npt.NDArray[Any], ...]] = []
        self.contacts: set[tuple[int, int, int]] = set()
        self.steps = 0  # so far
        free = [not (solid.fixed or solid.hinge) for solid in solids]
        joints = [int(joint) if is_free else -1 for joint, is_free in zip(self.model.body_jntadr[1:], free, strict=True)]
        self.pose_at = [int(self.model.jnt_qposadr[joint]) if joint >= 0 else -1 for joint in joints]  # -1: not free
        self.speed_at = [int(self.model.jnt_dofadr[joint]) if joint >= 0 else -1 for joint in joints]
        for body, solid in enumerate(solids):
            self._set_velocity(body, solid.velocity, solid.spin)
        for burst in bursts:
            for piece in burst.pieces:
                self._let_through(piece)

    def kick(self, kick: Kick) -> None:
        if self.present[kick.body]:
            self._set_velocity(kick.body, kick.velocity, kick.spin)

    def look(self, frame: int, *, acts: bool) -> None:
        """Note who touches whom, and where it ``acts`` burst what was to burst at a touch."""
        if not self.data.ncon:
            return
        for a, b in self.data.contact.geom.tolist():  # geom 0 is the floor, geom i + 1 belongs to body i
            self.contacts.add((frame, max(a, b) - 1, min(a, b) - 1))
            for burst in tuple(self.bursts) if acts else ():
                if burst.body in (a - 1, b - 1):
                    self.bursts.remove(burst)
                    self._burst(burst)

    def write_frame(self) -> None:
        data = self.data
        mujoco.mj_kinematics(self.model, data)
        rotations = data.xmat[1:].reshape(-1, 3, 3).copy()
        velocities = np.zeros((len(self.solids), 6))
        for body, at in enumerate(self.speed_at):
            if at >= 0:
                velocities[body] = data.qvel[at : at + 6]
        self.rows.append((data.xpos[1:].copy(), data.xquat[1:].copy(), data.xipos[1:].copy(), rotations, velocities, self.present.copy()))

    def record(self) -> Record:
        positions, orientations, masses_at, rotations, velocities, present = (np.stack(column) for column in zip(*self.rows, strict=True))
        spins = np.einsum("tkij,tkj->tki", rotations, velocities[..., 3:])  # MuJoCo keeps a free body's spin in the body's own frame
        return Record(
            positions=positions.astype(np.float32),
            orientations=orientations.astype(np.float32),
            masses_at=masses_at.astype(np.float32),
            velocities=(velocities[..., :3] + np.cross(spins, masses_at - positions)).astype(np.float32),
            present=present,
            contacts=np.array(sorted(self.contacts), np.int32).reshape(-1, 3),
        )

    def _set_velocity(self, body: int, velocity: Vector, spin: Vector) -> None:
        pose, at = self.pose_at[body], self.speed_at[body]
        if at < 0:
            return
        turn = np.empty(9)
        mujoco.mju_quat2Mat(turn, self.data.qpos[pose + 3 : pose + 7])
        self.data.qvel[at : at + 3] = velocity
        self.data.qvel[at + 3 : at + 6] = turn.reshape(3, 3).T @ np.asarray(spin)

    def _let_through(self, body: int) -> None:
        """Take a body out of the play: it touches nothing and is not there."""
        self.present[body] = False
        self.model.geom_contype[body + 1] = self.model.geom_conaffinity[body + 1] = 0

    def _burst(self, burst: Burst) -> None:
        start = self.pose_at[burst.body]
        pose = self.data.qpos[start : start + 7].copy()
        turn = np.empty(9)
        mujoco.mju_quat2Mat(turn, pose[3:])
        for piece in burst.pieces:
            at = self.pose_at[piece]
            self.data.qpos[at : at + 3] = pose[:3] + turn.reshape(3, 3) @ np.asarray(self.solids[piece].position)
            self.data.qpos[at + 3 : at + 7] = pose[3:]
            self._set_velocity(piece, self.solids[piece].velocity, self.solids[piece].spin)
            self.model.geom_contype[piece + 1] = self.model.geom_conaffinity[piece + 1] = 1
            self.present[piece] = True
        self._let_through(burst.body)


def _describe(solids: Sequence[Solid], timestep: float, gravity: float) -> str:
    """The scene in MuJoCo's own XML: geom 0 is the floor, then one geom for each solid, in order."""
    meshes = "".join(_mesh(number, solid) for number, solid in enumerate(solids) if solid.mesh or solid.shape in ("cone", "pyramid"))
    bodies = "".join(_body(number, solid) for number, solid in enumerate(solids))
    return (
        f'<mujoco><option timestep="{timestep:.9f}" gravity="0 0 {-gravity}" cone="elliptic" iterations="30"/>'
        f'<default><geom solref="0.01 1"/></default><asset>{meshes}</asset>'
        f'<worldbody><geom type="plane" size="50 50 1" friction="0.9 0.005 0.0001"/>{bodies}</worldbody></mujoco>'
    )


def _body(number: int, solid: Solid) -> str:
    joint = "" if solid.fixed else "<freejoint/>"
    if solid.hinge:
        joint = f'<joint axis="0 1 0" pos="{_text([h - p for h, p in zip(solid.hinge, solid.position, strict=True)])}"/>'
    own = solid.friction is not None or solid.restitution > 0.0
    priority = 2 if solid.restitution > 0.0 else int(own)
    friction = 0.9 if solid.friction is None else max(solid.friction, 1e-5)
    return (
        f'<body pos="{_text(solid.position)}" quat="{_text(solid.orientation)}">{joint}'
        f'<geom {_form(number, solid)} mass="{solid.mass}" condim="{6 if solid.shape in ROUND else 3}" priority="{priority}" '
        f'friction="{friction} {min(0.003, friction)} {solid.rolling}" {_rebound(solid.restitution)}/></body>'
    )


def _form(number: int, solid: Solid) -> str:
    if solid.mesh:
        return f'type="mesh" mesh="m{number}"'
    x, y, z = solid.half
    forms = {
        "ball": f'type="sphere" size="{x}"',
        "cylinder": f'type="cylinder" size="{x} {z}"',
        "capsule": f'type="capsule" size="{x} {z - x}"',
        "egg": f'type="ellipsoid" size="{x} {y} {z}"',
        "cone": f'type="mesh" mesh="m{number}"',
        "pyramid": f'type="mesh" mesh="m{number}"',
    }
    return forms.get(solid.shape, f'type="box" size="{x} {y} {z}"')


def _mesh(number: int, solid: Solid) -> str:
    if solid.mesh:
        known = np.unique(solid.mesh.corners.reshape(-1, 3).round(6), axis=0)  # v 3
        return f'<mesh name="m{number}" maxhullvert="{HULL}" vertex="{" ".join(_text(point) for point in known.tolist())}"/>'
    x, y, z = solid.half
    corners = 4 if solid.shape == "pyramid" else 24
    stretch = math.sqrt(2.0) if corners == 4 else 1.0  # a square's corners lie further out than its sides
    turns = [2.0 * math.pi * (i + 0.5) / corners for i in range(corners)]
    points = [(stretch * x * math.cos(a), stretch * y * math.sin(a), -z) for a in turns] + [(0.0, 0.0, z)]
    return f'<mesh name="m{number}" vertex="{" ".join(_text(point) for point in points)}"/>'


def _rebound(restitution: float) -> str:
    """A damped spring whose rebound is ``restitution``: its damping ratio z solves exp(-pi z / sqrt(1 - z^2)) = restitution."""
    if restitution <= 0.0:
        return ""
    log = math.log(restitution)
    ratio = -log / math.sqrt(math.pi**2 + log**2)
    return f'solref="{-STIFFNESS} {-2.0 * ratio * math.sqrt(STIFFNESS)}" solimp="0.98 0.98 0.001"'


def _text(numbers: Sequence[float]) -> str:
    return " ".join(f"{number:.6f}" for number in numbers)
