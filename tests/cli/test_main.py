"""Laws of the command line: what it prints, what it leaves behind, and how every mistake ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from misora.cli import common
from misora.cli.main import VERBS, build_parser, main
from misora.media.read import probe, read_image, read_video
from tests.tiny import write_weights

ROOT = str(Path(__file__).parents[2])
FAST = ("--steps", "1", "--seconds", "0.2", "--size", "128x128")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*argv: str) -> int:
    return main(argv)


def in_process(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "misora", *argv]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": ROOT, **environment})


def test_generate_writes_a_video_and_says_so(here: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("generate", "a red ball rolls", "--out", "ball.mp4", "--seed", "5", "--model", model, *FAST) == 0
    said = capsys.readouterr()
    for part in ("ball.mp4", "seed 5", "128x128", "0.2 s", "made in"):
        assert part in said.out
    info = probe(here / "ball.mp4")
    assert (info.width, info.height, info.frame_rate) == (128, 128, 24)
    assert sorted(path.name for path in here.iterdir()) == ["ball.mp4", "ball.mp4.latents.safetensors"]


def test_json_is_one_line_and_quiet_is_quiet(here: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("generate", "a red lion", "--json", "--quiet", "--seed", "5", "--model", model, *FAST) == 0
    said = capsys.readouterr()
    assert said.err == ""
    facts = json.loads(said.out)
    assert facts.pop("took") > 0
    assert facts == {"file": "a-red-lion-5.mp4", "seed": 5, "size": "128x128", "seconds": 0.208}


def test_image_writes_a_picture(here: Path, model: str) -> None:
    assert run("image", "赤いボール", "--model", model, "--steps", "1", "--seed", "1", "--size", "128x128") == 0
    assert read_image(here / "赤いボール-1.png").shape == (128, 128, 3)


def test_unknown_words_are_named(here: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("generate", "a red lion rolls", "--model", model, *FAST) == 0
    assert "'lion'" in capsys.readouterr().err


def test_the_same_seed_makes_the_same_frames(here: Path, model: str) -> None:
    for name in ("a.mp4", "b.mp4"):
        assert run("generate", "a red ball", "--out", name, "--seed", "9", "--quiet", "--model", model, *FAST) == 0
    assert torch.equal(read_video(here / "a.mp4")[0], read_video(here / "b.mp4")[0])  # the signature tells the time


MISTAKES = [
    (("generate", ""), "empty"),
    (("generate", "a" * 10_000), "characters"),
    (("generate", "a\x00b"), "control character"),
    (("generate", "a ball", "--size", "1x1"), "1x1"),
    (("generate", "a ball", "--size", "huge"), "WIDTHxHEIGHT"),
    (("generate", "a ball", "--aspect", "99:1"), "narrow"),
    (("generate", "a ball", "--seconds", "0"), "misora image"),
    (("generate", "a ball", "--seconds", "1000000"), "seconds"),
    (("generate", "a ball", "--seconds", "nan"), "seconds"),
    (("generate", "a ball", "--seconds", "four"), "--seconds"),
    (("generate", "a ball", "--seed", "-3"), "seed"),
    (("generate", "a ball", "--seed", "1e9"), "--seed"),
    (("generate", "a ball", "--seed", str(2**63 - 1), "--variations", "2"), "seed"),
    (("generate", "a ball", "--steps", "0"), "steps"),
    (("generate", "a ball", "--guidance", "99"), "Guidance"),
    (("generate", "a ball", "--speed", "warp"), "balanced"),
    (("generate", "a ball", "--out", "taken.mp4"), "--force"),
    (("generate", "a ball", "--out", "nowhere/a.mp4"), "no folder"),
    (("generate", "a ball", "--out", "a.txt"), ".mp4"),
    (("generate", "a ball", "--out", "a" * 300 + ".mp4"), "cannot be written"),
    (("generate", "a ball", "--out", "/proc/a.mp4"), "cannot be written"),
    (("loop", "a red ball rolls " * 20, "--seconds", "0"), "nothing moves"),
    (("image", "a ball", "--out", "a.mp4"), ".png"),
    (("generate", "a ball", "--nonsense"), "--nonsense"),
    (("generate",), "prompt"),
    (("fly",), "fly"),
    ((), "VERB"),
]


@pytest.mark.parametrize(("argv", "says"), MISTAKES)
def test_mistakes_end_in_one_sentence_and_code_2(here: Path, argv: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "taken.mp4").write_bytes(b"mine")
    assert run(*argv) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert says in said.err
    assert [path.name for path in here.iterdir()] == ["taken.mp4"]
    assert (here / "taken.mp4").read_bytes() == b"mine"


def test_force_replaces_and_a_folder_is_never_replaced(here: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "taken.mp4").write_bytes(b"mine")
    (here / "folder.mp4").mkdir()
    assert run("generate", "a ball", "--out", "taken.mp4", "--force", "--model", model, *FAST) == 0
    assert probe(here / "taken.mp4").width == 128
    assert run("generate", "a ball", "--out", "folder.mp4", "--force", "--model", model, *FAST) == 2


@pytest.mark.parametrize("damage", ["missing", "cut", "altered", "pickle", "empty"])
def test_bad_weights_end_in_one_sentence_and_code_1(
    here: Path, tmp_path_factory: pytest.TempPathFactory, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_weights(tmp_path_factory.mktemp("bad"))
    path = folder / "transformer.safetensors"
    data = path.read_bytes()
    changed = {"cut": data[:-64], "altered": data[:-1] + bytes([data[-1] ^ 1]), "pickle": b"\x80\x04" + bytes(64), "empty": b""}
    path.unlink() if damage == "missing" else path.write_bytes(changed[damage])
    assert run("generate", "a ball", "--model", str(folder), "--quiet", *FAST) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert list(here.iterdir()) == []


def test_what_the_system_refuses_ends_in_one_sentence_and_code_1(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device", "ball.mp4")

    monkeypatch.setattr(common, "make", full)
    assert run("generate", "a ball") == 1
    assert capsys.readouterr().err == "misora: ball.mp4: No space left on device; check the name and the place.\n"


def test_ctrl_c_ends_with_130_and_leaves_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(common, "make", interrupted)
    assert run("generate", "a ball") == 130
    assert list(here.iterdir()) == []


def test_debug_shows_the_traceback(here: Path) -> None:
    done = in_process("generate", "", MISORA_DEBUG="1")
    assert "Traceback" in done.stderr
    done = in_process("generate", "")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("misora: The prompt is empty")


SLOW_WRITER = """
import time, torch
from misora.cli import environment
from misora.media.write import write_video
def slow():
    while True:
        yield torch.zeros(64, 64, 3, dtype=torch.uint8)
        time.sleep(0.05)
