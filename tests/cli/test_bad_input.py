"""Laws of odd and hostile inputs on the command line: fitted where a person would want it, else one sentence; nothing half-written."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from misora.cli.main import main
from misora.media.read import probe, read_video
from misora.media.write import write_video
from tests.tiny import write_weights

WIDTH, HEIGHT = 80, 64
SHORT = ("--seconds", "0.2")
CARD = {"prompt": "a red ball"}
UPRIGHT = (0, 0x10000, 0, -0x10000, 0, 0, HEIGHT << 16, 0, 0x40000000)  # the matrix of a telephone held upright, 16.16


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_weights(tmp_path_factory.mktemp("weights")))


def film(
    path: str, codec: str = "libx264", shape: str = "yuv420p", times: list[int] | None = None, sizes: tuple[int, int] = (80, 64)
) -> None:
    """Six frames at 25 a second, or at these milliseconds; ``times`` without any: a film that has no frames."""
    with av.open(path, "w", options={"movflags": "empty_moov"} if times == [] else {}) as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *sizes, shape
        stream.codec_context.time_base = Fraction(1, 1000)
        container.start_encoding()
        for i, time in enumerate(range(0, 240, 40) if times is None else times):
            picture = np.full((sizes[1], sizes[0], 3), 30 * i, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=shape)
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        if times != []:
            container.mux(stream.encode(None))


def turned(path: str) -> None:
    """A film whose file says that it is to be shown upright."""
    film(path)
    told = bytearray(Path(path).read_bytes())
    start = told.find(b"tkhd") + 44  # the matrix of a track's header of version 0
    told[start : start + 36] = struct.pack(">9i", *UPRIGHT)
    Path(path).write_bytes(told)


def sound(path: str) -> None:
    """No picture at all."""
    with av.open(path, "w") as container:
        stream: Any = container.add_stream("aac", rate=44100)
        noise = av.AudioFrame.from_ndarray(np.zeros((1, 4410), np.float32), format="fltp", layout="mono")
        noise.rate = 44100
        for frame in (noise, None):
            container.mux(stream.encode(frame))


def picture(path: str, mode: str = "RGB", size: tuple[int, int] = (WIDTH, HEIGHT), turn: int = 1) -> None:
    """White to the left, grey to the right; ``turn`` is EXIF's."""
    pixels = np.full((size[1], size[0], 3), 40, np.uint8)
    pixels[:, : size[0] // 2] = 255
    exif = Image.Exif()
    exif[0x0112] = turn
    if mode == "I;16":
        Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(path)
    else:
        Image.fromarray(pixels).convert(mode).save(path, exif=exif)


FITTED: dict[str, tuple[Callable[[str], object], tuple[str, ...], tuple[int, int], str]] = {
    "another size": (
        lambda f: film(f, sizes=(160, 96)),
        ("connect", "a.mp4", "f.mp4", "a ball", *SHORT),
        (80, 64),
        "cropped to fill 80x64",
    ),
    "another rate": (film, ("connect", "a.mp4", "f.mp4", "a ball", *SHORT), (80, 64), "has 25 frames per second; the video has 24"),
    "rotation": (turned, ("extend", "f.mp4", "a ball", *SHORT), (64, 80), ""),
    "variable rate": (lambda f: film(f, times=[0, 40, 80, 400, 800]), ("extend", "f.mp4", "a ball", *SHORT), (80, 64), "last unevenly"),
    "ten bits": (lambda f: film(f, shape="yuv420p10le"), ("remix", "f.mp4", "a ball"), (80, 64), ""),
    "alpha": (lambda f: film(f, "libvpx-vp9", "yuva420p"), ("extend", "f.webm", "a ball", *SHORT), (80, 64), ""),
    "CMYK, EXIF, 16 bits and alpha": (
        lambda f: [picture("c.jpg", "CMYK"), picture("e.jpg", turn=6), picture("s.png", "I;16"), picture("t.png", "RGBA")],
        ("animate", "c.jpg", "a ball", "--last", "e.jpg", "--reference", "s.png", "--reference", "t.png", *SHORT),
        (80, 64),
        "e.jpg is 64x80; it is cropped",
    ),
    "clear picture": (lambda f: Image.new("LA", (WIDTH, HEIGHT)).save(f), ("animate", "f.png", "a ball", *SHORT), (80, 64), "on white"),
    "tiny": (lambda f: picture(f, size=(7, 5)), ("animate", "f.png", "a ball", *SHORT), (90, 64), ""),
    "a clip as last image": (film, ("animate", "a.png", "a ball", "--last", "f.mp4", *SHORT), (80, 64), "its first frame is used"),
    "mask of another size": (
        lambda f: picture(f, size=(300, 200)),
        ("inpaint", "a.mp4", "a ball", "--mask", "f.png"),
        (80, 64),
        "is scaled",
    ),
    "transparent mask": (
        lambda f: Image.new("LA", (WIDTH, HEIGHT)).save(f),
        ("inpaint", "a.mp4", "a ball", "--mask", "f.png"),
        (80, 64),
        "marks everything",
    ),
    "odd size": (lambda f: None, ("image", "a ball", "--size", "81x65"), (82, 66), "81x65 becomes 82x66"),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_video("a.mp4", torch.zeros(6, HEIGHT, WIDTH, 3, dtype=torch.uint8), 24)
    picture("a.png")
    return tmp_path


@pytest.mark.parametrize("name", FITTED)
def test_what_a_person_would_want_is_fitted(here: Path, model: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    make, argv, size, notice = FITTED[name]
    make(next((arg for arg in argv if arg.startswith("f.")), ""))
    out = "out.png" if argv[0] == "image" else "out.mp4"
    assert main([*argv, "--out", out, "--steps", "1", "--guidance", "1", "--seed", "1", "--model", model]) == 0
    said = capsys.readouterr().err
    assert notice in said and all(line.startswith("misora: ") for line in said.splitlines())
    assert (probe(out).width, probe(out).height) == size
    if name == "rotation":
        assert len(read_video(out)[0]) == pytest.approx(6 + 0.2 * 25, abs=1)


REFUSED: dict[str, tuple[Callable[[str], object], tuple[str, ...], int, str]] = {
    "no frames": (lambda f: film(f, times=[]), ("extend", "f.mp4", "a ball"), 1, "f.mp4 holds no frames"),
    "sound alone": (sound, ("extend", "f.mp4", "a ball"), 1, "no picture in it"),
    "sound alone as a mask": (sound, ("inpaint", "a.mp4", "a ball", "--mask", "f.mp4"), 1, "no picture in it"),
    "sound alone as a reference": (sound, ("generate", "a ball", "--reference", "f.mp4"), 1, "no picture in it"),
    "cut short": (lambda f: Path(f).write_bytes(Path("a.mp4").read_bytes()[:700]), ("loop", "f.mp4", "a ball"), 1, "damaged"),
    "a folder": (lambda f: Path(f).mkdir(), ("remix", "f.mp4", "a ball"), 1, "is not a file"),
    "black mask": (lambda f: Image.new("L", (80, 64)).save(f), ("inpaint", "a.mp4", "a ball", "--mask", "f.png"), 1, "marks nothing"),
    "span backwards": (lambda f: None, ("inpaint", "a.mp4", "a ball", "--from", ".2", "--to", ".1"), 2, "the first before the second"),
    "strength": (lambda f: None, ("remix", "a.mp4", "a ball", "--strength", "nan"), 2, "from 0, unchanged, to 1"),
    "0 seconds of a clip": (lambda f: None, ("remix", "a.mp4", "a ball", "--seconds", "0"), 2, "above 0"),
    "0 seconds": (lambda f: None, ("generate", "a ball", "--seconds", "0"), 2, "misora image"),
    "0 seconds between": (lambda f: None, ("connect", "a.mp4", "a.mp4", "a ball", "--seconds", "0"), 2, "more than 0"),
    "10 000 seconds": (lambda f: None, ("generate", "a ball", "--seconds", "10000"), 2, "at most 600"),
    "no number of seconds": (lambda f: None, ("extend", "a.mp4", "a ball", "--seconds", "nan"), 2, "at most 600"),
}
BOARDS: dict[str, tuple[Any, str]] = {
    "overlap": ([CARD | {"start": 0, "end": 2}, CARD | {"start": 1, "end": 3}], "overlaps"),
    "gap": ([CARD | {"start": 0, "end": 1}, CARD | {"start": 2, "end": 3}], "gap"),
    "overlapping spans": ([CARD | {"span": [0, 2]}, CARD | {"span": [1, 3]}], "overlaps"),
    "half a span": ([CARD | {"span": [0]}], "from, to"),
    "no prompt": ([{"seconds": 1}], "no prompt"),
    "blank prompt": ([{"prompt": " ", "seconds": 1}], "no prompt"),
    "too long": ([CARD | {"seconds": 10_000}], "600"),
    "endless": ([CARD | {"seconds": float("inf")}], "seconds"),
    "deep": (None, "no JSON"),
}


THING = {"colour": "red", "shape": "ball"}
STAYS = {"start": 0, "end": 2, "acts": [{"verb": "stay", "actor": 0}]}
SCENES: dict[str, tuple[Any, str]] = {
    "empty": ({}, "lacks 'things'"),
    "no scene": ([1], "no scene graph"),
    "deep": ("[" * 100_000, "no scene graph"),
    "no things": ({"things": [], "cards": [STAYS]}, "1 to 5 things"),
    "a crowd": ({"things": [THING] * 300, "cards": [STAYS]}, "1 to 5 things"),
    "no cards": ({"things": [THING], "cards": []}, "and cards"),
    "unknown verb": ({"things": [THING], "cards": [STAYS | {"acts": [{"verb": "dance", "actor": 0}]}]}, "'dance' is none of"),
    "stacked on nothing": ({"things": [THING], "cards": [STAYS | {"acts": [{"verb": "stack", "actor": 0}]}]}, "not there"),
    "hits itself": ({"things": [THING], "cards": [STAYS | {"acts": [{"verb": "collide", "actor": 0, "target": 0}]}]}, "with itself"),
    "backwards": ({"things": [THING], "cards": [STAYS | {"end": -1}]}, "from 0 to -1"),
    "no number": ({"things": [THING], "cards": [STAYS | {"end": float("nan")}]}, "from 0 to nan"),
    "overlap": ({"things": [THING], "cards": [STAYS, STAYS | {"start": 1, "end": 3}]}, "1 seconds where the one before ends at 2"),
    "gap": ({"things": [THING], "cards": [STAYS, STAYS | {"start": 3, "end": 5}]}, "starts at 3 seconds where"),
    "late": ({"things": [THING], "cards": [STAYS | {"start": 1}]}, "starts at 1 seconds where"),
    "cut": ({"things": [THING], "cards": [STAYS | {"cut": "no"}]}, "neither true nor false"),
    "a moment": ({"things": [THING], "cards": [STAYS, STAYS | {"start": 2, "end": 2.1}]}, "cannot be simulated"),
    "too long": ({"things": [THING], "cards": [STAYS | {"end": 60}]}, "give --seconds"),
    "mesh of no name": ({"things": [THING | {"mesh": 3}], "cards": [STAYS]}, "mend the scene"),
}


def refused(here: Path, argv: tuple[str, ...], code: int, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, the code, and a folder as it was."""
    before = sorted(here.iterdir())
    assert main([*argv, "--out", "out.mp4"]) == code
    said = capsys.readouterr()
    assert says in said.err and said.err.count("\n") == 1 and said.out == "" and said.err.startswith("misora: ")
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_meant_ends_in_one_sentence(here: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    make, argv, code, says = REFUSED[name]
    make(next((arg for arg in argv if arg.startswith("f.")), ""))
    refused(here, argv, code, says, capsys)


@pytest.mark.parametrize("name", BOARDS)
def test_boards_that_cannot_be_meant_too(here: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    cards, says = BOARDS[name]
    Path("board.json").write_text(json.dumps({"cards": cards}) if cards else "[" * 100_000)
    refused(here, ("storyboard", "board.json"), 2, says, capsys)


@pytest.mark.parametrize("name", SCENES)
def test_scenes_that_cannot_be_meant_too(here: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    scene, says = SCENES[name]
    Path("scene.json").write_text(scene if isinstance(scene, str) else json.dumps(scene))
    refused(here, ("simulate", "scene.json"), 2, says, capsys)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--seconds", "0"), "ask for 0.5 to 20"),
        (("--seconds", "10000"), "ask for 0.5 to 20"),
        (("--seconds", "nan"), "ask for 0.5 to 20"),
        (("--size", "7x5"), "64 to 4096"),
        (("--strength", "2"), "from 0, unchanged"),
        (("--out", "nowhere/out.mp4"), "no folder"),
    ],
)
def test_a_scene_is_asked_for_within_limits(here: Path, flags: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("scene.json").write_text(json.dumps({"things": [THING], "cards": [STAYS, STAYS | {"start": 2, "end": 4}]}))
    before = sorted(here.iterdir())
    assert main(["simulate", "scene.json", "--out", "out.mp4", *flags]) == 2
    said = capsys.readouterr()
    assert says in said.err and said.err.count("\n") == 1 and said.out == "" and sorted(here.iterdir()) == before
