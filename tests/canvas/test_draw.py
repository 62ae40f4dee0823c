"""Laws of the canvases that training draws."""

import pytest
import torch

from misora.canvas import fills
from misora.canvas.canvas import REFERENCE, kind_indices, times_of
from misora.canvas.draw import Drawn, draw, draw_boxes, draw_canvas, draw_ends, draw_staircase


@pytest.mark.parametrize("frames", [1, 2, 5, 13])
def test_drawn_levels_leave_something_to_learn(frames: int) -> None:
    level = draw(4000, frames, torch.Generator().manual_seed(0))
    assert level.shape == (4000, frames)
    assert level.min() >= 0
    assert level.max() <= 1
    assert (level.amax(dim=1) > 0).all()


def test_patterns_have_their_shares() -> None:
    level = draw(20_000, 13, torch.Generator().manual_seed(0))
    one = (level == level[:, :1]).all(dim=1).float().mean()
    verb = ((level == 0) | (level == level.amax(dim=1, keepdim=True))).all(dim=1).float().mean() - one
    rising = (level.diff(dim=1) >= 0).all(dim=1).float().mean()
    assert one == pytest.approx(0.35, abs=0.02)
    assert verb > 0.15 / 2 - 0.01  # the other half of the verbs leaves a staircase open
    assert rising > 0.35 + 0.24  # one level, stairs, and the verbs that extend forward


def test_mean_and_shift_move_levels_towards_noise() -> None:
    low, high, shifted = (
        draw(4000, 1, torch.Generator().manual_seed(0), mean=mean, shift=shift).mean()
        for mean, shift in ((0.0, 1.0), (1.2, 1.0), (1.2, 3.0))
    )
    assert low < high < shifted


def test_the_same_seed_draws_the_same() -> None:
    assert torch.equal(draw(64, 13, torch.Generator().manual_seed(3)), draw(64, 13, torch.Generator().manual_seed(3)))


def test_given_ends_are_whole_and_never_everything() -> None:
    for frames in (1, 2, 3, 13):
        fill = draw_ends(2000, frames, torch.Generator().manual_seed(1))
        assert set(fill.unique().tolist()) <= {0.0, 1.0}
        assert (fill.sum(dim=1) >= 1).all()
        assert (fill.diff(dim=1).abs().sum(dim=1) <= 2).all()  # one invented stretch


def test_every_verb_is_drawn() -> None:
    fills_drawn = {tuple(fill.int().tolist()) for fill in draw_ends(4000, 4, torch.Generator().manual_seed(2))}
    assert {(0, 1, 1, 1), (0, 0, 1, 1), (0, 0, 0, 1), (1, 1, 1, 0), (1, 1, 0, 0), (0, 1, 1, 0)} <= fills_drawn


def test_stairs_rise_and_pass_through_every_level() -> None:
    level = draw_staircase(4000, 13, torch.Generator().manual_seed(0))
    assert (level.diff(dim=1) >= 0).all()
    assert (level[:, -1] > 0).all()
    inside = level[(level > 0) & (level < 1)]
    assert torch.histc(inside, 10, 0, 1).min() > 0.07 * len(inside)


def test_text_invents_everything_and_an_image_is_one_frame() -> None:
    canvas = fills.text(kinds="SGGSG", channels=16, height=12, width=22, batch=2)
    assert (canvas.level == 1).all()
    assert canvas.token_level(canvas.level).shape == (2, 5)
    assert kind_indices(canvas.kinds).tolist() == [0, 1, 1, 0, 1]
    assert fills.image(channels=16, height=12, width=22).given.shape == (1, 16, 1, 12, 22)


def test_a_mask_inside_a_frame_needs_a_level_for_every_token() -> None:
    canvas = fills.text(kinds="SG", channels=4, height=4, width=6)
    level = canvas.level.clone()
    level[:, 1, :2, :2] = 0
    tokens = canvas.token_level(level)
    assert tokens.shape == (1, 2, 2, 3)
    assert tokens[0, 1, 0, 0] == 0
    assert tokens.sum() == 11


