"""Laws of the painter: streamed = tiled = whole, twice the rate, at first bicubic, nothing across a cut, no double exposure."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from misora.model.painter import Painter, PainterConfig, View, fetch, is_cut
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
    native = clip(5)
    whole = twin.paint(painter, native, size)
    assert not torch.allclose(whole[1], (whole[0] + whole[2]) / 2, atol=1e-2)  # something is fetched from elsewhere
    for band in (None, 1, 7, 500):
        torch.testing.assert_close(torch.stack(list(painter.stream(native, size, band=band))), whole, atol=1e-4, rtol=0)


def test_two_frames_leave_for_every_native_one_and_few_are_held(painter: Painter) -> None:
    taken: list[int] = []

    def native() -> Iterator[Tensor]:
        for number, frame in enumerate(clip(6)):
            taken.append(number)
            yield frame

    left = 0
    for number, frame in enumerate(painter.stream(native(), (192, 256))):
        assert frame.shape == (3, 192, 256) and frame.abs().max() <= 1
        assert len(taken) <= number // 2 + 3
        left += 1
    assert left == 12
    assert len(list(painter.stream(clip(1), (192, 256)))) == 2


@pytest.mark.parametrize("scale", [4, 5, 11])
def test_before_it_has_learned_it_enlarges(scale: int) -> None:
    native = clip(2)
    size = (48 * scale, 64 * scale)
    whole, half, *_ = untaught().stream(native, size)
    large = F.interpolate(native, size=size, mode="bicubic").clamp(-1, 1)
    torch.testing.assert_close(whole, large[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(half, large.mean(0), atol=1e-5, rtol=0)


def test_the_middle_stays_in_the_middle() -> None:
    native = torch.full((1, 3, 48, 64), -1.0)
    native[..., 22:26, 30:34] = 1.0
    frame = next(untaught().stream(native, (250, 402))).mean(0) + 1  # 250 402
    middle = [float((frame.sum(1 - axis) * (torch.arange(n) + 0.5)).sum() / frame.sum()) for axis, n in enumerate(frame.shape)]
    assert middle == pytest.approx([125, 201], abs=0.01)


def test_nothing_is_shared_across_a_cut(painter: Painter) -> None:
    one, other = clip(3), 1 - clip(3, seed=1).abs()
    assert is_cut(one[-1], other[0]) and not is_cut(one[0], one[1])
    joined = list(painter.stream(torch.cat((one, other)), (192, 256)))
    apart = [frame for shot in (one, other) for frame in painter.stream(shot, (192, 256))]
    assert all(torch.equal(a, b) for a, b in zip(joined, apart, strict=True))
    assert torch.equal(joined[4], joined[5])


def test_fetching_looks_where_it_is_told() -> None:
    frame = torch.rand(1, 1, 12, 16)
    flow = torch.tensor([3.0, -2.0]).view(1, 2, 1, 1).expand(1, 2, 4, 5)
    torch.testing.assert_close(fetch(frame, flow, 6, 2), frame[:, :, 4:8, 5:10])


def test_known_motion_puts_the_mover_half_way_and_once() -> None:
    """A square that goes 8 native pixels is 4 further on, at full strength, and nowhere else."""
    native = torch.full((2, 3, 48, 64), -0.5)
    native[0, :, 16:32, 16:32] = native[1, :, 16:32, 24:40] = 0.5
    network, view = untaught(), View((48, 64), (192, 256))
    left, right = (F.interpolate(frame[None], size=view.size, mode="bicubic") for frame in native)
    found = torch.zeros(1, 5, 48, 64)
    found[:, 0, 12:36, 12:44], found[:, 2, 12:36, 12:44] = -4.0, 4.0
    made = network.between(left, right, found, view)
    wanted = torch.full((48, 64), -0.5)
    wanted[16:32, 20:36] = 0.5
    torch.testing.assert_close(F.avg_pool2d(made, 4)[0, 0, 18:30, 16:40], wanted[18:30, 16:40], atol=0.1, rtol=0)


def test_motion_says_nothing_before_it_has_learned() -> None:
    assert not untaught().motion(clip(4)[None]).any()