environment.terminate_politely()
write_video("a.mp4", slow(), 24)
"""


def test_a_terminated_run_leaves_no_half_file(here: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SLOW_WRITER], env={**os.environ, "PYTHONPATH": ROOT}) as process:
        while not list(here.glob(".a.*.mp4")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 128 + signal.SIGTERM
    assert list(here.iterdir()) == []


HELP = (
    "import sys; from misora.cli import main; main.build_parser().format_help(); print({'torch', 'av', 'rich', 'numpy'} & {*sys.modules})"
)


def test_help_names_every_verb_and_loads_no_library() -> None:
    text = build_parser().format_help()
    for verb in VERBS:
        assert verb.__name__.rpartition(".")[2] in text
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"


WITHOUT_ARRAYS = """
import sys
for name in ("numpy", "scipy", "PIL", "mujoco", "numba"):
    sys.modules[name] = None
from misora.cli.main import main
sys.exit(main())
"""


def test_the_core_needs_no_numpy_and_says_nothing_of_it(here: Path, model: str) -> None:
    argv = [sys.executable, "-W", "error", "-c", WITHOUT_ARRAYS, "generate", "a red ball", "--out", "a.mp4", "--model", model, *FAST]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": ROOT})
    assert (done.returncode, done.stderr) == (0, "")
    assert (here / "a.mp4").exists()


def test_models_show_checks_and_lists_the_networks(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "show", model) == 0
    said = capsys.readouterr().out
    for name in ("autoencoder", "transformer", "text"):
        assert name in said
