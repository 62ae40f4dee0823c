"""What a full loop of a clip is made of: no network is needed to say it."""

from __future__ import annotations

import torch

from misora.render import verbs
from misora.render.footage import Footage
from misora.render.request import Request


def footage(count: int) -> Footage:
    """A given clip of noise at 24 frames per second."""
    return Footage(frames=torch.randint(0, 256, (count, 48, 64, 3), dtype=torch.uint8), rate=24.0)


def test_what_a_full_loop_ends_on_was_never_in_the_clip() -> None:
    request = Request(prompt="a ball", seed=1)
    parts = verbs.loop(request, footage(60), "full").parts
    assert [part.clip is None for part in parts] == [False, True] and parts[1].seconds == 1
    assert parts[0].strength > 0 and parts[0].clip and parts[0].span and parts[0].span[1] == parts[0].clip.seconds == 1.5
    assert parts[0].begins and not parts[0].given, "what leads back arrives at a frame of its own"


def test_a_clip_of_a_second_keeps_something_of_its_end() -> None:
    (short,) = verbs.loop(Request(prompt="a ball", seed=1), footage(24), "full").parts
    assert short.clip and short.span and short.span[1] == short.clip.seconds
