"""Laws of reading: hostile, damaged and foreign files end in one sentence, never in a crash or in another file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from misora.client.errors import MediaError
from misora.media.limits import Limits
from misora.media.read import probe, read_untrusted, read_video
from misora.media.write import write_image, write_video


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4", torch.randint(0, 255, (24, 64, 96, 3), dtype=torch.uint8), 24)


def test_the_child_reads_what_the_parent_reads(clip: Path) -> None:
    here, there = read_video(clip), read_untrusted(clip)
    assert torch.equal(here[0], there[0])
    assert here[1] == there[1] == 24


def test_a_playlist_named_mp4_is_not_followed(tmp_path: Path, clip: Path) -> None:
    playlist = tmp_path / "list.mp4"
    playlist.write_text(f"ffconcat version 1.0\nfile {clip.name}\n")
    with pytest.raises(MediaError, match="no video or image"):
        read_video(playlist)


@pytest.mark.parametrize("name", ["folder", "missing.mp4"])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(MediaError, match="not a file"):
        probe(tmp_path / name)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_cut_file_is_damaged(clip: Path, share: float) -> None:
    data = clip.read_bytes()
    head = data[:16] if share == 0 else data[: int(len(data) * share)]
    clip.write_bytes(head)
    with pytest.raises(MediaError):
        read_untrusted(clip)


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(file_bytes=1000), "MB"),
        (Limits(side=64), "pixels a side"),
        (Limits(pixels=1000), "pixels"),
        (Limits(seconds=0.5), "seconds"),
        (Limits(frames=10), "frames"),
        (Limits(frame_rate=12), "frames per second"),
        (Limits(decoded_bytes=50_000), "memory"),
    ],
)
def test_each_limit_has_its_sentence(clip: Path, limits: Limits, says: str) -> None:
    with pytest.raises(MediaError, match=says):
        read_video(clip, limits)


def test_a_picture_too_large_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = write_image(tmp_path / "wide.png", torch.zeros(16, 5000, 3, dtype=torch.uint8))
    with pytest.raises(MediaError, match="5000x16"):
        read_untrusted(path)


def test_the_child_stays_within_its_memory(clip: Path) -> None:
    with pytest.raises(MediaError):
        read_untrusted(clip, dataclasses.replace(Limits(), child_bytes=30_000_000))
