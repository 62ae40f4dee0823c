"""Drawn frames on their way out: what flickers by less than a grey level is still, and nothing is ever further off than that."""

import torch

from misora.render.native import CALM, calmed, calmed_round

LEVEL = 2 / 255


def test_what_flickers_by_less_than_a_level_stays() -> None:
    generator = torch.Generator().manual_seed(0)
    still = torch.rand(3, 8, 8, generator=generator)
    frames = [still + LEVEL * 0.45 * (2 * torch.rand(3, 8, 8, generator=generator) - 1) for _ in range(20)]
    shown = list(calmed(frames))
    assert all(torch.equal(frame, shown[0]) for frame in shown)


def test_nothing_is_further_off_than_a_level() -> None:
    generator = torch.Generator().manual_seed(0)
    frames = list(torch.randn(50, 3, 8, 8, generator=generator).mul(0.01).cumsum(0))
    for frame, shown in zip(frames, calmed(frames), strict=True):
        assert float((frame - shown).abs().max()) <= CALM + 1e-6


def test_a_fade_and_a_cut_are_followed() -> None:
    fade = [torch.full((3, 1, 1), 0.25 * LEVEL * number) for number in range(100)]
    assert abs(float(list(calmed(fade))[-1].max()) - float(fade[-1].max())) <= CALM + 1e-6
    cut = [torch.zeros(3, 1, 1), torch.ones(3, 1, 1)]
    assert float(list(calmed(cut))[-1].min()) >= 1 - CALM - 1e-6


def test_a_ring_is_calm_where_it_closes() -> None:
    generator = torch.Generator().manual_seed(0)
    ring = list(torch.rand(12, 3, 8, 8, generator=generator) * 3 * LEVEL)
    shown = list(calmed_round([*ring[-3:], *ring, *ring[:4]], 3, 4))
    assert len(shown) == 19
    for one, again in zip(shown[3:7], shown[15:], strict=True):
        assert torch.equal(one, again)  # it goes on as it began