def _drawn(kinds: str, seed: int = 0, batch: int = 600) -> Drawn:
    return draw_canvas(batch, kinds, 6, 11, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kinds", ["S", "SGG", "SGGGGGGS", "SGGSGGG", "GGGGG", "G", "SS"])
def test_a_drawn_canvas_fits_its_kinds_and_leaves_something_to_learn(kinds: str) -> None:
    for seed in range(12):
        drawn = _drawn(kinds, seed, batch=100)
        assert drawn.level.shape in ((100, len(kinds)), (100, len(kinds), 6, 11))
        assert drawn.level.isfinite().all() and drawn.level.min() >= 0 and drawn.level.max() <= 1
        assert (drawn.level.flatten(1).amax(1) > 0).all()
        assert drawn.times.shape == drawn.roles.shape == (100, len(kinds))
        assert torch.equal(drawn[10:20].level, drawn.level[10:20])
        frames = drawn.level.flatten(2).amax(2) if drawn.level.ndim == 4 else drawn.level  # b t
        assert (frames[drawn.roles == REFERENCE] == 0).all()


def test_references_lie_far_off_and_are_the_shorter_side() -> None:
    for kinds, side in (("SGGGGGGGGGGGS", slice(12, 13)), ("SGGSGGGG", slice(0, 3)), ("SGGGGGSGG", slice(6, 9))):
        drawn = _drawn(kinds)
        chosen = (drawn.roles == REFERENCE).any(1)  # b
        assert 0.4 < chosen.float().mean() < 0.6
        rest = torch.ones(len(kinds), dtype=torch.bool)
        rest[side] = False
        referred = drawn.roles[chosen]
        assert (referred[:, side] == REFERENCE).all() and (referred[:, rest] == 0).all()
        gap = drawn.times[chosen][:, rest].amin(1) - drawn.times[chosen][:, side].amax(1)
        assert gap.min() >= 16
        assert torch.equal(drawn.times[~chosen][0], times_of(kinds))


def test_clips_that_end_on_a_second_s_mostly_must_arrive_there() -> None:
    for kinds, cut in (("SGGGGGGGGGSGG", 10), ("GGGGGGGSGG", 7), ("SGGGGGGGGGGGS", 12)):
        drawn = next(one for seed in range(9) if (one := _drawn(kinds, seed)).level.ndim == 2)
        shown = drawn.level[(drawn.roles != REFERENCE).all(1)]
        arrives = (shown[:, cut:] == 0).all(1)
        assert 0.7 < arrives.float().mean() < 0.9
        assert 0.4 < (shown[arrives][:, 0] == 0).float().mean() < 0.95
        assert (shown[:, :cut] > 0).any(1)[arrives].all()
    shots = next(one for seed in range(9) if (one := _drawn("SGGGGGSGGGGGG", seed)).level.ndim == 2)
    assert (shots.level[(shots.roles != REFERENCE).all(1)][:, 6:] == 0).all(1).float().mean() < 0.3


def test_windows_out_of_the_middle_mostly_begin_clean() -> None:
    led = (_drawn("GGGGG").level.flatten(2).amax(2) if _drawn("GGGGG").level.ndim == 4 else _drawn("GGGGG").level)[:, 0] == 0
    assert 0.6 < led.float().mean() < 0.95


def test_a_tenth_of_the_batches_has_masks_of_one_level_a_frame() -> None:
    drawn = [_drawn("SGGGG", seed, batch=20) for seed in range(300)]
    masked = [d.level for d in drawn if d.level.ndim == 4]
    assert 0.05 < len(masked) / len(drawn) < 0.16
    for level in masked:
        highest = level.amax((2, 3), keepdim=True)
        assert ((level == 0) | (level == highest)).all()
    shares = torch.cat([(level > 0).float().mean((1, 2, 3)) for level in masked])
    assert shares.min() < 0.1 and shares.max() > 0.8


def test_boxes_lie_where_there_is_something_to_invent() -> None:
    level = torch.zeros(500, 6)
    level[:, 4] = 1
    mask = draw_boxes(level, 6, 11, torch.Generator().manual_seed(0))
    assert mask[:, 4].flatten(1).any(1).all()
