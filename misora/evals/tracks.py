"""Objects followed through a clip: linking what single frames show into tracks; it knows nothing of pixels or prompts."""

from __future__ import annotations

import bisect
import dataclasses
from collections import Counter

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sight:
    """One object in one frame. Pixels, x to the right, y down. ``fault``: why it is rejected, None for a sound one."""

    frame: int
    centre: tuple[float, float]
    box: tuple[int, int, int, int]  # left, top, right, bottom; right and bottom are one past the last pixel
    area: int
    colour: str
    shape: str
    clear: bool  # stands free of other objects and of the picture's border
    fault: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Track:
    """One object through the clip: its name by majority, where it was, and whether it was sound all the way."""

    colour: str
    shape: str
    sound: bool
    width: float  # median side of its box, pixels
    frames: np.ndarray  # [n] int
    centres: np.ndarray  # [n, 2] float x, y
    clear: np.ndarray  # [n] bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parse:
    """All tracks of a clip, and how many objects each frame shows (one hidden behind another counts)."""

    tracks: tuple[Track, ...]
    counts: np.ndarray  # [t] int


FLEETING = 8  # what is not sound and seen for less than the clip's eighth is a flicker
FAULTY_SHARE = 0.15  # of the frames in which an object stands clear: more faults than that and the track is rejected
FAULTY_MOVING = (
    0.35  # of those in which it moves, where these are FEWEST or more: what is seen twice on its way is rejected though it rests
)
FEWEST, PACE = 4, 1.5  # pixels a frame at least to move


def link(sights: list[list[Sight]], size: tuple[int, int]) -> Parse:
    """Tracks through ``sights`` (one list a frame) of pictures of ``size`` (h, w): nearest of the same colour first."""
    chains: list[list[Sight]] = []
    for frame in sights:
        _extend(chains, frame)
    chains = [chain for chain in chains if _is_object(chain, sights)]
    counts = np.zeros(len(sights), dtype=np.int64)
    for chain in chains:
        for present in _presence(chain, chains, len(sights), size):
            counts[present] += 1
    return Parse(tracks=tuple(_track(_unhidden(chain, chains)) for chain in chains), counts=counts)


def _extend(chains: list[list[Sight]], frame: list[Sight]) -> None:
    """Append each sight of a frame to the chain that it continues, or begin a new one."""
    pairs = sorted(
        ((_distance(chain, sight), i, j) for i, chain in enumerate(chains) for j, sight in enumerate(frame)),
        key=lambda pair: pair[0],
    )
    taken: set[int] = set()
    used: set[int] = set()
    for distance, i, j in pairs:
        if i in taken or j in used or distance > 1:
            continue
        chains[i].append(frame[j])
        taken.add(i)
        used.add(j)
    chains.extend([sight] for j, sight in enumerate(frame) if j not in used)


def _distance(chain: list[Sight], sight: Sight) -> float:
    """How unlikely the sight is to continue the chain; above 1: it does not. Another colour costs much, but flicker is allowed."""
    last = chain[-1]
    gap = sight.frame - last.frame
    x, y = sight.centre[0] - last.centre[0], sight.centre[1] - last.centre[1]
    away = np.hypot(x, y)
    if len(chain) > 1 and last.frame - chain[-2].frame == 1:
        step = last.centre[0] - chain[-2].centre[0], last.centre[1] - chain[-2].centre[1]
        away = min(away, np.hypot(x - gap * step[0], y - gap * step[1]))
    reach = (12 + 0.6 * np.sqrt(max(s.area for s in chain))) * (1 + 0.2 * (gap - 1))
    name = Counter(s.colour for s in chain[-9:]).most_common(1)[0][0]
    return float(away / reach + (0.0 if sight.colour == name else 0.6))


def _is_object(chain: list[Sight], sights: list[list[Sight]]) -> bool:
    """Whether a chain is an object and no fault of another: lasting, sound, or seen by itself for longer than a flicker."""
    brief = len(sights) // FLEETING
    if len(chain) > len(sights) // 2 or sum(sight.clear and sight.fault is None for sight in chain) > brief // 2:
        return True
    alone = [sight for sight in chain if not any(other is not sight and _overlap(sight, other) for other in sights[sight.frame])]
    return len(alone) > brief


