"""Laws of delivery: size, length and colours are as asked, and each native frame is shown twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import pytest
import torch

from misora.media.read import read_image, read_video
from misora.model.painter import Painter, PainterConfig
from misora.render.request import Request
from misora.render.video import Video, deliver, enlarge

AHEAD = 3  # native frames that may be drawn beyond the one that is shown


def greys(seconds: float, size: str = "128x128") -> Video:
    """A clip whose native frame i is grey i."""
    request = Request(prompt="grey", seconds=seconds, size=size)
    values = torch.arange(request.native_frames()) / 127.5 - 1
    return Video(request=request, native=values[:, None, None, None].expand(-1, 3, 32, 32).contiguous())


def test_each_native_frame_is_shown_twice() -> None:
    shown = greys(1.0).frames[:, 64, 64, 0]
    assert shown.tolist() == [i // 2 for i in range(24)]


def test_native_frames_are_drawn_only_when_their_turn_comes() -> None:
    drawn: list[int] = []

    def native() -> Iterator[torch.Tensor]:
        for number in range(12):
            drawn.append(number)
            yield torch.full((3, 32, 32), number / 127.5 - 1)

    video = Video(request=Request(prompt="grey", seconds=1.0, size="128x128"), native=native())
    for number, frame in enumerate(video.stream()):
        assert int(frame[64, 64, 0]) == number // 2
        assert len(drawn) <= number // 2 + AHEAD
    assert number == 23


def test_the_last_frame_stays_where_the_native_ones_end_early() -> None:
    native = torch.tensor([0.0, 1.0])[:, None, None, None].expand(-1, 3, 32, 32)
    shown = torch.stack(list(deliver(native, size=(64, 64), count=7)))[:, 0, 0, 0]
    assert shown.tolist() == [128, 128, 255, 255, 255, 255, 255]


@pytest.mark.parametrize(("seconds", "count"), [(0.0, 1), (0.04, 1), (0.13, 3), (1.0, 24)])
def test_a_saved_clip_has_the_frames_asked_for(tmp_path: Path, seconds: float, count: int) -> None:
    frames, rate = read_video(greys(seconds).save(tmp_path / "a.mp4"))
    assert (len(frames), rate) == (count, 24)


def test_the_file_says_what_was_native(tmp_path: Path) -> None:
    with av.open(str(greys(0.1, "320x180").save(tmp_path / "a.mp4"))) as container:
        assert "drawn as 176x96 at 12 frames per second, enlarged to 320x180 at 24" in container.metadata["comment"]


@pytest.mark.parametrize("size", ["704x384", "500x270", "64x64", "394x704"])
def test_a_painter_paints_every_size(size: str) -> None:
    request = Request(prompt="grey", seconds=0.25, size=size)
    h, w = request.native()
    native = torch.full((4, 3, h, w), 0.5)
    shown = Video(request=request, native=native, painter=Painter(PainterConfig(coarse=8, fine=8, motion=8))).frames
    assert shown.shape == (6, *request.delivered(), 3)
    assert (shown == 191).all()  # a painter that has learned nothing enlarges


def test_a_picture_is_the_first_frame(tmp_path: Path) -> None:
    video = greys(0.0)
    saved = read_image(video.save(tmp_path / "a.png"))
    assert (saved.int() - video.frames[0].int()).abs().max() <= 6  # the watermark's depth


@pytest.mark.parametrize("size", [(384, 704), (390, 694), (720, 1280), (64, 64)])
def test_enlarging_keeps_flat_colours_and_gives_the_size(size: tuple[int, int]) -> None:
    flat = torch.tensor([1.0, 0.0, -1.0])[:, None, None].expand(3, 96, 176)
    large = enlarge(flat, size)
    assert large.shape == (*size, 3)
    assert (large == torch.tensor([255, 128, 0])).all()


def test_enlarging_keeps_the_middle_in_the_middle() -> None:
    frame = torch.full((3, 96, 176), -1.0)
    frame[:, 46:50, 86:90] = 1.0
    large = enlarge(frame, (300, 400)).float().mean(-1)
    rows, columns = torch.arange(300) + 0.5, torch.arange(400) + 0.5
    assert float((large.sum(1) * rows).sum() / large.sum()) == pytest.approx(150, abs=1)
    assert float((large.sum(0) * columns).sum() / large.sum()) == pytest.approx(200, abs=1)
