"""Where the things of a scene stand and from where the camera sees them; it knows nothing of verbs, physics or pixels."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from misora.words.graph import Card, Relation, Thing
from misora.world.physics import Burst, Kick, Quaternion, Solid, Vector

Floats = npt.NDArray[np.float32]

HALF_SIZES = {"small": 0.20, "medium": 0.30, "large": 0.42}  # metres
FORMS: dict[str, Vector] = {  # half extents for a half size of one
    "ball": (1.0, 1.0, 1.0),
    "cube": (0.9, 0.9, 0.9),
    "cylinder": (0.75, 0.75, 1.1),
    "cone": (1.0, 1.0, 1.2),
    "capsule": (0.62, 0.62, 1.25),
    "block": (0.6, 0.45, 1.3),
    "pyramid": (1.0, 1.0, 1.0),
    "egg": (0.8, 0.8, 1.1),
}
LYING = ("capsule", "egg")  # their axis lies along x, for they do not stand
EYE: Vector = (0.0, -5.2, 1.7)  # metres
TARGET: Vector = (0.0, 0.0, 0.55)
LENS = 19.75  # degrees, vertical: shows 3.4 m of the stage's middle in a picture of 96 x 176
NARROWEST = 2.4  # metres of the stage that any picture shows
LANE = 0.9  # metres between things that pass each other, at least
GAP = 0.12  # metres between things that stand side by side


@dataclasses.dataclass(kw_only=True)
class Part:
    """One thing on its way to the stage: what the verbs ask for it, then the place that ``place`` gives it."""

    shape: str
    half: Vector
    yaw: float
    meshed: bool = False  # a mesh stands in the shape's place: upright, and for its room and its faces a block
    pinned: tuple[float, float] | None = None  # range of x at the start as shares of the stage's half width; None: in the row
    lane: int | None = None  # the part whose lane it shares; its own number: a lane for itself; None: the row's lane
    rear: bool = False  # its lane is behind all others
    on: int | None = None  # stands above this part
    beside: tuple[int, float] | None = None  # stands at this part's place, moved by so many metres in y
    lift: float = 0.0  # metres of air below it
    sweep: float = 0.0  # metres to its right (negative: left) that it needs for its fall
    velocity: Vector = (0.0, 0.0, 0.0)
    spin: Vector = (0.0, 0.0, 0.0)
    friction: float | None = None
    rolling: float = 0.0005
    restitution: float = 0.0
    x: float = 0.0
    y: float = 0.0

    @property
    def lying(self) -> bool:
        return self.shape in LYING and not self.meshed

    @property
    def faced(self) -> bool:
        """True where it has a face that may be turned to the camera."""
        return self.shape in ("cube", "block", "pyramid") or self.meshed

    @property
    def height(self) -> float:
        """Half its height as it stands, metres."""
        return self.half[0] if self.lying else self.half[2]

    @property
    def width(self) -> float:
        """Half its width as the camera sees it, metres."""
        x, y = (self.half[2], self.half[0]) if self.lying else self.half[:2]
        if not (self.faced or self.lying):
            return x
        return abs(math.cos(self.yaw)) * x + abs(math.sin(self.yaw)) * y

    @property
    def reach(self) -> float:
        """The radius of ground that it covers however it is turned, metres."""
        x, y = (self.half[2], self.half[0]) if self.lying else self.half[:2]
        return math.hypot(x, y) if self.faced else max(x, y)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wall:
    """A wall that stands at a share ``x`` of the stage's half width, ``dy`` metres from the middle of a part's lane."""

    x: float
    lane: int
    dy: float
    half: Vector


@dataclasses.dataclass(frozen=True, kw_only=True)
class View:
    """What the camera shows: ``reach``, half the width seen at the stage's middle, and ``top``, the height seen there. Metres."""

    reach: float
    top: float
    distance: float  # factor on the camera's usual distance

    def reach_at(self, y: float) -> float:
        """Half the width that is safely seen y metres behind the stage's middle."""
        return 0.94 * self.reach * (1.0 + y / (self.distance * math.dist(EYE, TARGET)))


