"""Laws of --variations: each has its own file and seed, nothing is replaced, and one that fails takes no other with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from misora.cli.main import main
from misora.client.errors import GenerationError
from misora.media.read import read_notes
from misora.media.write import write_image, write_video
from misora.render import render as rendering

FRAMES = torch.randint(0, 256, (6, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
VERBS: dict[str, tuple[str, ...]] = {
    "animate": ("animate", "a.png", "a ball", "--seconds", "0.2"),
    "extend": ("extend", "a.mp4", "a ball", "--seconds", "0.2"),
    "connect": ("connect", "a.mp4", "a.mp4", "a ball", "--seconds", "0.2"),
    "loop": ("loop", "a ball", "--seconds", "0.3", "--size", "64x64"),
    "loop of a clip": ("loop", "a.mp4"),
    "remix": ("remix", "a.mp4", "a ball"),
    "inpaint": ("inpaint", "a.mp4", "a ball", "--from", "0.1"),
    "storyboard": ("storyboard", "board.json", "--size", "64x64"),
    "image": ("image", "a ball", "--size", "64x64"),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_video("a.mp4", FRAMES, 24)
    write_image("a.png", FRAMES[0])
    Path("board.json").write_text(json.dumps([{"prompt": "a ball", "seconds": 0.1}, {"prompt": "a cube", "seconds": 0.1}]))
    return tmp_path


def told(argv: tuple[str, ...], model: str) -> int:
    return main([*argv, "--variations", "3", "--steps", "1", "--guidance", "1", "--seed", "7", "--model", model, "--json", "--no-latents"])


@pytest.mark.parametrize("verb", VERBS)
def test_each_has_its_own_name_and_seed(here: Path, model: str, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    ending = "png" if verb == "image" else "mp4"
    before = set(here.iterdir())
    assert told((*VERBS[verb], "--out", f"b.{ending}"), model) == 0
    facts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["file"], each["seed"]) for each in facts] == [(f"b-{i + 1}.{ending}", 7 + i) for i in range(3)]
    assert {path.name for path in set(here.iterdir()) - before} == {each["file"] for each in facts}
    if verb != "image":
        assert [json.loads(read_notes(each["file"])["comment"])["seed"] for each in facts] == [7, 8, 9]


def test_nothing_is_replaced(here: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("b-3.mp4").write_bytes(b"mine")
    before = sorted(here.iterdir())
    assert told(("loop", "a ball", "--seconds", "0.3", "--out", "b.mp4"), model) == 2
    assert "b-3.mp4 exists" in capsys.readouterr().err and sorted(here.iterdir()) == before


def test_one_that_fails_takes_no_other_with_it(
    here: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = rendering.render

    def render(request: Any, *others: Any) -> Any:
        if request.seed == 8:
            raise GenerationError("The second failed; try again.")
        return real(request, *others)

    monkeypatch.setattr(rendering, "render", render)
    assert told(("generate", "a ball", "--seconds", "0.2", "--size", "64x64", "--out", "b.mp4"), model) == 1
    said = capsys.readouterr()
    assert [json.loads(line)["seed"] for line in said.out.splitlines()] == [7, 9] and "The second failed" in said.err
    assert Path("b-1.mp4").is_file() and Path("b-3.mp4").is_file() and not Path("b-2.mp4").exists()


def test_who_looks_on_sees_how_far_it_is_and_how_long_it_takes(
    here: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["generate", "a ball", "--seconds", "0.3", "--size", "64x64", "--steps", "2", "--model", model, "--out", "c.mp4"]
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert main(asked) == 0 and "%" not in capsys.readouterr().err, "a file of messages has no use for a bar"
    monkeypatch.setenv("FORCE_COLOR", "1")  # stderr is a terminal now
    assert main([*asked, "--force"]) == 0
    shown = capsys.readouterr()
    assert "%" in shown.err and "0:0" in shown.err and "%" not in shown.out
    assert main([*asked, "--force", "--quiet"]) == 0 and "%" not in capsys.readouterr().err
