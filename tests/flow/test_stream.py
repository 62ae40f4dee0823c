"""Laws of the stream: behind a window wide enough it is ``generate``; frames leave early and in order; what it costs stays the same."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from misora.canvas import fills
from misora.canvas.canvas import Canvas, taken
from misora.flow import stream as streaming
from misora.flow.generate import Sampling, generate, turning
from misora.flow.schedule import schedule
from misora.flow.stream import sliding, stream
from misora.model.transformer import Transformer
from tests.tiny import random_transformer

TEXT = torch.randn(1, 5, 256, generator=torch.Generator().manual_seed(6))
NOTHING = torch.zeros(1, 5, 256)


@pytest.fixture(scope="module")
def network() -> Transformer:
    return random_transformer()


def _text(kinds: str) -> Canvas:
    return fills.text(kinds=kinds, channels=16, height=4, width=6)


def _given(kinds: str) -> Canvas:
    return fills.given(torch.randn(1, 16, len(kinds), 4, 6, generator=torch.Generator().manual_seed(5)), kinds)


def _streamed(network: Transformer, canvas: Canvas, how: Sampling) -> Tensor:
    return torch.stack(list(stream(network, canvas, TEXT, NOTHING, how)), 2)


def test_behind_a_window_wide_enough_it_is_generate(network: Transformer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "sliding", lambda canvas, level, after: list(range(len(canvas.kinds))))
    canvas, how = fills.extend(_given("SG"), "GGGG"), Sampling(steps=3, lag=0.5, eta=0.5)
    assert torch.equal(_streamed(network, canvas, how), generate(network, canvas, TEXT, NOTHING, how))


def test_what_lies_in_the_window_from_start_to_end_is_generate(network: Transformer) -> None:
    canvas, how = fills.animate(_given("S"), "GG"), Sampling(steps=3, eta=0.5)  # without a lag all frames are under way at once
    assert torch.allclose(_streamed(network, canvas, how), generate(network, canvas, TEXT, NOTHING, how), atol=1e-5)


def test_frames_leave_in_order_and_long_before_the_end(network: Transformer) -> None:
    steps: list[int] = []
    left = []
    canvas = _text("S" + "G" * 19)
    for _ in stream(network, canvas, TEXT, NOTHING, Sampling(steps=4, lag=1.0), lambda done, total: steps.append(total)):
        left.append(len(steps))
    assert len(left) == 20 and left == sorted(left)
    assert left[0] <= 4 and steps[0] == 4 + 19


def test_the_window_is_as_wide_for_a_minute_as_for_a_few_seconds(network: Transformer) -> None:
    def widest(frames: int) -> int:
        seen = []
        canvas = _text("S" + "G" * (frames - 1))
        for step in range(4 + frames):
            done = (step - torch.arange(frames).float()) / 4
            level, after = 1 - done.clamp(0, 1), 1 - (done + 0.25).clamp(0, 1)
            seen.append(len(sliding(canvas, level, after)))
        return max(seen)

    assert widest(180) == widest(40) <= 4 + streaming.PAST


def test_given_frames_and_references_are_seen_and_stay(network: Transformer) -> None:
    canvas = fills.reference(fills.connect(_given("SG"), _given("SG"), "G" * 14), _given("S"))
    level = torch.ones(len(canvas.kinds))
    after = torch.where(torch.arange(len(level)) == 3, 0.5, level)
    assert sliding(canvas, level, after) == [0, 1, 2, 3]
    after = torch.where(torch.arange(len(level)) == 9, 0.5, level)
    assert sliding(canvas, level, after) == [0, 5, 6, 7, 8, 9, 17, 18]
    made = _streamed(network, canvas, Sampling(steps=3, lag=1.0))
    assert made.shape[2] == 18, "a reference is never shown"
    assert torch.equal(made[:, :, :2], canvas.given[:, :, 1:3]) and torch.equal(made[:, :, -2:], canvas.given[:, :, -2:])


def test_tied_frames_become_the_same_picture(network: Transformer) -> None:
    canvas = fills.loop(_text("S" + "G" * 12))
    for made in (
        _streamed(network, canvas, Sampling(steps=3, lag=1.0, eta=0.7)),
        generate(network, canvas, TEXT, NOTHING, Sampling(steps=3, eta=0.7)),
    ):
        assert torch.equal(made[:, :, 0], made[:, :, -1]) and made.isfinite().all()
        assert not torch.equal(made[:, :, 1], made[:, :, 2])


def test_a_ring_has_no_beginning(network: Transformer) -> None:
    canvas, how = fills.loop(_text("GGSGG")), Sampling(steps=3)
    assert torch.equal(_streamed(network, canvas, how), generate(network, canvas, TEXT, NOTHING, how))
    window, levels = turning(), torch.ones(6)
    behind = fills.reference(canvas, _given("S"))
    seen = [window(behind, levels, levels) for _ in range(6)]
    assert len({tuple(frames) for frames in seen}) == 5 and all(sorted(frames) == list(range(6)) and not frames[0] for frames in seen)
    turned = taken(behind, [0, 4, 5, 1, 2, 3])
    assert turned.kinds == "SGGGGS" and turned.times.diff().tolist() == [16, 1, 1, 1, 0.25], "as if it began there"


def test_a_ring_of_groups_repeats_and_is_drawn_once(network: Transformer) -> None:
    canvas, how = fills.loop(_text("G" * 14)), Sampling(steps=3, lag=1.0)
    for made in (_streamed(network, canvas, how), generate(network, canvas, TEXT, NOTHING, how)):
        assert torch.equal(made[:, :, 1:3], made[:, :, -2:]) and made.isfinite().all()
    levels = schedule(how.steps, canvas.order(), shift=how.shift, lag=how.lag)
    assert 15 not in sliding(canvas, levels[1], levels[2]), "the far end of the ring is not looked at while its twin is drawn"


def test_shifting_all_times_changes_nothing(network: Transformer) -> None:
    canvas = _text("SGG")
    later = dataclasses.replace(canvas, times=canvas.times + 100)
    how = Sampling(steps=3)
    assert torch.allclose(generate(network, canvas, TEXT, NOTHING, how), generate(network, later, TEXT, NOTHING, how), atol=1e-4)


def test_each_frame_may_have_its_own_text(network: Transformer) -> None:
    canvas, how = _text("SGGG"), Sampling(steps=3)
    one = generate(network, canvas, TEXT, NOTHING, how)
    same = generate(network, canvas, TEXT[:, None].expand(-1, 4, -1, -1), NOTHING, how)
    assert (one - same).abs().max() < 1e-4, "a storyboard of one card is text to video"
    other = TEXT[:, None].repeat(1, 4, 1, 1)
    other[:, 2:] = -other[:, 2:]
    assert not torch.allclose(generate(network, canvas, other, NOTHING, how), one, atol=1e-2)


def test_a_mask_keeps_what_lies_outside_to_the_bit(network: Transformer) -> None:
    mask = torch.zeros(3, 4, 6)
    mask[1:, :2, :2] = 1
    canvas = fills.inpaint(_given("SGG"), mask)
    made = _streamed(network, canvas, Sampling(steps=3, lag=0.5))
    assert torch.equal(made[:, :, mask == 0], canvas.given[:, :, mask == 0])
    assert not torch.equal(made[:, :, mask == 1], canvas.given[:, :, mask == 1])


def test_a_canvas_with_nothing_to_do_asks_no_network() -> None:
    canvas = _given("SGG")
    made = torch.stack(list(stream(None, canvas, TEXT, NOTHING)), 2)  # type: ignore[arg-type]
    assert torch.equal(made, canvas.given)
