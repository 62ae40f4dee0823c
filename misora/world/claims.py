"""Whether a clip shows what its graph says, judged on the truth alone; it knows nothing of how the clip was made."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from misora.data.clip import Truth
from misora.words.graph import Act, Card, Relation
from misora.world.stage import project

STILL = 0.06  # metres that a thing which stays may be moved
SEEN = 0.004  # share of the picture that counts as visible

Claim = Callable[["_Part", Act], bool]


def false_claims(truth: Truth, frame_rate: float, aspect: float) -> list[str]:
    """What the graph says and the clip does not show, as short texts. Pixels are judged only where ``truth.visible`` is filled in."""
    wrong = [] if truth.visible.size == 0 else _unseen(truth)
    wrong += [f"{relation.kind} {relation.a} {relation.b}" for relation in truth.graph.relations if not _stands(truth, relation, aspect)]
    for number, card in enumerate(truth.graph.cards):
        wrong += false_acts(truth, number, card, frame_rate, aspect)
    return wrong


def false_acts(truth: Truth, number: int, card: Card, frame_rate: float, aspect: float) -> list[str]:
    """What the card says of its acts and of the things it does not name, and the clip does not show."""
    part = _Part(truth, number, card, frame_rate, aspect)
    wrong = [f"card {number}: {act.verb} {act.actor}" for act in card.acts if not VERBS[act.verb](part, act)]
    busy = {act.actor for act in card.acts} | {act.target for act in card.acts}
    return wrong + [f"card {number}: {i} moves" for i in range(len(truth.graph.things)) if i not in busy and not part.stays(i)]


class _Part:
    """The frames of one card."""

    def __init__(self, truth: Truth, number: int, card: Card, frame_rate: float, aspect: float) -> None:
        cards = truth.graph.cards
        first = int(np.ceil(card.start * frame_rate - 1e-6))
        last = int(np.ceil(cards[number + 1].start * frame_rate - 1e-6)) if number + 1 < len(cards) else len(truth.positions)
        self.frames = slice(first, last)
        self.first = first
        self.seconds = (last - 1 - first) / frame_rate
        self.positions = truth.positions[self.frames]  # t k 3
        self.orientations = truth.orientations[self.frames]  # t k 4
        self.visible = truth.visible[self.frames] if truth.visible.size else None  # t k
        self.contacts = truth.contacts[(truth.contacts[:, 0] >= first) & (truth.contacts[:, 0] < last)]  # n 3
        self.places = project(self.positions, truth.camera[self.frames], aspect)  # t k 2
        self.things = len(truth.graph.things)

    def moved(self, i: int) -> npt.NDArray[np.float32]:
        """From the first frame to each: t 3, metres."""
        return np.asarray(self.positions[:, i] - self.positions[0, i])

    def stays(self, i: int) -> bool:
        turned = 1.0 - np.abs(self.orientations[:, i] @ self.orientations[0, i]).min()
        return bool(np.abs(self.moved(i)).max() < STILL and turned < 0.01)

    def along(self, act: Act) -> npt.NDArray[np.float32]:
        """The actor's way so far in the told direction, metres: t."""
        return self.moved(act.actor)[:, 0] * (-1.0 if act.direction == "left" else 1.0)

    def travels(self, act: Act) -> bool:
        """Goes the told way, early enough to be seen and without straying, and is in the picture most of the time."""
        way = self.along(act)
        early = way[min(len(way) - 1, max(1, round(0.4 * len(way))))]
        straight = np.abs(self.moved(act.actor)[:, 1]).max() < 0.3
        least = min(0.5, 0.25 * self.seconds)
        return bool(way[-1] > least and early > 0.3 * least and straight) and self.in_view(act.actor)

    def in_view(self, i: int) -> bool:
        return bool((np.abs(self.places[:, i, 0]) < 1.0).mean() > 0.7)

    def touches(self, a: int, b: int | None) -> npt.NDArray[np.int32]:
        """The frames, counted from the card's first, in which a touches b; None: a wall."""
        pairs = self.contacts[:, 1:]
        other = np.where(pairs[:, 0] == a, pairs[:, 1], np.where(pairs[:, 1] == a, pairs[:, 0], -2))
        met = (other >= self.things) if b is None else (other == b)
        return np.asarray(self.contacts[met, 0] - self.first)

    def upright(self, i: int) -> npt.NDArray[np.float32]:
        """The height of the body's own z axis, 1 where it stands as made, -1 on its head: t."""
        w, x, y, z = self.orientations[:, i].T
        return np.asarray(w * w - x * x - y * y + z * z)

    def turns(self, i: int) -> float:
        """How far it turned in all, radians."""
        steps = np.abs(np.einsum("tc,tc->t", self.orientations[1:, i], self.orientations[:-1, i]))
        return float(2.0 * np.arccos(np.clip(steps, 0.0, 1.0)).sum())


def _stays(part: _Part, act: Act) -> bool:
    return part.stays(act.actor)


def _rolls(part: _Part, act: Act) -> bool:
    return part.travels(act) and part.turns(act.actor) > 1.0 and _on_floor(part, act)


def _slides(part: _Part, act: Act) -> bool:
    return part.travels(act) and part.turns(act.actor) < 0.5 and _on_floor(part, act)


def _on_floor(part: _Part, act: Act) -> bool:
    return bool(np.ptp(part.positions[:, act.actor, 2]) < 0.05)


def _falls(part: _Part, act: Act) -> bool:
    return bool(part.moved(act.actor)[-1, 2] < -0.35 and np.abs(part.moved(act.actor)[:, 0]).max() < 0.5) and part.in_view(act.actor)


