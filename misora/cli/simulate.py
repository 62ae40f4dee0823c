"""``misora simulate``: a scene obeys the laws of motion, then its looks are made anew; it knows nothing of the engine."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misora.cli import common, remote
from misora.client.errors import GenerationError, MissingExtraError, UsageError

if TYPE_CHECKING:
    from misora.render.footage import Footage
    from misora.render.request import Request
    from misora.words.graph import Card, SceneGraph
    from misora.world.mesh import Mesh

SECONDS = 4.0  # of a scene that is a sentence
LONGEST = 20  # seconds of a scene
SHORTEST = 0.5  # seconds of a scene, and of each of its cards
THINGS = 5  # of a scene: the weights have seen no more
Cards = list[dict[str, Any]]  # as a storyboard's: prompt, seconds, cut
TRIES = 5  # seeds after which a scene is given up
EXAMPLE = '"a red ball rolls to the right on grass"'


def add_parser(verbs: Any) -> None:
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("simulate", help="let physics move a scene and the model draw it")
    parser.add_argument("scene", metavar="SCENE.json|PROMPT", help="a scene graph, or a sentence of the world's grammar")
    common.add_flags(parser, prompt=False)
    parser.add_argument("--render-only", action="store_true", help="keep the simulator's own pictures")
    parser.add_argument(
        "--strength", default="subtle", metavar="0..1", help="how much is made anew: a number, or subtle, mild, strong (default: subtle)"
    )
    parser.add_argument(
        "--seconds", type=float, metavar="N", help=f"length, up to {LONGEST} (default: {SECONDS:g}, or a scene's cards, which it stretches)"
    )
    parser.set_defaults(run=run, computes=True, prompt=None)


def run(args: argparse.Namespace) -> None:
    """Simulate, draw and say where the video is. Raises MisoraError."""
    from misora.render import verbs

    cards, draw = staged(args.scene, args.seconds)
    args.prompt, args.seconds = cards[0]["prompt"], sum(card["seconds"] for card in cards)
    strength = 0.0 if args.render_only else verbs.strength_of(args.strength)
    if args.server:
        remote.simulate(args, cards, draw, strength)
        return

    def build(request: Request) -> Request:
        common.places(args, common.varied(request, args.variations), common.VIDEOS)  # before the work
        return verbs.rework(request, draw(request), common.dressed_cards(args, request, cards), strength)

    common.make(args, args.seconds, common.VIDEOS, build)


def staged(scene: str, seconds: float | None = None) -> tuple[Cards, Callable[[Request], Footage]]:
    """What tells of a scene, card by card, and what draws it as the simulator sees it. Raises MisoraError."""
    graph, prompts, meshes = scene_of(scene, seconds)
    cards = [
        {"prompt": prompt, "seconds": card.end - card.start, "cut": card.cut} for prompt, card in zip(prompts, graph.cards, strict=True)
    ]
    return cards, lambda request: draft(graph, request, meshes)


def scene_of(text: str, seconds: float | None = None) -> tuple[SceneGraph, list[str], dict[int, Mesh]]:
    """The scene, the sentence that tells of each card, and the meshes of its things by their numbers. Raises UsageError, MediaError.

    With ``seconds`` the cards are stretched evenly to last so long in all; a sentence alone lasts four.
    """
    from misora.words.read import read

    if seconds is not None and not SHORTEST <= seconds <= LONGEST:
        raise UsageError(f"{seconds:g} seconds cannot be simulated; ask for {SHORTEST:g} to {LONGEST}.")
    if not text.endswith(".json"):
        graph = read(text, SECONDS if seconds is None else seconds)
        if graph is None:
            raise UsageError(f"Nothing in {text!r} can be simulated; name things with a colour and a shape, for example {EXAMPLE}.")
        return graph, [text], {}
    try:
        graph, prompts, shapes = _read_scene(Path(text))
    except OSError as error:
        raise UsageError(f"The scene {text} cannot be read ({error.strerror}); check the name.") from None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise UsageError(f"The scene {text} is no scene graph ({reason[:300]}); docs/verbs.md shows one.") from None
    meshes = {i: _mesh(Path(text).parent, file, up) for i, (file, up) in shapes.items()}
    return _lasting(graph, seconds), prompts, meshes


def _read_scene(path: Path) -> tuple[SceneGraph, list[str], dict[int, tuple[object, object]]]:
    """The scene of a file, a sentence for each card, and the files of its meshes. Raises what a wrong file may raise."""
    import random

    from misora.words.graph import SceneGraph
    from misora.words.tell import tell

    told = json.loads(path.read_text("utf-8-sig"))
    shapes = {i: (thing.pop("mesh"), thing.pop("up", "z")) for i, thing in enumerate(told["things"]) if "mesh" in thing}
    graph = SceneGraph.from_json(json.dumps({"relations": []} | told))
    check_graph(graph)
    later = dataclasses.replace(graph, relations=())  # which tell how things stand at the beginning
    scenes = [later if number else graph for number in range(len(graph.cards))]
    return graph, [tell(scene, number, random.Random(0), "en", detail=1.0).text for number, scene in enumerate(scenes)], shapes


def _lasting(graph: SceneGraph, seconds: float | None) -> SceneGraph:
    """The scene with its cards stretched to last ``seconds`` in all, or as they are. Raises UsageError."""
    end = graph.cards[-1].end
    if seconds is None and not SHORTEST <= end <= LONGEST:
        raise UsageError(f"The scene's cards last {end:g} seconds; let them end at {SHORTEST:g} to {LONGEST}, or give --seconds.")
    scale = 1.0 if seconds is None else seconds / end
    if (least := min(card.end - card.start for card in graph.cards) * scale) < SHORTEST:
        raise UsageError(f"A card of {least:.2g} seconds cannot be simulated; give each {SHORTEST:g} or more, or a longer --seconds.")
    cards = tuple(dataclasses.replace(card, start=scale * card.start, end=scale * card.end) for card in graph.cards)
    return dataclasses.replace(graph, cards=cards) if seconds is not None else graph


def check_graph(graph: SceneGraph) -> None:
    """Raise ValueError, naming it, for a word that the world does not know, a number of a thing that is not there, or cards that do not
    follow each other."""
    from misora.words import graph as known

    words: list[tuple[str, tuple[str, ...]]] = [(thing.colour, known.COLOURS) for thing in graph.things]
    words += [(thing.shape, known.SHAPES) for thing in graph.things]
    words += [(thing.size, known.SIZES) for thing in graph.things if thing.size is not None]
    words += [(graph.floor, known.FLOORS), (graph.light, known.LIGHTS), (graph.style, known.STYLES)]
    pairs: list[tuple[int, int | None]] = [(relation.a, relation.b) for relation in graph.relations]
    numbers = [number for pair in pairs for number in pair]
    words += [(relation.kind, known.RELATIONS) for relation in graph.relations]
    for card in graph.cards:
        words += [(card.camera, known.CAMERAS), *((act.verb, known.VERBS) for act in card.acts)]
        words += [(act.direction, known.DIRECTIONS) for act in card.acts if act.direction is not None]
        pairs += [(act.actor, act.target) for act in card.acts]
        numbers += [act.actor for act in card.acts]
        numbers += [act.target for act in card.acts if act.target is not None or act.verb == "stack"]
    for word, list_of in words:
        if word not in list_of:
            raise ValueError(f"{word!r} is none of {', '.join(list_of)}")
    if not 1 <= len(graph.things) <= THINGS or not graph.cards:
        raise ValueError(f"it needs 1 to {THINGS} things, and cards")
    if any(not isinstance(number, int) or not 0 <= number < len(graph.things) for number in numbers):
        raise ValueError("an act or a relation of a thing that is not there")
    if any(a == b for a, b in pairs):
        raise ValueError("an act or a relation of a thing with itself")
    _check_spans(graph.cards)


def _check_spans(cards: Sequence[Card]) -> None:
    """Raise ValueError unless the cards follow each other from 0 seconds on."""
    clock = 0.0
    for card in cards:
        if not 0 <= card.start < card.end <= 600:  # refuses nan too
            raise ValueError(f"a card from {card.start} to {card.end} seconds")
        if not isinstance(card.cut, bool):
            raise ValueError(f"a card whose cut is {card.cut!r}, neither true nor false")
        if abs(card.start - clock) > 0.01:
            raise ValueError(f"a card starts at {card.start:g} seconds where the one before ends at {clock:g}")
        clock = card.end


def _mesh(folder: Path, file: object, up: object) -> Mesh:
    """A thing's mesh, from a path relative to the scene. Raises UsageError, MediaError, MissingExtraError."""
    try:
        from misora.world.mesh import read_mesh
    except ModuleNotFoundError as error:
        raise MissingExtraError("The simulator is not installed; run `pip install 'misora[world]'`.") from error
    if not isinstance(file, str) or up not in ("y", "z"):
        raise UsageError('A mesh is the name of an .obj or .stl file, and "up" is "y" or "z"; mend the scene there.')
    return read_mesh(folder / file, up=str(up))


def draft(graph: SceneGraph, request: Request, meshes: dict[int, Mesh]) -> Footage:
    """The scene as the simulator draws it, at the video's size and rate. Raises GenerationError, MissingExtraError."""
    try:
        from misora.world.make import Unstageable, render_graph
    except ModuleNotFoundError as error:
        raise MissingExtraError("The simulator is not installed; run `pip install 'misora[world]'`.") from error
    import torch

    from misora.render.footage import Footage

    frames = round(request.seconds * 24)
    for again in range(TRIES):
        try:
            size, seconds = request.delivered(), (frames - 1) / 24
            clip = render_graph(graph, request.seed + again, seconds=seconds, frame_rate=24.0, size=size, meshes=meshes)
        except Unstageable:
            continue
        return Footage(frames=torch.from_numpy(clip.frames), rate=24.0, name="the simulation")
    raise GenerationError("The simulator cannot stage this scene; use fewer things, or word it differently.")
