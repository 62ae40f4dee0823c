"""Measures how long a restart from released weights takes to come back to their held-out loss; the law is 500 steps.

``python runs/restart.py MODEL DATA``: MODEL is a model folder (or ``embedded``), DATA holds stills/, clips/ and held-out/. The optimiser's
state is not released, so the first steps make the weights worse.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from misora.data.loader import Loader
from misora.model import checkpoint, weights
from misora.train.pretrain import Pretrainer
from misora.train.recipes import HELD_OUT, RECIPES

TOLERANCE = 1.01  # of the old loss that counts as the old loss


def learner_of(model: Path, data: Path, recipe_name: str, device: str) -> Pretrainer:
    """The released transformer, ready to be trained on, its running average equal to it."""
    recipe = RECIPES[recipe_name]()
    held_out = Loader(data, (HELD_OUT,), seed=0, empty=0.0)
    learner = Pretrainer(recipe, Loader(data, recipe.servings, seed=recipe.seed), weights.load_text(model), device, held_out)
    learner.begin_from(checkpoint.load(model / "transformer.safetensors")[0])
    return learner


def curve(learner: Pretrainer, steps: int, every: int) -> Iterator[tuple[int, float]]:
    """The running average's held-out loss before the first step and after every ``every`` steps."""
    yield 0, learner.held_out_loss()
    for number in range(steps):
        learner.step(number)
        if (number + 1) % every == 0:
            yield number + 1, learner.held_out_loss()


def main(arguments: list[str] | None = None) -> int:
    """Print the curve and the verdict; 0 when the law holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--recipe", default="night", choices=RECIPES)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--every", type=int, default=25)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args(arguments)
    learner = learner_of(weights.folder_of(args.model, ("transformer", "text")), args.data, args.recipe, args.device)
    losses = {}
    for step, loss in curve(learner, args.steps, args.every):
        losses[step] = loss
        print(f"step {step:4d}  held-out loss {loss:.5f}  {loss / losses[0]:.4f} of the released", flush=True)
    away = [step for step, loss in losses.items() if loss > TOLERANCE * losses[0]]
    back = next((step for step in losses if not away or step > max(away)), None)
    print(f"back after {back} steps" if back is not None else f"not back after {args.steps} steps")
    return 0 if back is not None else 1


if __name__ == "__main__":
    sys.exit(main())
