"""Figures of the verbs, from clips alone, each with bars that its controls must miss; it knows nothing of how a clip was made.

Clips are uint8 arrays [t, h, w, 3] at the native rate of 12 frames per second.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.table import Table

from misora.evals.judge import judge
from misora.evals.parse import parse
from misora.evals.prompt import motion_energy
from misora.words import english
from misora.words.graph import Card, SceneGraph

RATE = 12.0
WINDOW = 49  # frames that are parsed at once: four seconds
Bounds = tuple[float, float]
ENERGY: Bounds = (0.7, 1.4)
ALWAYS: Bounds = (1.0, 1.0)
MOVES: dict[str, Bounds] = {"mirror": (0.25, math.inf), "energy": ENERGY}  # what a frozen clip and one that runs back miss
SEAMLESS: dict[str, Bounds] = {"exact": ALWAYS, "jump": (0.0, 2.0), **MOVES}
FRESH: dict[str, Bounds] = {"fresh": (0.25, math.inf)}  # what a copy of the source misses
WOODEN = ("brown", "orange", "yellow")  # colours that cannot be told apart on wood, so that no scene of the world has them there
ELSEWHERE = {"grass": ("green",), "wooden": WOODEN, "stone": ("grey", "white"), "carpet": ("red", "brown")}  # and what hides there
MOTION = ("direction", "still", "action")  # the judge's questions about what happens

BARS: dict[str, dict[str, Bounds]] = {
    "loop": {"seam": (0.25, 1.2), **MOVES},
    "loop of a clip": {"seam": (0.25, 1.2), **MOVES},
    "animate": {"first": (-1.0, math.inf), "points": (-5.0, math.inf), **MOVES},
    "extend": {**SEAMLESS, **FRESH},
    "extend backward": {**SEAMLESS, **FRESH},
    "connect": SEAMLESS,
    "extend x8": {"drift": (0.0, 1.0), "cast": (0.9, 1.0), **FRESH, **MOVES},
    "inpaint": {"exact": ALWAYS, "changed": (2.0, math.inf), **MOVES},
    "storyboard": {"events": (0.85, 1.0), **MOVES},
    "reference": {"cast": (0.95, 1.0), **FRESH, **MOVES},
}


CEILINGS = ("simulator", "autoencoder")  # controls that need not miss: what was asked for as the world draws it, and what is left of that


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """The mean figures of one verb, of a control that must miss some bar of that verb's, or of a ceiling, which may do either."""

    verb: str
    figures: Mapping[str, float]
    clips: int
    control: str = ""

    def missed(self) -> list[str]:
        """The figures that lie outside their bars; a figure that is not a number misses."""
        bars = BARS[self.verb]
        return [name for name, value in self.figures.items() if name in bars and not bars[name][0] - 1e-9 <= value <= bars[name][1] + 1e-9]

    def right(self) -> bool:
        """Whether a verb meets its bars, or a control does not; a ceiling only shows what can be reached."""
        return self.control in CEILINGS or bool(self.missed()) == bool(self.control)


def row(verb: str, figures: Sequence[Mapping[str, float]], control: str = "") -> Row:
    """The mean over clips; a share of clips where a figure is yes or no."""
    means = {name: float(np.mean([one[name] for one in figures])) for name in figures[0]} if figures else {}
    return Row(verb=verb, figures=means, clips=len(figures), control=control)


def steps(frames: np.ndarray) -> np.ndarray:
    """Mean absolute difference of each frame from the one before, [t - 1]."""
    return np.asarray(np.abs(np.diff(frames.astype(np.int16), axis=0)).mean((1, 2, 3)))


def seam(frames: np.ndarray) -> float:
    """The step from the last frame to the first, in median steps: 1 where a loop closes, 0 where a frame is shown twice."""
    last = np.abs(frames[0].astype(np.int16) - frames[-1]).mean()
    return float(last / max(np.median(steps(frames)), 1e-6))


def mirror(frames: np.ndarray) -> float:
    """How far a clip is from its own reverse, in its spread over time: 0 for a clip that runs back and for one that stands still."""
    whole = frames.astype(np.float32)
    spread = np.abs(whole - np.median(whole, 0)).mean()
    return float(np.abs(whole - whole[::-1]).mean() / max(2 * spread, 1e-3)) if spread > 1e-3 else 0.0


