"""The gate before any long run: 64 clips are learned by heart in ten minutes, to 95 % right answers by the parser.

``python runs/overfit.py FOLDER --model MODEL``: clips, run and result go to FOLDER; MODEL holds autoencoder and text encoder. A recipe
that fails here is not worth a night.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import sys
from pathlib import Path

import numpy as np

from misora.data.clip import Clip
from misora.data.loader import Loader, Serving
from misora.evals.prompt import Row, score, take
from misora.evals.prompts import Item
from misora.evals.slices import SLICE_V1
from misora.model import weights
from misora.model.autoencoder import Autoencoder, pixel_frames
from misora.model.sizes import SIZES
from misora.model.text import TextEncoder
from misora.model.transformer import Transformer
from misora.train.cache import fill
from misora.train.card import device_of
from misora.train.loop import Budget, train
from misora.train.pretrain import Pretrainer, PretrainRecipe
from misora.train.recipes import CLIPS
from misora.train.samples import draw_samples
from misora.words.tell import Language, tell
from misora.world.make import Unstageable, render_graph
from misora.world.scenes import CORE, even, sample_graph

SIZE = (96, 176)
MIX = dataclasses.replace(CORE, counts=(0.5, 0.4, 0.1), verbs=even(SLICE_V1.verbs), shapes=even(SLICE_V1.shapes))
GATE = 0.95


def scenes(count: int, seconds: float) -> list[tuple[Item, Clip]]:
    """``count`` clips of the evaluation slice, each with a caption in both languages."""
    rng, found = np.random.default_rng(0), list[tuple[Item, Clip]]()
    while len(found) < count:
        graph = sample_graph(rng, MIX, seconds=seconds)
        if graph not in SLICE_V1:
            continue
        try:
            clip = render_graph(graph, len(found), seconds=seconds, size=SIZE)
        except Unstageable:
            continue
        languages: tuple[Language, ...] = ("en", "ja")
        found.append((Item(graph=graph, captions={lang: tell(graph, 0, random.Random(len(found)), lang).text for lang in languages}), clip))
    return found


def recipe_for(kinds: str, size: str) -> PretrainRecipe:
    """Mostly whole clips, and single frames, which teach shapes and colours sooner."""
    servings = [Serving(folder=CLIPS, frames=1, batch=64, share=0.3), Serving(folder=CLIPS, frames=len(kinds), batch=8, share=0.7)]
    return PretrainRecipe(config=SIZES[size], servings=tuple(servings), average=0.99, compiled=size != "tiny")


def right(row: Row) -> float:
    """The share of right answers over all that the prompts ask; whole clips are not counted again."""
    asked = [given for name, given in row.scores.items() if name not in ("pair", "all")]
    return sum(given.right for given in asked) / sum(given.asked for given in asked)


def drawn(transformer: Transformer, autoencoder: Autoencoder, text: TextEncoder, items: list[Item], kinds: str) -> list[np.ndarray]:
    """The model's clips of the items' English captions, eight at a time."""
    captions, clips = [item.captions["en"] for item in items], list[np.ndarray]()
    for start in range(0, len(captions), 8):
        clips.extend(draw_samples(transformer, autoencoder, text, captions[start : start + 8], kinds=kinds, size=SIZE, seed=start).numpy())
    return clips


def report(name: str, items: list[Item], clips: list[np.ndarray]) -> float:
    """Print and return the share of right answers about ``clips``, one an item."""
    row = score(name, items, [take(frames, index) for index, frames in enumerate(clips)])
    parts = "  ".join(f"{atom} {given.share:.3f}" for atom, given in row.scores.items() if given.asked)
    print(f"{name}: {right(row):.3f} right  ({parts})", flush=True)
    return right(row)


def main(arguments: list[str] | None = None) -> int:
    """Train, draw and judge; 0 when the gate is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--model", default="embedded", metavar="NAME|FOLDER")
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--frames", type=int, default=13, help="latent frames of a clip")
    parser.add_argument("--size", default="small", choices=SIZES)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args(arguments)
    device, kinds = device_of(args.device), "S" + "G" * (args.frames - 1)
    model = weights.folder_of(args.model, ("autoencoder", "text"))
    autoencoder, hash = weights.load_autoencoder(model)
    items, clips = zip(*scenes(args.clips, (pixel_frames(kinds) - 1) / 12), strict=True)
    fill(args.folder / CLIPS, clips, autoencoder.to(device), kinds=kinds, hash=hash, name="gate")
    recipe = recipe_for(kinds, args.size)
    learner = Pretrainer(recipe, Loader(args.folder, recipe.servings, seed=0), weights.load_text(model), args.device)
    train(learner, args.folder / "run", Budget(minutes=args.minutes, steps=args.steps))
    report("simulator", list(items), [clip.frames for clip in clips])
    share = report("model", list(items), drawn(learner.average, autoencoder, learner.text, list(items), kinds))
    print("the gate is passed" if share >= GATE else f"the gate is not passed: {share:.3f} of {GATE}")
    return 0 if share >= GATE else 1


if __name__ == "__main__":
    sys.exit(main())
