"""Laws of the painter: streamed = tiled = whole, twice the rate, at first bicubic, nothing across a cut, no double exposure."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from misora.model.brush import Brush, is_cut, mean, moving, stream, to_bytes
from misora.model.painter import Painter, PainterConfig, fetch
from misora.model.view import View
from tests.reference import painter as twin

CONFIG = PainterConfig(coarse=8, fine=8, motion=8)


def untaught() -> Painter:
    torch.manual_seed(0)
    return Painter(CONFIG)


@pytest.fixture(scope="module")
def painter() -> Painter:
    """Random weights everywhere, such that motion of some pixels is found in some places and none in others."""
    network = untaught()
    for name, weight in network.named_parameters():
        if not weight.any():
            torch.nn.init.normal_(weight, std=0.3 if "motion" in name else 0.05)
    return network.eval()


def clip(frames: int, height: int = 48, width: int = 64, seed: int = 0) -> Tensor:
    """Smooth random frames [t 3 h w] with a square that goes right."""
    generator = torch.Generator().manual_seed(seed)
    ground = F.interpolate(torch.rand(1, 3, 6, 8, generator=generator) - 0.5, size=(height, width), mode="bicubic")
    made = ground.repeat(frames, 1, 1, 1) + 0.02 * torch.rand(frames, 3, height, width, generator=generator)
    for number in range(frames):
        made[number, :, 8:24, 4 + 5 * number : 16 + 5 * number] = 0.9
    return made.clamp(-1, 1)


@pytest.mark.parametrize("size", [(192, 256), (193, 301), (360, 360), (540, 720)])
@torch.inference_mode()
def test_streamed_is_tiled_is_whole(painter: Painter, size: tuple[int, int]) -> None:
    native = 0.6 * clip(5)  # nothing reaches black or white, where bytes end before the network has added to them
    whole = twin.paint(painter, native, size)
    assert not torch.allclose(whole[1], (whole[0] + whole[2]) / 2, atol=2)  # something is fetched from elsewhere
    for band in (None, 1, 7, 500):
        gap = (torch.stack(list(stream(painter, native, size, band=band))) - whole).abs()
        assert gap.max() < 3 and gap.mean() < 0.6  # levels: what is given, enlarged and added is rounded each time


@torch.inference_mode()
def test_at_its_own_size_only_what_is_between_is_made(painter: Painter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(painter, "read", None)  # would fail if it were called
    native = clip(5)
    painted = list(stream(painter, native, (48, 64)))
    assert all(torch.equal(painted[2 * i], to_bytes(native[i])) for i in range(5))
    assert not torch.equal(painted[3], mean(painted[2], painted[4])), "and that is no blend"


def test_two_frames_leave_for_every_native_one_and_few_are_held(painter: Painter) -> None:
    taken: list[int] = []

    def native() -> Iterator[Tensor]:
        for number, frame in enumerate(clip(6)):
            taken.append(number)
            yield frame

    left = 0
    for number, frame in enumerate(stream(painter, native(), (192, 256))):
        assert frame.shape == (192, 256, 3) and frame.dtype == torch.uint8
        assert len(taken) <= number // 2 + 4
        left += 1
    assert left == 12
    assert len(list(stream(painter, clip(1), (192, 256)))) == 2


@pytest.mark.parametrize("scale", [4, 5, 11])
def test_before_it_has_learned_it_enlarges(scale: int) -> None:
    native = clip(2).mul(127.5).round() / 127.5
    size = (48 * scale, 64 * scale)
    whole, half, *_ = stream(untaught(), native, size)
    large = (F.interpolate(native, size=size, mode="bicubic", antialias=True).clamp(-1, 1) + 1).mul(127.5).permute(0, 2, 3, 1)
    torch.testing.assert_close(whole.float(), large[0], atol=2, rtol=0)  # rows and columns are rounded one after the other
    torch.testing.assert_close(half.float(), large.mean(0), atol=2.5, rtol=0)


def test_the_middle_stays_in_the_middle() -> None:
    native = torch.full((1, 3, 48, 64), -1.0)
    native[..., 22:26, 30:34] = 1.0
    frame = next(stream(untaught(), native, (250, 402))).float().mean(2)  # 250 402
    middle = [float((frame.sum(1 - axis) * (torch.arange(n) + 0.5)).sum() / frame.sum()) for axis, n in enumerate(frame.shape)]
    assert middle == pytest.approx([125, 201], abs=0.01)


def test_nothing_is_shared_across_a_cut(painter: Painter) -> None:
    one, other = clip(3), 1 - clip(3, seed=1).abs()
    assert is_cut(one[-1], other[0]) and not is_cut(one[0], one[1])
    joined = list(stream(painter, torch.cat((one, other)), (192, 256)))
    apart = [frame for shot in (one, other) for frame in stream(painter, shot, (192, 256))]
    assert all(torch.equal(a, b) for a, b in zip(joined, apart, strict=True))
    assert torch.equal(joined[4], joined[5])


def test_fetching_looks_where_it_is_told() -> None:
    frame = torch.rand(1, 1, 12, 16)
    flow = torch.tensor([3.0, -2.0]).view(1, 2, 1, 1).expand(1, 2, 12, 16)
    torch.testing.assert_close(fetch(frame, flow)[:, :, 2:, :-3], frame[:, :, :-2, 3:])


def test_known_motion_puts_the_mover_half_way_and_once() -> None:
    """A square that goes 8 native pixels is 4 further on, at full strength, and nowhere else."""
    native = torch.full((2, 3, 48, 64), -0.5)
    native[0, :, 16:32, 16:32] = native[1, :, 16:32, 24:40] = 0.5
    brush = Brush(untaught(), View((48, 64), (192, 256)))
    left, right = (brush.whole(frame.expand(3, -1, -1, -1)) for frame in native)
    found = torch.zeros(1, 5, 48, 64)
    found[:, 0, 12:36, 12:44], found[:, 2, 12:36, 12:44] = -4.0, 4.0
    made = brush.between(left, right, found).permute(2, 0, 1)[None] / 127.5 - 1
    wanted = torch.full((48, 64), -0.5)
    wanted[16:32, 20:36] = 0.5
    torch.testing.assert_close(F.avg_pool2d(made, 4)[0, 0, 18:30, 16:40], wanted[18:30, 16:40], atol=0.1, rtol=0)


def test_motion_says_nothing_before_it_has_learned() -> None:
    assert not untaught().motion(clip(4)[None]).any()


def test_where_nothing_changes_nothing_moves(painter: Painter) -> None:
    """A square that stands still stands in the half-way frame as it does in the others, whatever the network thinks of motion."""
    native = clip(1).expand(4, -1, -1, -1).clone()
    assert painter.motion(native[None]).any() and not moving(native[0], native[1]).any()
    frames = list(stream(painter, native, (192, 256)))
    assert all(torch.equal(frame, frames[0]) for frame in frames)
    native[2, :, 40, 60] += 0.5
    assert moving(native[1], native[2]).nonzero()[:, 1:].amin(0).tolist() == [32, 48]


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    frames = stream(untaught(), clip(4), (192, 256))
    next(frames)
    frames.close()
    assert torch.get_num_threads() == before