def jump(frames: np.ndarray, around: slice) -> float:
    """The largest step within ``around``, in median steps of the whole clip: large where it is cut."""
    return float(steps(frames)[around].max() / max(np.median(steps(frames)), 1e-6))


def fresh(made: np.ndarray, given: np.ndarray) -> float:
    """How far what was made is from the given clip's nearest frames, in median steps of the given: 0 for a copy."""
    small = given[:, ::4, ::4].astype(np.float32)
    nearest = [np.abs(small - frame[::4, ::4]).mean((1, 2, 3)).min() for frame in made]
    return float(np.mean(nearest) / max(np.median(steps(given)), 1e-6))


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Decibels between two pictures."""
    error = np.square(one.astype(np.float32) - other).mean()
    return float(10 * np.log10(255.0**2 / max(error, 1e-6)))


def drift(frames: np.ndarray) -> float:
    """Colour drift of the static background, in grey levels of 255 per ten seconds: medians of the first and the last two seconds."""
    span = min(len(frames) // 2, round(2 * RATE))
    early, late = (np.median(part.astype(np.float32), 0) for part in (frames[:span], frames[-span:]))  # h w 3
    calm = np.abs(frames[:span].astype(np.float32) - early).max((0, 3)) + np.abs(frames[-span:].astype(np.float32) - late).max((0, 3)) < 12
    change = (late - early)[calm] if calm.any() else np.full((1, 3), np.nan)  # n 3
    return float(np.abs(np.median(change, 0)).max() * 10 * RATE / (len(frames) - span))


def cast(frames: np.ndarray) -> tuple[tuple[str, str], ...]:
    """The sound objects of a piece of a clip by colour and shape, sorted."""
    return tuple(sorted((track.colour, track.shape) for track in parse(frames).tracks if track.sound))


def survival(frames: np.ndarray, expected: tuple[tuple[str, str], ...]) -> float:
    """The share of four-second pieces that show exactly the expected objects: births and deaths both count against it."""
    pieces = [frames[start : start + WINDOW] for start in range(0, len(frames) - WINDOW // 2, WINDOW)]
    return float(np.mean([cast(piece) == expected for piece in pieces]))


def energy(frames: np.ndarray, reference: np.ndarray) -> float:
    """Motion energy over that of the simulator's clip."""
    return motion_energy(frames) / max(motion_energy(reference), 1e-6)


