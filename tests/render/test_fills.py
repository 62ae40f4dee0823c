"""What is drawn for a verb is the canvas of its fill: the levels, kinds, times, roles and cards that ``canvas/fills.py`` says."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch

from misora.canvas import fills
from misora.canvas.canvas import Canvas
from misora.canvas.show import noise_map
from misora.model.weights import load_weights
from misora.render import verbs
from misora.render.compose import compose
from misora.render.footage import Footage
from misora.render.request import Request
from tests.tiny import write_weights

NATIVE = 1 / 12  # seconds
ASKED = Request(prompt="a ball", seed=1, size="64x64", seconds=1.0)
NONE = dataclasses.replace(ASKED, seconds=0.0)
MASK = torch.zeros(16, 16)
MASK[:6, 2:12] = 1  # of the latents, whole tokens of two: what a box touches of them


def footage(count: int) -> Footage:
    """A given clip at the network's rate."""
    return Footage(frames=torch.zeros(count, 64, 64, 3, dtype=torch.uint8), rate=12.0)


def text(kinds: str) -> Canvas:
    return fills.text(kinds=kinds, channels=16, height=16, width=16)


def clip(kinds: str) -> Canvas:
    return fills.given(text(kinds).given, kinds)


def lasting(frames: int) -> Request:
    return dataclasses.replace(ASKED, seconds=frames * NATIVE)


IMAGE, FIVE = footage(1), footage(5)
CARDS: list[dict[str, Any]] = [{"prompt": "a ball", "seconds": 5 * NATIVE}, {"prompt": "a cube", "seconds": 8 * NATIVE}]
VERBS: dict[str, tuple[Callable[[], Request], Canvas]] = {
    "text to video": (lambda: lasting(9), text("SGG")),
    "image": (lambda: NONE, fills.image(channels=16, height=16, width=16)),
    "animate": (lambda: verbs.animate(lasting(9), IMAGE), fills.animate(clip("S"), "GG")),
    "animate to a last image": (lambda: verbs.animate(lasting(10), IMAGE, IMAGE), fills.animate(clip("S"), "GG", clip("S"))),
    "only a last image": (lambda: verbs.animate(lasting(10), None, IMAGE), fills.extend_backward(clip("S"), "SGG")),
    "extend": (lambda: verbs.extend(lasting(8), FIVE), fills.extend(clip("SG"), "GG")),
    "extend by nothing": (lambda: verbs.extend(NONE, FIVE), fills.extend(clip("SG"), "")),
    "extend backward": (lambda: verbs.extend(lasting(9), FIVE, backward=True), fills.extend_backward(clip("SG"), "SGG")),
    "connect": (lambda: verbs.connect(lasting(8), FIVE, FIVE), fills.connect(clip("SG"), clip("SG"), "GG")),
    "loop": (lambda: verbs.loop(lasting(12)), fills.loop(text("GGG"))),
    "long loop": (lambda: verbs.loop(lasting(56)), fills.loop(text("G" * 14))),
    "loop of a clip": (lambda: verbs.loop(ASKED, footage(21), "normal"), fills.loop_clip(clip("SGGGGG"), 3, again=clip("SGG"))),
    "remix": (lambda: verbs.remix(ASKED, FIVE, 0.5), fills.remix(clip("SG"), 0.5)),
    "inpaint": (lambda: verbs.inpaint(ASKED, FIVE, box=(14, 0, 32, 23)), fills.inpaint(clip("SG"), MASK.expand(2, -1, -1))),
    "re-cut": (lambda: verbs.inpaint(ASKED, footage(18), span=(5 * NATIVE, 13 * NATIVE)), fills.connect(clip("SG"), clip("SG"), "GG")),
    "storyboard": (lambda: verbs.storyboard(ASKED, CARDS), fills.storyboard([text("SG"), text("GG")])),
    "reference": (lambda: dataclasses.replace(lasting(9), references=(FIVE,)), fills.reference(text("SGG"), clip("SG"))),
    "storyboard of an image that loops": (
        lambda: verbs.loop(verbs.storyboard(ASKED, [CARDS[0] | {"image": IMAGE}, CARDS[1]])),
        fills.loop(fills.storyboard([fills.animate(clip("S"), "G"), text("GG")])),
    ),
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_weights(str(write_weights(tmp_path_factory.mktemp("weights"))))


@pytest.mark.parametrize("name", VERBS)
def test_what_is_drawn_for_a_verb_is_its_fill(weights: Any, name: str) -> None:
    asked, fill = VERBS[name]
    canvas = compose(asked(), weights).canvas
    assert noise_map(canvas) == noise_map(fill)
    assert (canvas.kinds, canvas.tied, canvas.ring) == (fill.kinds, fill.tied, fill.ring)
    for which in ("level", "times", "roles", "cards"):
        assert torch.equal(getattr(canvas, which), getattr(fill, which)), which
