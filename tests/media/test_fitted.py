"""Laws of odd inputs: what phones, editors and scanners write comes out as a person would see it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from misora.client.errors import MediaError
from misora.media.read import read_image, read_untrusted, read_video


@pytest.fixture
def picture() -> np.ndarray:
    """Red above blue, 96x64."""
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:32], pixels[32:] = (255, 0, 0), (0, 0, 255)
    return pixels


def near(pixel: torch.Tensor, colour: tuple[int, int, int]) -> bool:
    return bool((pixel.int() - torch.tensor(colour)).abs().max() <= 3)


@pytest.mark.parametrize(("mode", "ending"), [("CMYK", "jpg"), ("P", "png"), ("RGB", "webp")])
def test_colours_survive_their_encoding(picture: np.ndarray, mode: str, ending: str, tmp_path: Path) -> None:
    Image.fromarray(picture).convert(mode).save(tmp_path / f"a.{ending}", quality=95, **({"lossless": True} if ending == "webp" else {}))
    read = read_image(tmp_path / f"a.{ending}")
    assert near(read[5, 5], (255, 0, 0)) and near(read[-5, -5], (0, 0, 255))


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 0x8080, np.uint16)).save(tmp_path / "a.png")
    assert near(read_image(tmp_path / "a.png")[0, 0], (128, 128, 128))


@pytest.mark.parametrize("ending", ["png", "webp", "gif"])
def test_what_is_transparent_lies_on_white(picture: np.ndarray, ending: str, tmp_path: Path) -> None:
    alpha = np.full((64, 96, 1), 255, np.uint8)
    alpha[:, :48] = 0
    Image.fromarray(np.concatenate((picture, alpha), 2)).save(tmp_path / f"a.{ending}", **({"lossless": True} if ending == "webp" else {}))
    read = read_image(tmp_path / f"a.{ending}")
    assert near(read[5, 5], (255, 255, 255)) and near(read[5, -5], (255, 0, 0))


@pytest.mark.parametrize(("orientation", "red"), [(3, (-5, 5)), (6, (5, -5)), (8, (5, 5))])
def test_pictures_stand_upright(picture: np.ndarray, orientation: int, red: tuple[int, int], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture).save(tmp_path / "a.jpg", exif=exif, quality=95)
    read = read_image(tmp_path / "a.jpg")
    assert read.shape == ((64, 96, 3) if orientation == 3 else (96, 64, 3))
    assert near(read[red], (255, 0, 0)) and near(read[-1 - red[0], -1 - red[1]], (0, 0, 255))


def test_frames_that_last_unevenly_come_at_their_mean_rate(tmp_path: Path) -> None:
    container: Any = av.open(str(tmp_path / "a.mp4"), "w")
    stream = container.add_stream("libx264", rate=25)
    stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
    stream.codec_context.time_base = Fraction(1, 1000)
    times = [*range(0, 400, 40), *range(400, 2400, 200)]
    for i, time in enumerate(times):
        frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 12 * i, np.uint8), format="rgb24")
        frame.pts, frame.time_base = time, Fraction(1, 1000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
    container.close()
    frames, rate = read_video(tmp_path / "a.mp4")
    seen = frames[:, 16, 16, 0].float()
    at = [min(range(len(times)), key=lambda k: abs(12 * k - float(value))) for value in seen]
    late = [abs(times[k] / 1000 - i / rate) for i, k in enumerate(at)]
    assert len(frames) / rate == pytest.approx(2.3, abs=0.2) and max(late) < 0.25


def test_sound_alone_is_no_clip(tmp_path: Path) -> None:
    container: Any = av.open(str(tmp_path / "a.mp4"), "w")
    stream = container.add_stream("aac", rate=44100)
    sound = av.AudioFrame.from_ndarray(np.zeros((1, 4410), np.float32), format="fltp", layout="mono")
    sound.rate = 44100
    container.mux(stream.encode(sound))
    container.mux(stream.encode(None))
    container.close()
    with pytest.raises(MediaError, match="no picture in it"):
        read_untrusted(tmp_path / "a.mp4")
