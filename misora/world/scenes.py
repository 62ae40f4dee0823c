"""Scene graphs drawn at random by a mix of chances; it knows nothing of metres, physics or pixels."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from misora.words.graph import CAMERAS, COLOURS, FLOORS, LIGHTS, SHAPES, SIZES, STYLES, Act, Card, Relation, SceneGraph, Thing, is_held_out

Weights = tuple[tuple[str, float], ...]

SUITED = {  # the shapes on which a person can see the verb; any shape suits a verb that is not named
    "roll": ("ball",),
    "slide": ("cube", "cylinder", "cone", "capsule", "block", "pyramid"),  # an egg would roll over
    "bounce": ("ball", "capsule", "egg"),
    "throw": ("ball", "cube", "egg", "capsule"),
    "collide": ("ball", "cube", "cylinder"),
    "topple": ("block", "cylinder"),
    "stack": ("ball", "cube", "cylinder", "cone", "block", "pyramid"),
    "spin": ("cube", "block", "pyramid", "capsule", "egg"),
    "pass_behind": ("ball", "cube", "cylinder", "cone", "egg"),
}
FLAT_TOPPED = ("cube", "cylinder")
DIRECTED = ("roll", "slide", "throw", "collide", "topple", "pass_behind")
LONE = ("throw", "collide", "stack", "pass_behind", "break")  # at most one of these in a card
SETTLING = ("roll", "slide", "fall", "bounce", "topple", "spin")  # can be over when the next card begins
GOING_ON = ("roll", "slide", "spin", "topple")  # can begin where a thing stands
CLASHES = {  # colours too near to a floor's own to be told apart on it
    "wooden": ("brown", "orange", "yellow"),
    "grass": ("green",),
    "stone": ("grey",),
    "tiled": ("white", "grey"),
    "snowy": ("white", "grey"),
    "sandy": ("yellow", "brown", "orange"),
    "carpet": ("red", "brown"),
    "plain": ("grey", "white"),
}


def even(names: tuple[str, ...]) -> Weights:
    """The same chance for every name."""
    return tuple((name, 1.0) for name in names)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mix:
    """The chances by which a scene is drawn. Weights need not sum to one."""

    counts: tuple[float, ...]  # of one thing, two things, three things …
    verbs: Weights
    shapes: Weights = even(SHAPES)
    sizes: Weights = even(SIZES)
    floors: Weights = even(FLOORS)
    lights: Weights = even(LIGHTS)
    styles: Weights = even(STYLES)
    cameras: Weights = even(CAMERAS)
    cards: tuple[float, ...] = (1.0,)  # of one card, two cards, three cards
    cut: float = 0.0  # that the cards of a clip are parted by cuts instead of one action following the other
    cuts: tuple[float, ...] = ()  # seconds at which every clip cuts to its next card; takes the place of the two above
    long: float = 0.0  # that the clip is cut out of a simulation of 16 seconds and more
    both_act: float = 0.0  # that a second thing acts too
    related: float = 0.5  # that relations are told where they can be
    depth: float = 0.0  # that a told relation is one of in front, behind, on top, not left or right


COMMON_SHAPES: Weights = (
    ("ball", 0.24), ("cube", 0.24), ("cylinder", 0.19), ("cone", 0.18),
    ("capsule", 0.03), ("block", 0.05), ("pyramid", 0.04), ("egg", 0.03),
)  # fmt: skip
MOSTLY_MEDIUM: Weights = (("medium", 0.8), ("small", 0.1), ("large", 0.1))
MOSTLY_STILL: Weights = (("still", 0.92),) + tuple((camera, 0.08 / 6) for camera in CAMERAS[1:])
MOSTLY_DAY: Weights = (("day", 0.8), ("sunset", 0.12), ("night", 0.08))
COMMON_VERBS: Weights = (
    ("stay", 0.20), ("roll", 0.20), ("slide", 0.12), ("fall", 0.10), ("bounce", 0.14), ("throw", 0.04), ("collide", 0.05), ("topple", 0.03),
    ("stack", 0.03), ("spin", 0.03), ("pass_behind", 0.04), ("break", 0.02),
)  # fmt: skip

CORE = Mix(
    counts=(0.45, 0.45, 0.10),
    verbs=COMMON_VERBS,
    shapes=COMMON_SHAPES,
    sizes=MOSTLY_MEDIUM,
    lights=MOSTLY_DAY,
    styles=(("realistic", 1.0),),
    cameras=MOSTLY_STILL,
    both_act=0.2,
    related=0.6,
)
FULL = Mix(
    counts=(0.3, 0.35, 0.2, 0.1, 0.05),
    verbs=tuple((verb, weight + 0.03) for verb, weight in COMMON_VERBS),
    sizes=(("medium", 0.5), ("small", 0.25), ("large", 0.25)),
    lights=(("day", 0.6), ("sunset", 0.2), ("night", 0.2)),
    styles=(("realistic", 0.7), ("toon", 0.1), ("clay", 0.1), ("monochrome", 0.1)),
    cameras=(("still", 0.6),) + tuple((camera, 0.4 / 6) for camera in CAMERAS[1:]),
    cards=(0.72, 0.2, 0.08),
    cut=0.5,
    long=0.1,
    both_act=0.25,
    related=0.6,
    depth=0.5,
)
STORY = dataclasses.replace(CORE, cards=(0.0, 0.8, 0.2))  # one take in which one thing happens after the other
LIVELY = dataclasses.replace(  # what costs most to learn: fast things, and two or three of which some move
    CORE,
    counts=(0.15, 0.55, 0.3),
    verbs=(("bounce", 0.32), ("fall", 0.2), ("roll", 0.2), ("slide", 0.18), ("throw", 0.05), ("collide", 0.05)),
    cameras=(("still", 1.0),),
    both_act=0.45,
)
STILL = Mix(
    counts=(0.35, 0.40, 0.20, 0.03, 0.02),
    verbs=(("stay", 1.0),),
    shapes=COMMON_SHAPES,
    sizes=MOSTLY_MEDIUM,
    lights=MOSTLY_DAY,
    styles=(("realistic", 1.0),),
    cameras=(("still", 1.0),),
    related=0.8,
    depth=0.12,
)


def pick(rng: np.random.Generator, weights: Weights) -> str:
    """One name by its weight."""
    left = rng.random() * sum(weight for _, weight in weights)
    for name, weight in weights:
        left -= weight
        if left < 0.0:
            return name
    return weights[-1][0]


def sample_graph(rng: np.random.Generator, mix: Mix, *, seconds: float = 4.0, held_out: bool = False) -> SceneGraph:
    """A scene of ``seconds``, drawn again until it lies on the wished side of the held-out split."""
    while True:
        graph = _draw(rng, mix, seconds)
        if is_held_out(graph) == held_out:
            return graph


def _draw(rng: np.random.Generator, mix: Mix, seconds: float) -> SceneGraph:
    count = 1 + int(pick(rng, tuple((str(i), chance) for i, chance in enumerate(mix.counts))))
    spans = _spans(rng, mix, seconds)
    cut = bool(mix.cuts) or (len(spans) > 1 and rng.random() < mix.cut)
    shapes = [pick(rng, mix.shapes) for _ in range(count)]
    first = _acts(rng, mix, shapes, settling=len(spans) > 1 and not cut)
    cards = [Card(start=spans[0][0], end=spans[0][1], acts=first, camera=pick(rng, mix.cameras))]
    for start, end in spans[1:]:
        acts = _acts(rng, mix, list(shapes), settling=False, cast=True) if cut else _next_acts(rng, shapes, cards)
        cards.append(Card(start=start, end=end, acts=acts, camera=pick(rng, mix.cameras) if cut else "still", cut=cut))
    floor = pick(rng, mix.floors)
    return SceneGraph(
        things=_cast(rng, mix, shapes, floor, first),
        cards=tuple(cards),
        relations=_relations(rng, mix, shapes, first, [act.actor for card in cards for act in card.acts if act.verb != "stay"]),
        floor=floor,
        light=pick(rng, mix.lights),
        style=pick(rng, mix.styles),
    )


def _spans(rng: np.random.Generator, mix: Mix, seconds: float) -> list[tuple[float, float]]:
    """The cards' spans: as the mix says, or of 2.5 to 4 seconds each in a long simulation, in steps of a quarter second."""
    if mix.cuts:
        return list(zip((0.0, *mix.cuts), (*mix.cuts, seconds), strict=True))
    if seconds > 8.0:
        number = math.ceil(seconds / (2.5 + 1.5 * rng.random()))
    else:
        number = 1 + int(pick(rng, tuple((str(i), chance) for i, chance in enumerate(mix.cards)))) if seconds >= 2.0 else 1
    borders = [0.0] + [round(4.0 * seconds * i / number) / 4.0 for i in range(1, number)] + [float(seconds)]
    return list(zip(borders[:-1], borders[1:], strict=True))


