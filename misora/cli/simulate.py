"""``misora simulate``: a scene obeys the laws of motion, then its looks are made anew; it knows nothing of the engine."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misora.cli import common, remote
from misora.client.errors import GenerationError, MissingExtraError, UsageError

if TYPE_CHECKING:
    from misora.render.footage import Footage
    from misora.render.request import Request
    from misora.words.graph import SceneGraph
    from misora.world.mesh import Mesh

LONGEST = 20  # seconds of a scene
TRIES = 5  # seeds after which a scene is given up
EXAMPLE = '"a red ball rolls to the right on grass"'


def add_parser(verbs: Any) -> None:
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("simulate", help="let physics move a scene and the model draw it")
    parser.add_argument("scene", metavar="SCENE.json|PROMPT", help="a scene graph, or a sentence of the world's grammar")
    common.add_flags(parser, prompt=False)
    parser.add_argument("--render-only", action="store_true", help="keep the simulator's own pictures")
    parser.add_argument(
        "--strength", default="mild", metavar="0..1", help="how much is made anew: a number, or subtle, mild, strong (default: mild)"
    )
    common.add_seconds(parser, "length", most=LONGEST)
    parser.set_defaults(run=run, computes=True, prompt=None)


def run(args: argparse.Namespace) -> None:
    """Simulate, draw and say where the video is. Raises MisoraError."""
    from misora.render import verbs

    args.prompt, draw = staged(args.scene, args.seconds)
    strength = 0.0 if args.render_only else verbs.strength_of(args.strength)
    if args.server:
        remote.simulate(args, draw, strength)
        return
    common.make(args, args.seconds, common.VIDEOS, lambda request: verbs.remix(request, draw(request), strength))


def staged(scene: str, seconds: float) -> tuple[str, Callable[[Request], Footage]]:
    """The sentence that tells of a scene, and what draws it as the simulator sees it. Raises MisoraError."""
    graph, sentence, meshes = scene_of(scene, seconds)
    return sentence, lambda request: draft(graph, request, meshes)


def scene_of(text: str, seconds: float) -> tuple[SceneGraph, str, dict[int, Mesh]]:
    """The scene, the sentence that tells of it, and the meshes of its things by their numbers. Raises UsageError, MediaError."""
    import random

    from misora.words.graph import SceneGraph
    from misora.words.read import read
    from misora.words.tell import tell

    if not 0.5 <= seconds <= LONGEST:
        raise UsageError(f"{seconds:g} seconds cannot be simulated; ask for 0.5 to {LONGEST}.")
    if not text.endswith(".json"):
        graph = read(text, seconds)
        if graph is None:
            raise UsageError(f"Nothing in {text!r} can be simulated; name things with a colour and a shape, for example {EXAMPLE}.")
        return graph, text, {}
    try:
        told = json.loads(Path(text).read_text("utf-8-sig"))
        shapes = {i: (thing.pop("mesh"), thing.pop("up", "z")) for i, thing in enumerate(told["things"]) if "mesh" in thing}
        graph = SceneGraph.from_json(json.dumps(told))
        check_graph(graph)
        sentence = tell(graph, 0, random.Random(0), "en", detail=1.0).text
    except OSError as error:
        raise UsageError(f"The scene {text} cannot be read ({error.strerror}); check the name.") from None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise UsageError(f"The scene {text} is no scene graph ({error}); docs/world.md shows one.") from None
    return graph, sentence, {i: _mesh(Path(text).parent, file, up) for i, (file, up) in shapes.items()}


def check_graph(graph: SceneGraph) -> None:
    """Raise ValueError, naming it, for a word that the world does not know, or a number of a thing that is not there."""
    from misora.words import graph as known

    words: list[tuple[str, tuple[str, ...]]] = [(thing.colour, known.COLOURS) for thing in graph.things]
    words += [(thing.shape, known.SHAPES) for thing in graph.things]
    words += [(thing.size, known.SIZES) for thing in graph.things if thing.size is not None]
    words += [(graph.floor, known.FLOORS), (graph.light, known.LIGHTS), (graph.style, known.STYLES)]
    numbers = [number for relation in graph.relations for number in (relation.a, relation.b)]
    words += [(relation.kind, known.RELATIONS) for relation in graph.relations]
    for card in graph.cards:
        words += [(card.camera, known.CAMERAS), *((act.verb, known.VERBS) for act in card.acts)]
        words += [(act.direction, known.DIRECTIONS) for act in card.acts if act.direction is not None]
        numbers += [number for act in card.acts for number in (act.actor, act.target) if number is not None]
        if not 0 <= card.start < card.end <= 600:
            raise ValueError(f"a card from {card.start} to {card.end} seconds")
    for word, list_of in words:
        if word not in list_of:
            raise ValueError(f"{word!r} is none of {', '.join(list_of)}")
    if not graph.things or not graph.cards:
        raise ValueError("it needs things and cards")
    if any(not isinstance(number, int) or not 0 <= number < len(graph.things) for number in numbers):
        raise ValueError("an act or a relation of a thing that is not there")


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