def moves(frames: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """The two figures that every row shows: how far a clip is from its own reverse, and its motion energy over the simulator's."""
    return {"mirror": mirror(frames), "energy": energy(frames, reference)}


def told(graph: SceneGraph, frames: np.ndarray) -> float:
    """The share, in points of a hundred, of the graph's questions about what happens that a clip answers rightly."""
    answers = [answer for atom, given in judge(graph, parse(frames)).items() if atom in MOTION for answer in given]
    return 100.0 * float(np.mean(answers)) if answers else 0.0


def board(colour: str, side: str) -> list[str]:
    """The two cards of the storyboards that are measured; what lies still cannot bounce, so it bounces first."""
    floor = "on grass" if colour in WOODEN else "on a wooden floor"
    return [f"a {colour} ball bounces {floor}", f"a {colour} ball rolls to the {side} {floor}"]


def played(graphs: Sequence[SceneGraph]) -> SceneGraph:
    """One scene in which the first graph's cast, on its stage, plays the cards of all of them, one after the other."""
    cards: list[Card] = []
    for card in (card for graph in graphs for card in graph.cards):
        start = cards[-1].end if cards else 0.0
        cards.append(dataclasses.replace(card, start=start, end=start + card.end - card.start))
    return dataclasses.replace(graphs[0], cards=tuple(cards))


def shown_again(graph: SceneGraph) -> tuple[str, SceneGraph]:
    """What is asked of a scene's cast seen before, in the captions' words for it, and the scene that this asks for.

    Its first travelling thing travels so again, elsewhere. No colour is named: where two things have its shape, either may be meant.
    """
    card, looks = graph.cards[0], {thing.colour for thing in graph.things}
    act = next(act for act in card.acts if act.direction)
    floor = next(floor for floor, hidden in ELSEWHERE.items() if not looks & set(hidden))
    noun, deed = graph.things[act.actor].shape, f"{act.verb}s to the {act.direction}"
    who = f"the same {noun}" if len(graph.things) == 1 else f"the same things, the {noun}"
    asked = dataclasses.replace(graph, cards=(dataclasses.replace(card, acts=(act,)),), relations=(), floor=floor)
    return f"{who} {deed}, {english.FLOORS[floor][0][0]}", asked


def ping_pong(frames: np.ndarray) -> np.ndarray:
    """A clip that runs forward and then back: as long, and closed without an invention."""
    half = frames[: len(frames) // 2 + 1]
    return np.concatenate((half, half[-2::-1]))[: len(frames)]


def frozen(frames: np.ndarray) -> np.ndarray:
    """The first frame held."""
    return np.repeat(frames[:1], len(frames), axis=0)


def joined(*parts: np.ndarray) -> np.ndarray:
    """Clips one after the other."""
    return np.concatenate(parts)


def repeated(frames: np.ndarray, count: int) -> np.ndarray:
    """So many frames, the clip again and again; of one frame, held."""
    return np.resize(frames, (count, *frames.shape[1:]))


def tinted(frames: np.ndarray, levels: float = 12.0) -> np.ndarray:
    """A clip that grows lighter by so many grey levels from its first frame to its last."""
    return np.clip(frames + np.linspace(0, levels, len(frames))[:, None, None, None], 0, 255).astype(np.uint8)


def same(one: np.ndarray, other: np.ndarray) -> float:
    """1 where two clips are equal to the bit, else 0."""
    return float(np.array_equal(one, other))


def inside_and_out(clip: np.ndarray, given: np.ndarray, box: tuple[int, int, int, int]) -> dict[str, float]:
    """Whether a clip is the given one outside a box (x, y, width, height), and by how many grey levels it differs inside."""
    x, y, width, height = box
    inside = np.zeros(given.shape[1:3], bool)
    inside[y : y + height, x : x + width] = True
    change = np.abs(clip[: len(given)].astype(np.int16) - given)  # t h w 3
    return {"exact": float(not change[:, ~inside].any()), "changed": float(change[:, inside].mean())}


def table(rows: Sequence[Row]) -> Table:
    """A rich table: each verb, its controls below it, what was measured against which bars."""
    view = Table(title="verbs", caption="a verb must meet its bars, a control must miss one; simulator and autoencoder are ceilings")
    for name in ("verb", "figures", "clips", "missed", ""):
        view.add_column(name)
    for one in rows:
        bars = BARS[one.verb]
        figures = "  ".join(f"{name} {value:.2f} {_bar(bars.get(name))}" for name, value in one.figures.items())
        name = f"  {one.control}" if one.control else one.verb
        view.add_row(name, figures, str(one.clips), ", ".join(one.missed()) or "-", "ok" if one.right() else "WRONG")
    return view


def markdown(rows: Sequence[Row]) -> str:
    """The same table as Markdown; controls stand below their verb."""
    lines = ["| verb | control | figures | clips | missed | |", "|---" * 6 + "|"]
    for one in rows:
        figures = ", ".join(f"{name} {value:.2f} {_bar(BARS[one.verb].get(name))}".rstrip() for name, value in one.figures.items())
        verdict = "ok" if one.right() else "WRONG"
        lines.append(f"| {one.verb} | {one.control} | {figures} | {one.clips} | {', '.join(one.missed()) or '–'} | {verdict} |")
    return "\n".join(lines) + "\n"


def write_report(folder: Path, rows: Sequence[Row], **about: object) -> None:
    """Write ``verbs.json`` and ``verbs.md`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "verbs.json").write_text(as_json(rows, **about), "utf-8")
    (folder / "verbs.md").write_text(markdown(rows), "utf-8")


def as_json(rows: Sequence[Row], **about: object) -> str:
    """All rows with ``about`` in front."""
    told = [{**dataclasses.asdict(one), "figures": dict(one.figures), "missed": one.missed(), "right": one.right()} for one in rows]
    return json.dumps({**about, "rows": told}, indent=1, ensure_ascii=False) + "\n"


def _bar(bounds: Bounds | None) -> str:
    if bounds is None:
        return ""
    low, high = bounds
    return f"[{low:g}]" if low == high else f"[>= {low:g}]" if high == math.inf else f"[{low:g}-{high:g}]"