def _bounces(part: _Part, act: Act) -> bool:
    height = part.positions[:, act.actor, 2]
    lows = np.flatnonzero((height[1:-1] <= height[:-2]) & (height[1:-1] < height[2:])) + 1
    rebounds = [height[a:b].max() - height[a] for a, b in itertools.pairwise([*lows, len(height)])]
    clear = sum(rebound > 0.12 for rebound in rebounds)
    return bool(clear >= (2 if part.seconds > 2.0 else 1) and np.abs(part.moved(act.actor)[:, :2]).max() < 0.8) and part.in_view(act.actor)


def _is_thrown(part: _Part, act: Act) -> bool:
    height = part.moved(act.actor)[:, 2]
    top = int(height.argmax())
    flight = part.along(act)[min(len(height) - 1, 2 * top + 1)]
    arc = height[top] > 0.3 and 0 < top < len(height) - 1 and height[-1] < height[top] - 0.3
    return bool(arc and flight > 0.35) and part.in_view(act.actor)


def _collides(part: _Part, act: Act) -> bool:
    met = part.touches(act.actor, act.target)
    if len(met) == 0 or met[0] < 2 or met[0] > 0.7 * len(part.positions):
        return False
    before = part.along(act)[met[0] - 1] > 0.15
    if act.target is None:
        return bool(before and part.along(act)[-1] < part.along(act)[met[0]] - 0.1)
    pushed = part.moved(act.target)[:, 0] * (-1.0 if act.direction == "left" else 1.0)
    struck = np.abs(pushed[: met[0]]).max() < STILL and pushed[-1] > 0.2
    return bool(before and struck) and part.in_view(act.actor) and part.in_view(act.target)


def _topples(part: _Part, act: Act) -> bool:
    up = part.upright(act.actor)
    return bool(up[0] > 0.95 and abs(up[-1]) < 0.35 and part.along(act)[-1] > 0.1) and part.in_view(act.actor)


def _stacks(part: _Part, act: Act) -> bool:
    assert act.target is not None
    above = part.positions[-1, act.actor] - part.positions[-1, act.target]
    steady = np.abs(part.positions[-3:, act.actor] - part.positions[-1, act.actor]).max() < 0.02
    lowered = part.moved(act.actor)[-1, 2] < -0.15
    rests = len(part.touches(act.actor, act.target)) > 0 and above[2] > 0.2 and np.abs(above[:2]).max() < 0.2
    whole = part.places[-1, act.actor, 1] < 0.8  # not cut off by the picture's upper edge
    return bool(rests and steady and lowered and whole and part.stays(act.target))


def _spins(part: _Part, act: Act) -> bool:
    return bool(part.turns(act.actor) > np.pi * min(1.0, part.seconds / 2.0) and np.abs(part.moved(act.actor)).max() < 0.15)


def _passes_behind(part: _Part, act: Act) -> bool:
    if not part.travels(act):
        return False
    if part.visible is None:
        return True
    seen = part.visible[:, act.actor]  # t
    full = np.median(np.sort(seen)[len(seen) // 2 :])
    hidden = np.flatnonzero(seen < 0.1 * full)
    wall = part.visible[0, part.things :].max() > 2.0 * SEEN
    return bool(wall and len(hidden) and seen[: hidden[0]].max(initial=0) > 0.7 * full and seen[hidden[-1] :].max() > 0.7 * full)


def _breaks(part: _Part, act: Act) -> bool:
    if part.visible is None:
        return True
    late = part.visible[-1]
    return bool(part.visible[:4, act.actor].max() > SEEN and late[act.actor] == 0.0 and (late[part.things :] > 0.0002).sum() >= 5)


VERBS: dict[str, Claim] = {
    "stay": _stays,
    "roll": _rolls,
    "slide": _slides,
    "fall": _falls,
    "bounce": _bounces,
    "throw": _is_thrown,
    "collide": _collides,
    "topple": _topples,
    "stack": _stacks,
    "spin": _spins,
    "pass_behind": _passes_behind,
    "break": _breaks,
}


def _stands(truth: Truth, relation: Relation, aspect: float) -> bool:
    """True where the relation holds in the first frame as the camera sees it."""
    a, b = truth.positions[0, relation.a], truth.positions[0, relation.b]
    u = project(truth.positions[:1], truth.camera[:1], aspect)[0, :, 0]
    return bool(
        {
            "left_of": u[relation.b] - u[relation.a] > 0.15,
            "right_of": u[relation.a] - u[relation.b] > 0.15,
            "in_front_of": b[1] - a[1] > 0.6 and abs(u[relation.a] - u[relation.b]) < 0.5,
            "behind": a[1] - b[1] > 0.6 and abs(u[relation.a] - u[relation.b]) < 0.5,
            "on_top_of": a[2] - b[2] > 0.2 and float(np.abs(a[:2] - b[:2]).max()) < 0.15,
        }[relation.kind]
    )


def _unseen(truth: Truth) -> list[str]:
    """Things that cannot be seen when the clip begins, or hardly ever in it."""
    things = len(truth.graph.things)
    dropped = {act.actor for card in truth.graph.cards if card.start <= 0.0 for act in card.acts if act.verb in ("fall", "bounce", "break")}
    wrong = [f"{i} not seen at the start" for i in range(things) if truth.visible[: 4 if i in dropped else 1, i].max() < SEEN]
    broken = {act.actor for card in truth.graph.cards for act in card.acts if act.verb == "break"}
    often = (truth.visible[:, :things] > 0.5 * SEEN).mean(axis=0)  # k
    return wrong + [f"{i} hardly ever seen" for i in range(things) if often[i] < 0.6 and i not in broken]
