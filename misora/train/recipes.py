"""The recipes of the transformer: which latents, in what shares, at what size; it knows nothing of how a step is made.

A recipe is a function that returns a value. ``tiny`` is for tests; ``frames``, ``short`` and ``night`` are the stages by which the
embedded weights were made on two cores, and ``night`` goes on from them for ever; ``gpu`` is for one H100-class card.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from misora.data.loader import Serving
from misora.model.sizes import SIZES
from misora.train.pretrain import PretrainRecipe

STILLS, CLIPS = "stills", "clips"  # folders of shards: single frames, and clips of 49 frames
LIVELY = "lively"  # clips of what costs most to learn: bounces, falls, and two or three things of which some move
ENDS = "ends"  # clips whose last latent frame is a single picture, as a last image and a loop have it
CUTS = "cuts"  # two shots of one cast, each with its own text
PAIRS = "pairs"  # the same in two pictures: what a reference shows is copied long before it moves
RETURNS = "returns"  # clips that come back to their beginning, which follows as an S and whole groups: loops of a clip
JOINS = "joins"  # one take with a second S and whole groups behind it: what leads to a given clip, and from one to another
UPRIGHT = "upright"  # the same scenes as upright pictures and clips: 6:11
STORIES = "stories"  # one take of two or three events, each with its own text
CARD = 6  # times as many samples in a step on a large card as on two cores: 60 whole clips
HELD_OUT = Serving(folder="held-out", frames=13, batch=8, share=1.0)  # clips of scenes that training never draws


def tiny() -> PretrainRecipe:
    """Minutes on any machine: whether the whole way holds together, not what it can show."""
    servings = (Serving(folder=STILLS, frames=1, batch=8, share=0.5), Serving(folder=CLIPS, frames=3, batch=4, share=0.5, jitter=1))
    return PretrainRecipe(config=SIZES["tiny"], servings=servings, compiled=False, warmup=10, average=0.95)


def frames() -> PretrainRecipe:
    """First stage, about ten minutes on two cores: single frames teach shape, colour, count and side."""
    servings = (Serving(folder=STILLS, frames=1, batch=128, share=0.8), Serving(folder=CLIPS, frames=1, batch=128, share=0.2))
    return PretrainRecipe(config=SIZES["small"], servings=servings)


def short() -> PretrainRecipe:
    """Second stage: five latent frames (1.4 s) teach motion; single frames are mixed in so that nothing is forgotten."""
    servings = (Serving(folder=CLIPS, frames=5, batch=24, share=0.7), Serving(folder=STILLS, frames=1, batch=96, share=0.3))
    return PretrainRecipe(config=SIZES["small"], servings=servings)


def night() -> PretrainRecipe:
    """The stage that never ends: mostly whole clips, whose frames the sampler starts one after the other, and single frames."""
    servings = (
        Serving(folder=STILLS, frames=1, batch=128, share=0.08),
        Serving(folder=CLIPS, frames=1, batch=128, share=0.06),  # how things that will move begin
        Serving(folder=LIVELY, frames=1, batch=128, share=0.09),
        Serving(folder=CLIPS, frames=1, batch=128, share=0.03, anywhere=True),  # four frames at once out of the middle
        Serving(folder=LIVELY, frames=1, batch=128, share=0.03, anywhere=True),
        Serving(folder=LIVELY, frames=6, batch=22, share=0.04, anywhere=True),
        Serving(folder=CLIPS, frames=11, batch=12, share=0.03, anywhere=True),  # as long as what sampling sees of a long video
        Serving(folder=LIVELY, frames=11, batch=12, share=0.03, anywhere=True),
        Serving(folder=CLIPS, frames=13, batch=10, share=0.05),
        Serving(folder=LIVELY, frames=13, batch=10, share=0.15),
        Serving(folder=JOINS, frames=13, batch=10, share=0.09),
        Serving(folder=ENDS, frames=12, batch=10, share=0.03),
        Serving(folder=CUTS, frames=13, batch=10, share=0.05),
        Serving(folder=PAIRS, frames=2, batch=64, share=0.04),
        Serving(folder=RETURNS, frames=13, batch=10, share=0.04),
        Serving(folder=RETURNS, frames=10, batch=13, share=0.02, anywhere=True),
        Serving(folder=UPRIGHT, frames=1, batch=128, share=0.04),
        Serving(folder=UPRIGHT, frames=13, batch=10, share=0.02),
        Serving(folder=STORIES, frames=13, batch=10, share=0.08),
    )
    return PretrainRecipe(config=SIZES["small"], servings=servings, shares=(0.25, 0.2, 0.4), shifted=0.0)


def gpu() -> PretrainRecipe:
    """What ``night`` serves, all verbs' folders with it, in batches six times as large, as a large card takes them."""
    plain = night()
    servings = tuple(dataclasses.replace(serving, batch=CARD * serving.batch) for serving in plain.servings)
    return dataclasses.replace(plain, servings=servings)


RECIPES: dict[str, Callable[[], PretrainRecipe]] = {"tiny": tiny, "frames": frames, "short": short, "night": night, "gpu": gpu}
CONTINUING = ("night", "gpu")  # these start from released weights unless told otherwise