def _presence(chain: list[Sight], chains: list[list[Sight]], length: int, size: tuple[int, int]) -> list[int]:
    """The frames in which the object counts as there: seen, or hidden by another one, or out of the picture."""
    seen = {sight.frame for sight in chain}
    gaps = [t for t in range(length) if t not in seen]
    return sorted(seen | {t for t in gaps if _excused(chain, t, chains, size)})


def _excused(chain: list[Sight], t: int, chains: list[list[Sight]], size: tuple[int, int]) -> bool:
    """Whether the object may be unseen at frame ``t``: it last touched the border or another object, or next does so."""
    before = next((sight for sight in reversed(chain) if sight.frame < t), None)
    after = next((sight for sight in chain if sight.frame > t), None)
    others = [sight for other in chains if other is not chain for sight in other]
    return any(
        _touches_border(near, size) or any(o.frame in (near.frame, t) and _overlap(near, o) for o in others)
        for near in (before, after)
        if near is not None
    )


def _unhidden(chain: list[Sight], chains: list[list[Sight]]) -> list[Sight]:
    """The same chain with the sights marked unclear into which another object may have melted: it touched them before it went unseen."""
    rivals = []
    for other in chains:
        seen = {sight.frame: sight for sight in other}
        if other is not chain:
            rivals.append((seen, sorted(seen)))
    return [dataclasses.replace(s, clear=s.clear and not any(_melted(s, *rival) for rival in rivals)) for s in chain]


def _melted(sight: Sight, seen: dict[int, Sight], frames: list[int]) -> bool:
    """Whether the other object is unseen in the sight's frame and stood at it in the last or next frame that shows it."""
    if sight.frame in seen:
        return False
    at = bisect.bisect(frames, sight.frame)
    return any(_overlap(sight, seen[frame]) for frame in frames[max(0, at - 1) : at + 1])


def _touches_border(sight: Sight, size: tuple[int, int]) -> bool:
    left, top, right, bottom = sight.box
    return left <= 2 or top <= 2 or right >= size[1] - 2 or bottom >= size[0] - 2


def _overlap(a: Sight, b: Sight, slack: int = 3) -> bool:
    """Whether two boxes touch, give or take ``slack`` pixels."""
    return a.box[0] - slack < b.box[2] and b.box[0] - slack < a.box[2] and a.box[1] - slack < b.box[3] and b.box[1] - slack < a.box[3]


def _track(chain: list[Sight]) -> Track:
    seen = np.array([sight.clear for sight in chain])  # n
    clear = [sight for sight in chain if sight.clear] or chain
    votes = [sight for sight in clear if sight.fault is None] or clear
    colour = Counter(sight.colour for sight in votes).most_common(1)[0][0]
    centres = np.array([sight.centre for sight in chain])  # n 2
    faulty = np.array([sight.fault is not None or sight.colour != colour for sight in clear])
    sides = [max(s.box[2] - s.box[0], s.box[3] - s.box[1]) for s in clear]
    return Track(
        colour=colour,
        shape=Counter(sight.shape for sight in votes).most_common(1)[0][0],
        sound=_is_sound(faulty, _moving(centres)[seen if seen.any() else slice(None)]),
        width=float(np.median(sides)),
        frames=np.array([sight.frame for sight in chain]),
        centres=centres,
        clear=seen,
    )


def _moving(centres: np.ndarray) -> np.ndarray:
    """Whether the object moves from or to each of its sights [n], by its centres [n, 2]."""
    fast = np.hypot(*np.diff(centres, axis=0).T) > PACE  # n-1
    return np.asarray(np.append(fast, False) | np.insert(fast, 0, False))


def _is_sound(faulty: np.ndarray, moving: np.ndarray) -> bool:
    """Whether few enough of an object's clear sights [n] are faulty: of all, and of those in which it moves."""
    on_its_way = faulty[moving]
    return bool(faulty.mean() <= FAULTY_SHARE and (len(on_its_way) < FEWEST or on_its_way.mean() <= FAULTY_MOVING))