@dataclasses.dataclass(kw_only=True)
class Draft:
    """A stage in the making: one part for each thing, in order, then whatever the verbs add."""

    view: View
    parts: list[Part]
    walls: list[Wall] = dataclasses.field(default_factory=list)
    kicks: list[Kick] = dataclasses.field(default_factory=list)
    broken: list[int] = dataclasses.field(default_factory=list)
    used: set[int] = dataclasses.field(default_factory=set)  # the parts that some act names; the others stand like rocks


class Unplaceable(Exception):
    """The things found no room; the caller draws again."""


def form(thing: Thing, rng: np.random.Generator) -> tuple[str, Vector]:
    """Shape and half extents of a thing, give or take 8 %."""
    scale = HALF_SIZES[thing.size or "medium"] * (1.0 + 0.08 * (2.0 * rng.random() - 1.0))
    x, y, z = FORMS[thing.shape]
    return thing.shape, (scale * x, scale * y, scale * z)


def new_part(shape: str, half: Vector, rng: np.random.Generator, meshed: bool = False) -> Part:
    """A part that nothing was asked for yet; a thing that lies shows its side, a mesh its front."""
    turn = 0.35 if meshed or shape in LYING else math.pi
    return Part(shape=shape, half=half, yaw=turn * (2.0 * rng.random() - 1.0), meshed=meshed)


def look_at(size: tuple[int, int], halves: list[Vector], *, roomy: float = 1.0) -> View:
    """The view for a picture of ``size`` (h, w), so far back that the things fit in a row."""
    height, width = size
    usual = math.dist(EYE, TARGET) * math.tan(math.radians(LENS / 2.0))
    needed = (sum(2.1 * max(half) for half in halves) + GAP * (len(halves) + 1)) / (2.0 * 0.85)
    distance = max(1.0, NARROWEST / 2.0 * height / width / usual, needed * height / width / usual) * roomy
    return View(reach=usual * distance * width / height, top=TARGET[2] + 0.95 * usual * distance, distance=distance)


def place(draft: Draft, relations: tuple[Relation, ...], rng: np.random.Generator) -> None:
    """Give every part an x and a y that the verbs and the relations allow, else raise ``Unplaceable``."""
    for relation in relations:
        _depth(draft.parts, relation, rng)
    _lanes(draft, rng)
    sides = [(r.a, r.b) if r.kind == "left_of" else (r.b, r.a) for r in relations if r.kind in ("left_of", "right_of")]
    for _ in range(60):
        _row(draft, sides, rng)
        for part in draft.parts:
            if part.pinned:
                part.x = draft.view.reach * (part.pinned[0] + (part.pinned[1] - part.pinned[0]) * rng.random())
        for part in draft.parts:
            if part.beside:
                other = draft.parts[part.beside[0]]
                shift = (0.6 + 0.25 * rng.random()) * (part.width + other.width) * (1.0 if rng.random() < 0.5 else -1.0)
                part.x, part.y = other.x + shift, other.y + part.beside[1]
            room = draft.view.reach_at(part.y) - part.width
            part.x = min(max(part.x, -room), room)
        for part in draft.parts:
            if part.on is not None:
                part.x, part.y = draft.parts[part.on].x, draft.parts[part.on].y
        if _fits(draft, sides):
            return
    raise Unplaceable


def _depth(parts: list[Part], relation: Relation, rng: np.random.Generator) -> None:
    """Bind a to b where the relation is one of depth or height."""
    if relation.kind == "on_top_of":
        parts[relation.a].on = relation.b
    elif relation.kind in ("in_front_of", "behind"):
        sign = -1.0 if relation.kind == "in_front_of" else 1.0
        parts[relation.a].beside = (relation.b, sign * (0.95 + 0.15 * rng.random()))


def _lanes(draft: Draft, rng: np.random.Generator) -> None:
    """Part the stage into lanes from front to back: one for the row and one for each that travels."""
    parts = draft.parts
    own = [i for i, part in enumerate(parts) if part.lane == i]
    row: list[int | None] = [None] if any(p.lane is None and p.on is None and p.beside is None for p in parts) else []
    lanes = [([*row, *own])[int(i)] for i in rng.permutation(len(row) + len(own))]
    lanes.sort(key=lambda lane: lane is not None and parts[lane].rear)
    apart = max(LANE, 2.0 * max(part.reach for part in parts) + 0.06)
    for part in parts:
        if part.lane in lanes:
            part.y = (lanes.index(part.lane) - (len(lanes) - 1) / 2.0) * apart
    jitter = 0.1 * (2.0 * rng.random() - 1.0)
    for part in parts:
        part.y += jitter
        if part.beside:  # the two of them share the stage's depth
            parts[part.beside[0]].y -= part.beside[1] / 2.0


