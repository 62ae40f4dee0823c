"""The verbs: one function for each says how its actor begins; it knows nothing of where the things stand or how they are drawn."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from misora.words.graph import Act
from misora.world.physics import GRAVITY, Kick, Vector
from misora.world.stage import Draft, Part, Wall

SLICK = 0.012  # friction of a thing that slides: it loses 0.12 m/s each second
EASY = 0.001  # metres; a rolling resistance below this hardly slows a ball
WALL_THICKNESS = 0.05  # metres, half


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span:
    """The time of a card within its take, in seconds. ``settles``: another card follows, in which the thing must be at rest again."""

    start: float
    seconds: float
    settles: bool

    @property
    def first(self) -> bool:
        return self.start == 0.0

    @property
    def brakes(self) -> bool:
        """True where a traveller comes to a stop within the card."""
        return self.settles or not self.first


def perform(draft: Draft, act: Act, span: Span, rng: np.random.Generator) -> None:
    """Write into the draft what the act needs."""
    if act.verb != "stay":
        draft.used |= {i for i in (act.actor, act.target) if i is not None}
    VERBS[act.verb](draft, act, span, rng)


def stay(draft: Draft, act: Act, span: Span, rng: np.random.Generator) -> None:
    """Nothing: a part that nothing is asked for stands in the row."""


def roll(draft: Draft, act: Act, span: Span, rng: np.random.Generator) -> None:
    """Across the stage at a nearly steady speed, or to a stop when another card follows."""
    speed = _speed(draft, span, rng)
    part = _travel(draft, act, span, speed, rng)
    inertia = 1.4 * part.half[0]  # a ball's about its point of contact, per kilogram and metre
    if part.rolling > EASY:  # it was slowed in an earlier card, and is so again
        speed = 0.87 * part.rolling * GRAVITY / inertia * span.seconds
    elif span.brakes:
        part.rolling = 1.15 * inertia * speed / (span.seconds * GRAVITY)
    _push(draft, act.actor, span, velocity=(_sign(act) * speed, 0.0, 0.0), spin=(0.0, _sign(act) * speed / part.half[0], 0.0))


def slide(draft: Draft, act: Act, span: Span, rng: np.random.Generator) -> None:
    """Across the stage without turning; the friction is that of ice, or such that it stops when another card follows."""
    speed = _speed(draft, span, rng)
    part = _travel(draft, act, span, speed, rng)
    if part.lying:
        part.yaw = 0.0  # or it would begin to roll
    if part.friction is not None and part.friction > SLICK:
        speed = 0.87 * part.friction * GRAVITY * span.seconds
    else:
        part.friction = 1.15 * speed / (span.seconds * GRAVITY) if span.brakes else SLICK
    _push(draft, act.actor, span, velocity=(_sign(act) * speed, 0.0, 0.0))


def fall(draft: Draft, act: Act, span: Span, rng: np.random.Generator) -> None:
    """From high in the picture down to the floor, with one or two small rebounds for a round thing."""
    part = draft.parts[act.actor]
    part.lift = _height(draft, part, rng)
    part.rolling = 0.03
    part.restitution = 0.3 if part.shape == "ball" else 0.0
    _face(part, 0.3, rng)


def bounce(draft: Draft, act: Act, span: Span, rng: np.random.Generator) -> None:
    """Dropped, and thrown back by the floor again and again."""
    part = draft.parts[act.actor]
    part.lift = _height(draft, part, rng)
    part.restitution = 0.78 + 0.09 * rng.random()
    if span.settles:  # a fall of so long and all the rebounds after it are over in time
        drop, time = math.sqrt(2.0 * part.lift / GRAVITY), 0.9 * span.seconds
        part.restitution = max(0.4, min(part.restitution, (time - drop) / (time + drop)))
    else:
        part.rolling = 0.01
    if part.shape in ("capsule", "egg"):
        part.yaw *= 0.3


def throw(draft: Draft, act: Act, span: Span, rng: np.random.Generator) -> None:
    """A high arc through the air from one side toward the other."""
    speed = (0.55 + 0.25 * rng.random()) * draft.view.reach
    part = _travel(draft, act, span, 0.5 * speed, rng)
    part.lift = 0.15 + 0.25 * rng.random()
    room = max(draft.view.top - part.lift - 2.0 * part.height, 0.3)
    rise = math.sqrt(2.0 * GRAVITY * min(room, 0.55 + 0.35 * rng.random()))
    part.restitution = 0.45
    part.rolling = 0.03
    _push(draft, act.actor, span, velocity=(_sign(act) * speed, 0.0, rise))


def collide(draft: Draft, act: Act, span: Span, rng: np.random.Generator) -> None:
    """Into the target, which goes on in its place, or into a wall across the way, which throws it back."""
    sign = _sign(act)
    speed = (0.55 + 0.2 * rng.random()) * draft.view.reach * max(1.0, 2.5 / span.seconds)
    part = _travel(draft, act, span, speed, rng)
    part.pinned = _range(sign, -0.8, -0.55)
    part.restitution = 0.6
    part.friction = None if part.shape == "ball" else SLICK
    _face(part, 0.1, rng)
    if act.target is None:
        draft.walls.append(Wall(x=sign * (0.3 + 0.2 * rng.random()), lane=act.actor, dy=0.0, half=(WALL_THICKNESS, 0.45, 0.45)))
    else:
        target = draft.parts[act.target]
        target.lane, target.pinned, target.friction = act.actor, _range(sign, -0.1, 0.15), 0.05
        _face(target, 0.2, rng)
    turn = speed / part.half[0] if part.shape == "ball" else 0.0
    _push(draft, act.actor, span, velocity=(sign * speed, 0.0, 0.0), spin=(0.0, sign * turn, 0.0))


def topple(draft: Draft, act: Act, span: Span, rng: np.random.Generator) -> None:
    """Tipped over its lower edge by a push that is half as strong again as would just do."""
    part, sign = draft.parts[act.actor], _sign(act)
    edge, height = part.half[0], part.half[2]
    _face(part, 0.12, rng)
    part.sweep = sign * 2.0 * part.height
    if span.first:
        part.pinned = _range(sign, -0.7, 0.35)
    across = math.hypot(edge, height)
    inertia = (4.0 / 3.0 if part.shape == "block" else 1.3) * across**2  # about the edge, per kilogram
    turn = (1.35 + 0.25 * rng.random()) * math.sqrt(2.0 * GRAVITY * (across - height) / inertia)
    part.rolling = 0.02
    _push(draft, act.actor, span, velocity=(sign * turn * height, 0.0, turn * edge), spin=(0.0, sign * turn, 0.0))


def stack(draft: Draft, act: Act, span: Span, rng: np.random.Generator) -> None:
    """Let fall onto the target from a little above it."""
    assert act.target is not None
    part, target = draft.parts[act.actor], draft.parts[act.target]
    part.on, part.rolling = act.target, 0.05
    part.lift = max(0.25, min(0.6, draft.view.top - 2.0 * target.height - 2.0 * part.height))


def spin(draft: Draft, act: Act, span: Span, rng: np.random.Generator) -> None:
    """About the upright axis, where it stands."""
    part = draft.parts[act.actor]
    turn = (3.0 + 2.0 * rng.random()) * (1.0 if rng.random() < 0.5 else -1.0)
    if span.settles:
        turn *= 2.0
        part.friction = 1.3 * abs(turn) * part.reach / (3.0 * GRAVITY * span.seconds)
    elif part.friction is None:
        part.friction = 0.001
    _push(draft, act.actor, span, spin=(0.0, 0.0, turn))


def pass_behind(draft: Draft, act: Act, span: Span, rng: np.random.Generator) -> None:
    """Behind a wall in the middle of the stage and out again on its other side."""
    speed = (1.35 + 0.25 * rng.random()) * draft.view.reach / min(span.seconds, 4.0)
    part = _travel(draft, act, span, speed, rng)
    part.pinned, part.rear = _range(_sign(act), -0.85, -0.7), True
    part.friction = None if part.shape == "ball" else 0.2 * SLICK
    turn = speed / part.half[0] if part.shape == "ball" else 0.0
    half = (1.25 * part.reach, WALL_THICKNESS, part.height + 0.12)
    draft.walls.append(Wall(x=0.1 * (2.0 * rng.random() - 1.0), lane=act.actor, dy=-part.reach - 0.12, half=half))
    _push(draft, act.actor, span, velocity=(_sign(act) * speed, 0.0, 0.0), spin=(0.0, _sign(act) * turn, 0.0))


def shatter(draft: Draft, act: Act, span: Span, rng: np.random.Generator) -> None:
    """Falls, and bursts where it hits the floor."""
    part = draft.parts[act.actor]
    part.lift = _height(draft, part, rng)
    draft.broken.append(act.actor)


VERBS: dict[str, Callable[[Draft, Act, Span, np.random.Generator], None]] = {
    "stay": stay,
    "roll": roll,
    "slide": slide,
    "fall": fall,
    "bounce": bounce,
    "throw": throw,
    "collide": collide,
    "topple": topple,
    "stack": stack,
    "spin": spin,
    "pass_behind": pass_behind,
    "break": shatter,
}


def _sign(act: Act) -> float:
    return -1.0 if act.direction == "left" else 1.0


def _range(sign: float, low: float, high: float) -> tuple[float, float]:
    """The range of x, seen in the direction of travel."""
    return (low, high) if sign > 0.0 else (-high, -low)


def _travel(draft: Draft, act: Act, span: Span, speed: float, rng: np.random.Generator) -> Part:
    """The actor, in a lane of its own, so far back that it is in the picture for at least two thirds of its way."""
    part = draft.parts[act.actor]
    way = speed * span.seconds / draft.view.reach * (0.45 if span.brakes else 0.68)
    if span.first:
        _face(part, 0.6, rng)
    if span.first or part.pinned is None:
        part.pinned = _range(_sign(act), -0.85, max(-0.78, 0.9 - way))
    part.lane = act.actor
    return part


def _speed(draft: Draft, span: Span, rng: np.random.Generator) -> float:
    """Metres per second for a crossing of the stage within the card; twice the mean speed where it ends at rest."""
    if span.brakes:
        return 2.0 * (0.5 + 0.3 * rng.random()) * draft.view.reach / span.seconds
    return (0.30 + 0.28 * rng.random()) * draft.view.reach * max(1.0, 2.5 / span.seconds)


def _height(draft: Draft, part: Part, rng: np.random.Generator) -> float:
    """Metres of air below a thing that is let fall from high in the picture."""
    highest = draft.view.top - 2.0 * part.height + 0.05
    return max(0.6, min(1.5, highest) - 0.2 * rng.random())


def _face(part: Part, turn: float, rng: np.random.Generator) -> None:
    """Turn a face to the camera, give or take ``turn`` radians."""
    if part.faced:
        part.yaw = turn * (2.0 * rng.random() - 1.0)


def _push(draft: Draft, actor: int, span: Span, *, velocity: Vector = (0.0, 0.0, 0.0), spin: Vector = (0.0, 0.0, 0.0)) -> None:
    """Set the actor moving at the card's start: at once in the first card, by a kick in a later one."""
    if span.first:
        draft.parts[actor].velocity, draft.parts[actor].spin = velocity, spin
    else:
        draft.kicks.append(Kick(time=span.start, body=actor, velocity=velocity, spin=spin))
