"""Laws of odd inputs: what phones, editors and scanners write comes out as a person would see it."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from misora.client.errors import MediaError
from misora.media.decode import rgb_frames
from misora.media.limits import LIMITS
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


def test_what_is_transparent_in_a_film_lies_on_white_too(tmp_path: Path) -> None:
    pixels = np.full((64, 96, 4), 255, np.uint8)
    pixels[..., 1:3] = 0
    pixels[:, :48, 3] = 0
    container: Any = av.open(str(tmp_path / "a.webm"), "w")
    stream = container.add_stream("libvpx-vp9", rate=25)
    stream.width, stream.height, stream.pix_fmt = 96, 64, "yuva420p"
    for i in range(3):
        frame = av.VideoFrame.from_ndarray(pixels, format="rgba").reformat(format="yuva420p")
        frame.pts = i
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
    container.close()
    told: list[str] = []
    frames, rate = read_untrusted(tmp_path / "a.webm", told=told)
    assert frames.shape == (3, 64, 96, 3) and rate == 25 and told == ["is partly transparent; what is lies on white."]
    assert frames[2, 5, 5].min() > 250 and frames[2, 5, -5, 0] > 240 and frames[2, 5, -5, 1:].max() < 15


@pytest.mark.parametrize("ending", ["png", "webp", "jpg"])
def test_pictures_stand_upright_whichever_way_they_were_turned_or_mirrored(picture: np.ndarray, ending: str, tmp_path: Path) -> None:
    picture[:32, 48:] = (0, 255, 0)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(picture).save(tmp_path / f"a.{ending}", exif=exif, **({"quality": 95} if ending == "jpg" else {"lossless": True}))
        upright = torch.from_numpy(np.array(ImageOps.exif_transpose(Image.open(tmp_path / f"a.{ending}")).convert("RGB")))
        read = read_image(tmp_path / f"a.{ending}")
        assert read.shape == upright.shape and (read.int() - upright.int()).abs().float().mean() < 3, orientation


def test_exif_that_cannot_be_read_turns_nothing(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 16, 3), np.uint8)).save(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    for damaged in (b"", b"II*\0", b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\x01\0\0\0\x09\0\0\0"):
        block = b"Exif\0\0" + damaged
        (tmp_path / "a.jpg").write_bytes(whole[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + whole[2:])
        assert read_image(tmp_path / "a.jpg").shape == (8, 16, 3)


def test_what_was_done_to_a_strangers_clip_is_told(picture: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(picture).convert("RGBA").save(tmp_path / "opaque.png")
    Image.new("LA", (16, 16)).save(tmp_path / "clear.png")
    told: list[str] = []
    read_untrusted(tmp_path / "opaque.png", told=told)
    assert not told
    read_untrusted(tmp_path / "clear.png", told=told)
    assert told == ["is partly transparent; what is lies on white."]


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
    told: list[str] = []
    deque(rgb_frames(tmp_path / "a.mp4", LIMITS, told=told), maxlen=0)
    assert len(told) == 1 and "last unevenly" in told[0]
    seen = frames[:, 16, 16, 0].float()
    at = [min(range(len(times)), key=lambda k: abs(12 * k - float(value))) for value in seen]
    late = [abs(times[k] / 1000 - i / rate) for i, k in enumerate(at)]
    assert len(frames) / rate == pytest.approx(2.3, abs=0.2) and max(late) < 0.25


def recorded(path: Path, times: list[int]) -> None:
    """A film as browsers record them: frames at these milliseconds, and of their rate it tells nothing but its clock's."""
    container: Any = av.open(str(path), "w", options={"live": "1"})
    stream = container.add_stream("libvpx-vp9", rate=1000)
    stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
    for i, time in enumerate(times):
        frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 10 * i, np.uint8), format="rgb24")
        frame.pts, frame.time_base = time, Fraction(1, 1000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
    container.close()


def test_what_a_browser_recorded_comes_at_the_rate_at_which_it_was(tmp_path: Path) -> None:
    told: list[str] = []
    recorded(tmp_path / "a.webm", [0, 34, 66, 140, 166, 200, 233, 266, 300, 400])
    frames, rate = read_untrusted(tmp_path / "a.webm", told=told)
    assert rate == pytest.approx(22.5) and len(frames) == 10 and told == ["has frames that last unevenly; it is taken at 22.5 per second."]
    recorded(tmp_path / "b.webm", [0])
    assert read_untrusted(tmp_path / "b.webm")[0].shape == (1, 32, 32, 3)
    recorded(tmp_path / "c.webm", list(range(0, 60, 5)))
    with pytest.raises(MediaError, match="200 frames per second; at most 120"):
        read_untrusted(tmp_path / "c.webm")


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