def _row(draft: Draft, sides: list[tuple[int, int]], rng: np.random.Generator) -> None:
    """Put the parts of the row side by side in an order that ``sides`` (left, right) allows, the slack shared out at random."""
    row = [i for i, part in enumerate(draft.parts) if part.pinned is None and part.on is None and part.beside is None]
    order: list[int] = []
    while len(order) < len(row):
        ready = [i for i in row if i not in order and all(a in order or a not in row for a, b in sides if b == i)]
        if not ready:  # each is said to stand left of the other
            raise Unplaceable
        order.append(ready[int(rng.integers(len(ready)))])
    widths = [draft.parts[i].reach for i in order]
    slack = 1.75 * draft.view.reach - sum(2.0 * width for width in widths) - GAP * (len(order) - 1)
    if slack < 0.0:
        raise Unplaceable
    cuts = np.sort(rng.random(len(order))) * slack
    x = -0.875 * draft.view.reach
    for i, width, cut in zip(order, widths, cuts, strict=True):
        draft.parts[i].x = x + width + float(cut)
        x += 2.0 * width + GAP


def _fits(draft: Draft, sides: list[tuple[int, int]]) -> bool:
    """True where the told order holds by a margin and nothing overlaps anything it is not bound to."""
    parts = draft.parts
    if any(parts[b].x - parts[a].x < parts[a].width + parts[b].width for a, b in sides):
        return False
    for j, b in enumerate(parts):
        for i, a in enumerate(parts[:j]):
            if a.on == j or b.on == i or (a.beside and a.beside[0] == j) or (b.beside and b.beside[0] == i):
                continue
            left, right = (a, b) if a.x < b.x else (b, a)
            touching = abs(a.y - b.y) < a.reach + b.reach + 0.04
            room = a.reach + b.reach + max(left.sweep, 0.0) + max(-right.sweep, 0.0) + 0.04
            if right.x - left.x < (room if touching else 0.8 * (a.width + b.width)):
                return False
    for wall in draft.walls:  # must not be hidden
        x, y = wall.x * draft.view.reach, parts[wall.lane].y + wall.dy
        if any(part.y < y and abs(part.x - x) < 0.7 * (part.width + wall.half[0]) for part in parts):
            return False
    return True


def quaternion(part: Part) -> Quaternion:
    """How the part is turned, w x y z: laid on its side where it lies, then turned by its yaw."""
    c, s = math.cos(part.yaw / 2.0), math.sin(part.yaw / 2.0)
    if not part.lying:
        return (c, 0.0, 0.0, s)
    r = math.sqrt(0.5)
    return (c * r, -s * r, c * r, s * r)


def solids(draft: Draft) -> list[Solid]:
    """The placed parts, then the walls, as the physics wants them."""
    parts = draft.parts
    made = [
        Solid(
            shape=part.shape,
            half=part.half,
            position=(part.x, part.y, part.height + part.lift + (2.0 * parts[part.on].height if part.on is not None else 0.0)),
            orientation=quaternion(part),
            velocity=part.velocity,
            spin=part.spin,
            friction=part.friction,
            rolling=part.rolling,
            restitution=part.restitution,
            fixed=i not in draft.used,
        )
        for i, part in enumerate(parts)
    ]
    for wall in draft.walls:
        position = (wall.x * draft.view.reach, parts[wall.lane].y + wall.dy, wall.half[2])
        made.append(Solid(shape="wall", half=wall.half, position=position, fixed=True))
    return made


