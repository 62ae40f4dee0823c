"""``misora simulate``: a scene obeys the laws of motion, then its looks are made anew; it knows nothing of the engine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misora.cli import common
from misora.client.errors import GenerationError, MissingExtraError, UsageError

if TYPE_CHECKING:
    from misora.render.footage import Footage
    from misora.render.request import Request
    from misora.words.graph import SceneGraph

TRIES = 5  # seeds after which a scene is given up
EXAMPLE = '"a red ball rolls to the right on grass"'


def add_parser(verbs: Any) -> None:
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("simulate", help="let physics move a scene and the model draw it")
    parser.add_argument("scene", metavar="SCENE.json|PROMPT", help="a scene graph, or a sentence of the world's grammar")
    common.add_flags(parser, prompt=False)
    parser.add_argument("--render-only", action="store_true", help="keep the simulator's own pictures")
    parser.add_argument("--strength", default="mild", metavar="0..1", help="how much is made anew: a number, or subtle, mild, strong")
    common.add_seconds(parser, "length")
    parser.set_defaults(run=run, computes=True, prompt=None)


def run(args: argparse.Namespace) -> None:
    """Simulate, draw and say where the video is. Raises MisoraError."""
    from misora.render import verbs

    graph, args.prompt = scene_of(args.scene, args.seconds)
    strength = 0.0 if args.render_only else verbs.strength_of(args.strength)
    common.make(args, args.seconds, common.VIDEOS, lambda request: verbs.remix(request, draft(graph, request), strength))


def scene_of(text: str, seconds: float) -> tuple[SceneGraph, str]:
    """The scene, and the sentence that tells of it. Raises UsageError."""
    import random

    from misora.words.graph import SceneGraph
    from misora.words.read import read
    from misora.words.tell import tell

    if not 0.5 <= seconds <= 20:
        raise UsageError(f"{seconds:g} seconds cannot be simulated; ask for 0.5 to 20.")
    if not text.endswith(".json"):
        graph = read(text, seconds)
        if graph is None:
            raise UsageError(f"Nothing in {text!r} can be simulated; name things with a colour and a shape, for example {EXAMPLE}.")
        return graph, text
    try:
        graph = SceneGraph.from_json(Path(text).read_text("utf-8"))
        return graph, tell(graph, 0, random.Random(0), "en", detail=1.0).text
    except OSError as error:
        raise UsageError(f"The scene {text} cannot be read ({error.strerror}); check the name.") from None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise UsageError(f"The scene {text} is no scene graph ({error}); docs/world.md shows one.") from None


def draft(graph: SceneGraph, request: Request) -> Footage:
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
            clip = render_graph(graph, request.seed + again, seconds=(frames - 1) / 24, frame_rate=24.0, size=request.delivered())
        except Unstageable:
            continue
        return Footage(frames=torch.from_numpy(clip.frames), rate=24.0, name="the simulation")
    raise GenerationError("The simulator cannot stage this scene; use fewer things, or word it differently.")
