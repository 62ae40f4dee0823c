"""``misora train``: the networks from an empty folder, resumable at any time; it knows nothing of how a step is made."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import Any

from misora.client.errors import MissingExtraError, UsageError

COOL = 400  # steps over which rates fall where that is not said
RECIPES = {
    "autoencoder": "tiny, night, gpu, decoder, finish",
    "painter": "tiny, night, sharpen",
    "transformer": "tiny, frames, short, night, gpu",
}
STATE = dict.fromkeys(RECIPES, ", and its state, from which it goes on")  # the text encoder is done in minutes


def add_parser(verbs: Any) -> None:
    """Add the verb, one action for each network, and their flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("train", help="train the networks: autoencoder, painter, text encoder, transformer")
    actions = parser.add_subparsers(dest="network", metavar="autoencoder|painter|text|transformer|lora|split|join", required=True)
    for name, what, does in (
        ("split", "a run's transformer.safetensors into parts of 15 MiB, to be carried off a machine", split),
        ("join", "those parts into transformer.safetensors again, every one verified", join),
    ):
        action = actions.add_parser(name, help=what)
        action.add_argument("folder", type=Path, metavar="FOLDER", help="where the file and its parts are")
        action.set_defaults(run=does, computes=False)
    _add_lora(actions)
    for name, what in (
        ("autoencoder", "pixels to latents and back, on simulated clips"),
        ("painter", "decoded frames to larger ones at twice the rate, on simulated scenes drawn twice"),
        ("text", "captions in two languages to slots of meaning"),
        ("transformer", "noise to latents, on shards made by `misora world --latents`"),
    ):
        action = actions.add_parser(name, help=what)
        action.add_argument("folder", type=Path, metavar="FOLDER", help="the run: its curves and result" + STATE.get(name, ""))
        action.add_argument("--steps", type=int, metavar="N", help="stop after so many steps in all")
        action.set_defaults(run=run, computes=True, recipe="tiny", minutes=None)
        if name != "text":
            action.add_argument("--minutes", type=float, metavar="N", help="stop after so long (default: when the recipe ends)")
            action.add_argument("--recipe", default="night", metavar="NAME", help=RECIPES[name])
            action.add_argument("--device", default="cpu", metavar="NAME", help="cpu, cuda or mps (default: cpu)")
        if name in ("autoencoder", "painter"):
            action.add_argument("--model", default="embedded", metavar="NAME|FOLDER", help="the autoencoder (default: embedded)")
        if name in ("autoencoder", "transformer"):
            action.add_argument(
                "--processes", type=int, default=1, metavar="N", help="that share each batch on a CPU, best one a core (default: 1)"
            )
    action.add_argument("--data", type=Path, required=True, metavar="DIR", help="the folder that holds stills/ and clips/")
    action.add_argument("--model", default="embedded", metavar="NAME|FOLDER", help="text encoder and autoencoder (default: embedded)")
    action.add_argument("--begin", metavar="NAME|FOLDER", help="start from this model's transformer (night, gpu: --model)")
    action.add_argument(
        "--cool", type=int, nargs="?", const=COOL, metavar="N", help=f"with --steps: let the rates fall over the last N (default: {COOL})"
    )


def _add_lora(actions: Any) -> None:
    action = actions.add_parser("lora", help="a LoRA for weights of the Wan family, from a folder of clips with captions")
    action.add_argument(
        "folder", type=Path, metavar="FOLDER", help="the run: its state, curves and lora.safetensors; goes on if it has a state"
    )
    action.add_argument("--data", type=Path, required=True, metavar="DIR", help="clips, each with its caption in a .txt of the same name")
    action.add_argument("--model", required=True, metavar="NAME|FOLDER", help="the weights that it is for")
    action.add_argument("--fills", action="store_true", help="teach clean frames beside noisy ones, so that every verb becomes native")
    action.add_argument("--rank", type=int, default=16, metavar="N", help="of each change, 1 to 512 (default: 16)")
    action.add_argument("--rate", type=float, default=1e-4, metavar="X", help="the learning rate (default: 0.0001)")
    action.add_argument("--steps", type=int, default=1000, metavar="N", help="stop after so many steps in all (default: 1000)")
    action.add_argument("--minutes", type=float, metavar="N", help="stop after so long")
    action.add_argument("--device", metavar="NAME", help="cuda, mps or cpu (default: the best there is)")
    action.set_defaults(run=run_lora, computes=True)


def run_lora(args: argparse.Namespace) -> None:
    """Train a LoRA and say where it is. Raises MisoraError."""
    if importlib.util.find_spec("tensorboard") is None:
        raise MissingExtraError("Training needs more packages; run `pip install 'misora[train]'`.")
    from misora.train.loop import Budget
    from misora.train.lora import LoraRecipe, train_lora

    if (args.minutes is not None and not args.minutes > 0) or args.steps < 1 or not args.rate > 0:
        raise UsageError("There is nothing to learn that way; give --minutes and --rate above 0 and --steps of at least 1.")
    recipe, budget = LoraRecipe(fills=args.fills, rank=args.rank, rate=args.rate), Budget(steps=args.steps, minutes=args.minutes)
    print(train_lora(args.folder, args.data, args.model, recipe, budget, args.device))


def run(args: argparse.Namespace) -> None:
    """Train one network. Raises MisoraError."""
    if not all(map(importlib.util.find_spec, ("numpy", "tensorboard", "mujoco"))):
        raise MissingExtraError("Training needs more packages; run `pip install 'misora[train]'`.")
    from misora.train import runs

    if (args.minutes is not None and not args.minutes > 0) or (args.steps is not None and args.steps < 1):
        raise UsageError("There is nothing to do in no time; give --minutes above 0 and --steps of at least 1.")
    train = {"autoencoder": runs.autoencoder, "painter": runs.painter, "text": runs.text, "transformer": runs.transformer}[args.network]
    print(train(args.folder, runs.Wish(**{name: value for name, value in vars(args).items() if name in runs.WISHES})))


def split(args: argparse.Namespace) -> None:
    """Write a run's transformer in parts. Raises MisoraError."""
    from misora.model import checkpoint

    path = args.folder / "transformer.safetensors"
    for part in checkpoint.save_parts(path, *checkpoint.load(path)):
        print(part)


def join(args: argparse.Namespace) -> None:
    """Write the transformer that the parts make. Raises MisoraError."""
    from misora.model import checkpoint

    path = args.folder / "transformer.safetensors"
    checkpoint.save(path, *checkpoint.load_parts(path))
    print(f"{path}  hash {checkpoint.digest(path)[:12]}")
