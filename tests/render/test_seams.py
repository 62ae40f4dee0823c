"""Laws of where drawn frames meet given ones."""

import torch
from torch import Tensor

from misora.render.seams import Lost, relit


def _picture() -> Tensor:
    """Sky over ground with a thing on it, [24, 40, 3], 0..255."""
    rows = torch.linspace(230, 90, 24)[:, None, None] * torch.tensor([0.8, 0.9, 1.0])  # 24 1 3
    picture = rows.expand(24, 40, 3).clone()
    picture[12:18, 5:11] = torch.tensor([200.0, 30, 30])
    return picture


def test_the_light_of_the_same_scene_is_taken_over_whatever_moved() -> None:
    day = _picture()
    night = 0.4 * day.roll(12, 1) * torch.tensor([0.8, 0.9, 1.1]) + 5  # and the thing is elsewhere
    rest = torch.ones(24, 40, dtype=torch.bool)
    rest[12:18, 5:11] = rest[12:18, 17:23] = False
    assert (night - day).abs()[rest].mean() > 60
    assert (night + relit(night, day) - day).abs()[rest].max() < 3


def test_another_scene_gives_no_light() -> None:
    one, other = (255 * torch.rand(24, 40, 3, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert relit(one, other).abs().max() < 0.1
    assert not relit(one, one).any() and not relit(one, one + 3).any(), "nor does nearly the same one"


def test_what_is_lost_and_still_ground_come_back_and_movers_stay() -> None:
    seen = _picture().round()
    lost = Lost(given=(seen + 3).to(torch.uint8), seen=seen.to(torch.uint8))
    drawn = seen - 2
    drawn[2:5, 30:34] = 0  # a thing that was not there
    led = drawn + lost.back(drawn.to(torch.uint8), 1.0)
    there = torch.ones(24, 40, dtype=torch.bool)
    there[2:5, 30:34] = False
    assert (led - lost.given)[there].abs().max() < 1, "the given frame itself"
    assert led[2:5, 30:34].abs().max() < 12
    assert torch.equal(lost.back(drawn.to(torch.uint8), 0.0), torch.zeros_like(drawn))
