"""Laws of writing: what is written reads back, in true colours and whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import pytest
import torch

from misora.client.errors import MediaError
from misora.media.read import probe, read_image, read_video
from misora.media.write import write_image, write_video

COLOURS = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [200, 120, 40], [128, 128, 128], [30, 200, 180]])


def bars(frames: int = 6, height: int = 64, width: int = 128) -> torch.Tensor:
    row = COLOURS.to(torch.uint8).repeat_interleave(width // 8, dim=0)  # w 3
    return row.expand(frames, height, width, 3).contiguous()


def colour_error(frames: torch.Tensor) -> float:
    """Largest error of any channel in the middle of the eight bars; chroma subsampling blurs only their edges."""
    middle = frames.shape[-2] // 16
    centres = frames[..., frames.shape[-3] // 2, middle :: middle * 2, :]
    return float((centres.float() - COLOURS).abs().max())


@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_video_reads_back_in_true_colours(tmp_path: Path, codec: str) -> None:
    path = write_video(tmp_path / "bars.mp4", bars(), 24, codec=codec)
    frames, rate = read_video(path)
    assert (tuple(frames.shape), rate) == ((6, 64, 128, 3), 24.0)
    assert colour_error(frames) <= 6
    assert probe(path).seconds == pytest.approx(6 / 24)


def test_a_buffer_that_changes_between_frames_is_a_new_frame_each_time(tmp_path: Path) -> None:
    buffer = torch.empty(64, 128, 3, dtype=torch.uint8)
    path = write_video(tmp_path / "grey.mp4", (buffer.fill_(grey) for grey in (40, 40, 200, 200, 90)), 24)
    assert (read_video(path)[0].float().mean((1, 2, 3)) - torch.tensor([40, 40, 200, 200, 90])).abs().max() <= 3


def test_video_is_tagged_bt709_with_its_index_first(tmp_path: Path) -> None:
    path = write_video(tmp_path / "bars.mp4", bars(), 12)
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        tags = (context.color_primaries, context.color_trc, context.colorspace, context.color_range, context.pix_fmt)
    assert tags == (1, 1, 1, 1, "yuv420p")
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("rate", [12, 24, 30, 24000 / 1001])
def test_frame_count_and_rate_survive(tmp_path: Path, rate: float) -> None:
    path = write_video(tmp_path / "a.mp4", iter(bars(31)), rate)
    frames, read_rate = read_video(path)
    assert len(frames) == 31
    assert read_rate == pytest.approx(rate, rel=1e-4)


@pytest.mark.parametrize(("name", "tolerance"), [("a.png", 0), ("a.jpg", 6), ("a.webp", 8)])
def test_image_reads_back(tmp_path: Path, name: str, tolerance: int) -> None:
    assert colour_error(read_image(write_image(tmp_path / name, bars()[0]))) <= tolerance


def test_gif_reads_back(tmp_path: Path) -> None:
    frames = bars(5)
    frames[:, :16, :16] = torch.arange(5, dtype=torch.uint8)[:, None, None, None] * 50
    read, rate = read_video(write_video(tmp_path / "a.gif", frames, 10))
    assert (len(read), rate) == (5, 10.0)
    assert colour_error(read) <= 10


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_nothing_and_keeps_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")

    def interrupted() -> Iterator[torch.Tensor]:
        yield bars()[0]
        raise error

    with pytest.raises(error):
        write_video(path, interrupted(), 24)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "frames", "says"),
    [
        ("a.avi", bars(), ".mp4"),
        ("missing/a.mp4", bars(), "folder"),
        ("a.mp4", bars()[:, :63], "even"),
        ("a.mp4", bars()[:0], "at least one"),
        ("a.gif", bars()[:0], "at least one"),
    ],
)
def test_impossible_files_are_refused_in_a_sentence(tmp_path: Path, name: str, frames: torch.Tensor, says: str) -> None:
    with pytest.raises(MediaError, match=says):
        write_video(tmp_path / name, frames, 24)
    assert list(tmp_path.iterdir()) == []