def shatter(solids: list[Solid], body: int, rng: np.random.Generator) -> tuple[list[Solid], Burst]:
    """The eight pieces that the body bursts into at its first touch: its box, cut at random in each axis."""
    half = [0.85 * extent for extent in solids[body].half]
    cuts = [0.35 * extent * (2.0 * rng.random() - 1.0) for extent in half]
    pieces = []
    for corner in np.ndindex(2, 2, 2):
        lows = [cut if side else -extent for side, cut, extent in zip(corner, cuts, half, strict=True)]
        highs = [extent if side else cut for side, cut, extent in zip(corner, cuts, half, strict=True)]
        middle = np.array([(low + high) / 2.0 for low, high in zip(lows, highs, strict=True)])
        away = 1.6 * middle / np.linalg.norm(middle) * (0.7 + 0.6 * rng.random())
        pieces.append(
            Solid(
                shape="shard",
                half=_vector([0.47 * (high - low) for low, high in zip(lows, highs, strict=True)]),
                position=_vector(middle),
                velocity=(float(away[0]), float(away[1]), 0.8 + 0.8 * rng.random()),
                spin=_vector(8.0 * rng.random(3) - 4.0),
                mass=0.125,
            )
        )
    first = len(solids)
    return pieces, Burst(body=body, pieces=tuple(range(first, first + len(pieces))))


def _vector(numbers: npt.ArrayLike) -> Vector:
    x, y, z = (float(number) for number in np.asarray(numbers))
    return (x, y, z)


def film(cards: Sequence[Card], times: npt.NDArray[np.float64], view: View, rng: np.random.Generator) -> Floats:
    """The camera at each of the times of a take: it moves as its cards say, each going on where the card before ended. t 7."""
    moves = ("pan", "orbit", "zoom")
    amounts = ((0.3 + 0.15 * rng.random()) * view.reach, 0.45 + 0.25 * rng.random(), 0.35 + 0.15 * rng.random())  # metres, radians, log
    now = np.array([0.0, 0.06 * (2.0 * rng.random() - 1.0), 0.0])
    path = np.tile(now, (len(times), 1))  # t 3: pan, orbit, zoom
    for number, card in enumerate(cards):
        kind, _, way = card.camera.partition("_")
        if kind not in moves:
            continue
        column = moves.index(kind)
        total = amounts[column] if way in ("right", "in") else -amounts[column]
        begin = now[column] - (0.45 * total if number == 0 else 0.0)
        during = times >= card.start - 1e-6
        share = np.clip((times[during] - card.start) / (card.end - card.start), 0.0, 1.0)
        path[during, column] = begin + total * share
        now[column] = begin + total
    return _camera(path, view, rng)


def _camera(path: npt.NDArray[np.float64], view: View, rng: np.random.Generator) -> Floats:
    """Eye, target and lens for shifts of the target, azimuths about it and zooms; a little jitter for the whole take."""
    jitter = 0.05 * (2.0 * rng.random(3) - 1.0)
    away, up = (TARGET[1] - EYE[1]) * view.distance, (EYE[2] - TARGET[2]) * view.distance * (1.0 + 2.0 * jitter[2])
    middle = np.array(TARGET) + (jitter[0], 0.0, 0.4 * jitter[1])
    eye = middle + np.stack([away * np.sin(path[:, 1]), -away * np.cos(path[:, 1]), np.full(len(path), up)], axis=1)  # t 3
    target = middle + np.stack([path[:, 0], 0.0 * path[:, 0], 0.0 * path[:, 0]], axis=1)  # t 3
    lens = LENS * np.exp(-path[:, 2])
    return np.concatenate([eye, target, lens[:, None]], axis=1).astype(np.float32)  # t 7


def project(points: Floats, camera: Floats, aspect: float) -> Floats:
    """Where the camera sees points (t k 3): t k 2, -1 at the left and lower edges, 1 at the right and upper ones. ``aspect``: w / h."""
    ahead = camera[:, 3:6] - camera[:, :3]  # t 3
    ahead = ahead / np.linalg.norm(ahead, axis=1, keepdims=True)
    right = np.cross(ahead, (0.0, 0.0, 1.0))  # t 3
    right = right / np.linalg.norm(right, axis=1, keepdims=True)
    up = np.cross(right, ahead)  # t 3
    rays = points - camera[:, None, :3]  # t k 3
    depth = np.einsum("tkc,tc->tk", rays, ahead) * np.tan(np.radians(camera[:, 6:7]) / 2.0)  # t k
    u = np.einsum("tkc,tc->tk", rays, right) / (depth * aspect)
    return np.stack([u, np.einsum("tkc,tc->tk", rays, up) / depth], axis=-1).astype(np.float32)  # t k 2