def _acts(rng: np.random.Generator, mix: Mix, shapes: list[str], *, settling: bool, cast: bool = False) -> tuple[Act, ...]:
    """What happens in a card. Where the shapes are not ``cast`` yet, the actors' are drawn again to suit their verbs."""
    verbs = tuple(row for row in mix.verbs if row[0] in (*SETTLING, "stay")) if settling else mix.verbs
    for _ in range(20):  # a verb that nobody can do is drawn again
        verb = pick(rng, verbs) if verbs else "stay"
        if verb == "stay":
            break
        act = _act(rng, mix, verb, shapes, taken=(), cast=cast)
        if act is None:
            continue
        shared = tuple(row for row in verbs if row[0] not in (*LONE, "stay"))
        if verb in LONE or not shared or len(shapes) < 2 or rng.random() >= mix.both_act:
            return (act,)
        other = _act(rng, mix, pick(rng, shared), shapes, taken=(act.actor,), cast=cast)
        return (act, other) if other else (act,)
    return _all_stay(shapes)


def _act(rng: np.random.Generator, mix: Mix, verb: str, shapes: list[str], *, taken: tuple[int, ...], cast: bool) -> Act | None:
    """The verb done by some free thing, or None where nobody can."""
    suited = SUITED.get(verb, SHAPES)
    free = [i for i in range(len(shapes)) if i not in taken and (shapes[i] in suited or not cast)]
    if not free:
        return None
    actor = free[int(rng.integers(len(free)))]
    others = [i for i in range(len(shapes)) if i != actor and i not in taken]
    target = None
    if verb in ("stack", "collide"):
        fit = [i for i in others if verb == "collide" or not cast or shapes[i] in FLAT_TOPPED]
        if verb == "stack" and not fit:
            return None
        if fit and (verb == "stack" or rng.random() < 0.85):
            target = fit[int(rng.integers(len(fit)))]
    if shapes[actor] not in suited:
        shapes[actor] = pick(rng, tuple(row for row in mix.shapes if row[0] in suited))
    if verb == "stack" and target is not None and shapes[target] not in FLAT_TOPPED:
        shapes[target] = FLAT_TOPPED[int(rng.integers(2))]
    return Act(verb=verb, actor=actor, direction=_side(rng) if verb in DIRECTED else None, target=target)


