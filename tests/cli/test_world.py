"""Laws of ``misora world``: the file has the rate that was asked for and shows the same scene at each; limits are named in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from misora.cli.main import main
from misora.media.read import probe, read_video
from misora.world.make import make_clip
from misora.world.scenes import CORE

SMALL = ("--size", "48x32", "--seconds", "1", "--clips", "1")


def test_the_same_scene_is_filmed_at_any_rate() -> None:
    slow, fast = (make_clip(7, CORE, seconds=1.0, frame_rate=rate, size=(32, 48)) for rate in (12.0, 24.0))
    assert slow.truth is not None and fast.truth is not None and slow.truth.graph == fast.truth.graph
    for name in ("positions", "orientations", "velocities", "visible", "masks", "camera"):
        assert np.array_equal(getattr(slow.truth, name), getattr(fast.truth, name)[::2]), name
    assert np.array_equal(slow.frames, fast.frames[::2]) and (slow.frame_rate, fast.frame_rate) == (12.0, 24.0)


@pytest.mark.parametrize("rate", ["24", "29.97", "60"])
def test_the_file_has_the_rate(tmp_path: Path, rate: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["world", str(tmp_path), "--rate", rate, *SMALL]) == 0
    made = tmp_path / "00000000.mp4"
    assert probe(made).frame_rate == pytest.approx(float(rate), rel=1e-3) and (probe(made).width, probe(made).height) == (48, 32)
    assert len(read_video(made)[0]) == round(float(rate)) + 1
    assert "1 clips" in capsys.readouterr().out and made.with_suffix(".txt").read_text("utf-8").startswith("0-1 s")


MISTAKES = [
    (("--rate", "0"), "from 1 to 120"),
    (("--rate", "nan"), "from 1 to 120"),
    (("--rate", "121"), "from 1 to 120"),
    (("--rate", "24", "--latents", "embedded"), "leave it out"),
    (("--seconds", "61"), "0 to 60 seconds"),
    (("--seconds", "0"), "--mix still"),
    (("--clips", "0"), "at least one clip"),
    (("--size", "47x32"), "multiples of 2"),
    (("--minutes", "1"), "--latents MODEL"),
    (("--return",), "beside --latents MODEL"),
    (("--return", "--kinds", "SGGGGGSGG"), "beside --latents MODEL"),
    (("--return", "--kinds", "SGGGGGGG", "--latents", "embedded"), "one more S"),
    (("--return", "--kinds", "SGSG", "--latents", "embedded"), "one more S"),
    (("--return", "--kinds", "SGGGGGSGG", "--latents", "embedded", "--mix", "story"), "core mix"),
    (("--return", "--cut", "--kinds", "SGGGGGSGG", "--latents", "embedded"), "one take"),
]


def test_latents_of_no_model_leave_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["world", str(tmp_path / "clips"), "--latents", str(tmp_path / "nowhere")]) == 1
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "clips").exists()


@pytest.mark.parametrize(("flags", "says"), MISTAKES, ids=[" ".join(flags) for flags, _ in MISTAKES])
def test_limits_are_named(tmp_path: Path, flags: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["world", str(tmp_path / "clips"), *flags]) == 2
    said = capsys.readouterr()
    assert says in said.err and said.err.strip().count("\n") == 0 and said.out == "" and not (tmp_path / "clips").exists()