def _next_acts(rng: np.random.Generator, shapes: list[str], cards: list[Card]) -> tuple[Act, ...]:
    """One thing begins to move from where it stands: another one than before, or the same one back again."""
    before = [act for card in cards for act in card.acts if act.verb != "stay"]
    last = {act.actor: act for act in before}
    free = [i for i in range(len(shapes)) if len(shapes) == 1 or not before or i != before[-1].actor]
    actor = free[int(rng.integers(len(free)))]
    verbs = [verb for verb in GOING_ON if shapes[actor] in SUITED[verb]]
    if actor in last and last[actor].verb in GOING_ON:  # the ground is as slippery below it as it was then
        verbs = [verb for verb in verbs if verb == last[actor].verb != "topple"]
    if not verbs or rng.random() < 0.08:
        return _all_stay(shapes)
    verb = verbs[int(rng.integers(len(verbs)))]
    direction = _side(rng) if verb in DIRECTED else None
    if actor in last and last[actor].direction and direction:
        direction = "left" if last[actor].direction == "right" else "right"
    return (Act(verb=verb, actor=actor, direction=direction),)


def _all_stay(shapes: list[str]) -> tuple[Act, ...]:
    return tuple(Act(verb="stay", actor=i) for i in range(len(shapes)))


def _side(rng: np.random.Generator) -> str:
    return "left" if rng.random() < 0.5 else "right"


def _cast(rng: np.random.Generator, mix: Mix, shapes: list[str], floor: str, acts: tuple[Act, ...]) -> tuple[Thing, ...]:
    """Things of distinct colours that stand out from the floor."""
    colours = [colour for colour in COLOURS if colour not in CLASHES[floor]]
    order = rng.permutation(len(colours))
    sizes = [pick(rng, mix.sizes) for _ in shapes]
    for act in acts:
        if act.verb == "stack" and act.target is not None:  # a large thing would not rest on a small one
            sizes[act.target] = "medium" if sizes[act.target] == "small" else sizes[act.target]
            sizes[act.actor] = "medium" if sizes[act.actor] == "large" else sizes[act.actor]
    told = [None if size == "medium" else size for size in sizes]
    return tuple(
        Thing(colour=colours[int(order[i])], shape=shape, size=size) for i, (shape, size) in enumerate(zip(shapes, told, strict=True))
    )


def _relations(rng: np.random.Generator, mix: Mix, shapes: list[str], acts: tuple[Act, ...], active: list[int]) -> tuple[Relation, ...]:
    """Relations at the beginning, between neighbours of a random order, so that no two contradict each other."""
    bound = {i for act in acts if act.verb in LONE for i in (act.actor, act.target) if i is not None}
    free = [int(i) for i in rng.permutation(len(shapes)) if int(i) not in bound]
    if len(free) < 2 or rng.random() >= mix.related:
        return ()
    quiet = [i for i in free if i not in active]
    if rng.random() < mix.depth and len(quiet) > 1:
        a, b = quiet[:2]
        if shapes[b] in FLAT_TOPPED and shapes[a] in SUITED["stack"] and rng.random() < 0.7:
            return (Relation(kind="on_top_of", a=a, b=b),)
        if not active:  # or one of them would stand in somebody's way
            return (Relation(kind="behind" if rng.random() < 0.5 else "in_front_of", a=a, b=b),)
    pairs = list(zip(free[:-1], free[1:], strict=True))
    flip = rng.random() < 0.5
    kept = pairs if len(pairs) < 2 or rng.random() < 0.5 else pairs[:1]
    return tuple(Relation(kind="right_of", a=b, b=a) if flip else Relation(kind="left_of", a=a, b=b) for a, b in kept)
