"""Laws of ``--server``: every verb that draws reaches a server with the same flags, and mistakes end before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from misora.cli.main import main
from misora.client import http
from misora.client.errors import ServerError
from misora.media.write import write_image, write_video
from misora.render import verbs
from misora.render.footage import Footage
from misora.server.queue.job import Job
from misora.server.rendering import request_of
from tests.server.shop import FILM, Shop, quick

SIZE = (64, 112)


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Shop, list[Job]]]:
    """A server, and the jobs that reached its renderer, whose pictures and films are no real ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(http, "POLL", 0.02)
    found: list[Job] = []

    def render(job: Job, folder: Path, progress: Any) -> dict[str, Any]:
        found.append(job)
        (folder / "picture.png").write_bytes(FILM)
        return quick(job, folder, progress) | {"file": "picture.png"}

    (tmp_path / "shop").mkdir()
    with Shop(tmp_path / "shop") as shop:
        shop.render = render
        monkeypatch.setenv("MISORA_API_KEY", shop.key.secret)
        yield shop, found


def test_a_sentence_is_drawn_elsewhere(jobs: tuple[Shop, list[Job]], capsys: pytest.CaptureFixture[str]) -> None:
    shop, found = jobs
    flags = ("--server", shop.url, "--seed", "5", "--json")
    asked = ("--style", "night", "--camera", "zoom in", "--aspect", "1:1", "--variations", "2", "--negative", "blur", "--out", "b.mp4")
    assert main(["generate", "a ball", *asked, *flags]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["file"] for each in told] == ["b-1.mp4", "b-2.mp4"] and Path("b-2.mp4").read_bytes() == FILM
    assert [(each["seed"], each["size"], each["seconds"]) for each in told] == [(5, "520x520", 4), (6, "520x520", 4)]
    assert found[0].prompt == "a ball, in a realistic style, at night, as the camera zooms in"
    assert found[1].request == {"seed": 6, "negative_prompt": "blur"}
    assert main(["image", "a ball", *flags]) == 0
    assert Path("a-ball-5.png").read_bytes() == FILM and found[-1].verb == "image" and found[-1].size == "704x384"
    assert main(["loop", "a ball", *flags]) == 0 and found[-1].request["loop"]


MISTAKES = [
    (("generate", "a ball", "--seconds", "4.5"), 2, "whole seconds"),
    (("generate", "a ball", "--lora", "a.safetensors"), 2, "on this machine"),
    (("generate", "a ball", "--reference", "a", "--reference", "b"), 2, "one --reference"),
    (("generate", "a ball", "--variations", "0"), 2, "1 to 16"),
    (("generate", "a ball", "--out", "taken.mp4"), 2, "--force"),
    (("generate", "a ball", "--out", "a.gif"), 2, ".mp4"),
    (("remix", "none.mp4", "a ball"), 1, "check the name"),
    (("remix", "taken.mp4", "a ball"), 1, "no video or image"),
    (("generate", "a ball"), 1, "could not be reached"),
]


@pytest.mark.parametrize(("argv", "code", "says"), MISTAKES, ids=[says for _, _, says in MISTAKES])
def test_mistakes_end_before_anything_is_sent(
    argv: tuple[str, ...], code: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MISORA_API_KEY", "x")
    monkeypatch.setattr(http, "TRIES", 1)
    (tmp_path / "taken.mp4").write_bytes(b"mine")
    assert main([*argv, "--server", "http://127.0.0.1:1"]) == code
    said = capsys.readouterr()
    assert says in said.err and len(said.err.splitlines()) == 1 and said.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["taken.mp4"]


def test_every_card_of_a_scene_is_reworked_elsewhere(jobs: tuple[Shop, list[Job]], monkeypatch: pytest.MonkeyPatch) -> None:
    shop, found = jobs
    frames = torch.randint(0, 256, (54, *SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    draft = Footage(frames=frames, rate=24.0)
    cards = [{"prompt": prompt, "seconds": 0.75, "cut": cut} for prompt, cut in (("a ball", False), ("a cube", False), ("a cone", True))]
    monkeypatch.setattr("misora.cli.simulate.staged", lambda scene, seconds: (cards, lambda request: draft))
    asked = ["simulate", "scene.json", "--style", "night", "--strength", "0.5", "--server", shop.url, "--size", "112x64", "--quiet"]
    assert main([*asked, "--out", "out.mp4"]) == 0
    there = request_of(found[-1], shop.files)
    here = verbs.rework(there, draft, [card | {"prompt": f"{card['prompt']}, in a realistic style, at night"} for card in cards], 0.5)
    told = [(part.prompts(there.prompt), part.strength, part.cut, len(part.clip.frames)) for part in there.parts if part.clip]
    assert told == [(part.prompts(there.prompt), part.strength, part.cut, len(part.clip.frames)) for part in here.parts if part.clip]
    assert [len(prompts) for prompts, *_ in told] == [2, 1] and found[-1].prompt == "a ball, in a realistic style, at night"
    assert main([*asked, "--out", "own.mp4", "--render-only"]) == 0
    assert "storyboard" not in found[-1].request and found[-1].request["strength"] == 0
    client = http.Client(base_url=shop.url)
    for wrong, param in (({"seconds": 3.0}, "storyboard"), ({"seconds": 2.0, "image": "a"}, "image"), ({"seconds": 0.1}, "seconds")):
        with pytest.raises(ServerError) as error:
            client.edit("a ball", found[-1].id, storyboard=[{"prompt": "a ball"} | wrong])
        assert error.value.status == 400 and param in str(error.value.param)
    with pytest.raises(ServerError, match="only one of"):
        client.edit("a ball", found[-1].id, storyboard=[{"prompt": "a ball", "seconds": 2}], loop="short")
    film, kept = write_video("draft.mp4", frames, 24), sorted(shop.files.data.glob("videos/*"))
    for ask in (partial(client.edit, model="none"), client.edit, client.extend):
        with pytest.raises(ServerError):
            ask("a ball", film, trim={"from": 0, "to": 60})
    assert sorted(shop.files.data.glob("videos/*")) == kept, "what is refused leaves no upload behind"


@pytest.mark.slow
def test_every_verb_is_asked_for_with_its_files(jobs: tuple[Shop, list[Job]], tmp_path: Path) -> None:
    shop, found = jobs
    frames = torch.randint(0, 256, (48, *SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    write_video("a.mp4", frames, 24)
    write_image("a.png", frames[0])
    mask = torch.zeros(*SIZE, 3, dtype=torch.uint8)
    mask[:32] = 255
    write_image("mask.png", mask)
    cards = [
        {"prompt": "a ball", "image": "a.png", "seconds": 2},
        {"prompt": "a cube", "clip": "a.mp4"},
        {"prompt": "a cone", "seconds": 1},
    ]
    Path("board.json").write_text(json.dumps({"cards": cards, "loop": True}))

    def asked(*argv: str) -> tuple[Job, Any]:
        assert main([*argv, "--server", shop.url, "--out", "out.mp4", "--force", "--quiet"]) == 0
        return found[-1], request_of(found[-1], shop.files)

    job, request = asked("animate", "a.png", "a ball", "--last", "a.png", "--reference", "a.mp4")
    assert job.size == "112x64" and len(request.parts) == 3 and len(request.references) == 1
    job, request = asked("storyboard", "board.json", "--style", "night")
    assert job.seconds == 5 and request.loop and [bool(part.clip) for part in request.parts] == [True, False, True, False]
    assert request.parts[1].prompt == "a ball, in a realistic style, at night"
    job, request = asked("extend", "a.mp4", "a ball", "--backward")
    assert job.verb == "extend" and request.parts[0].seconds == 4 and len(request.parts[1].clip.frames) == 48
    job, request = asked("connect", "a.mp4", "a.mp4", "a ball")
    assert job.verb == "connect" and request.parts[1].seconds == 2
    job, request = asked("loop", "a.mp4", "--overlap", "short")
    assert job.verb == "loop" and request.loop and job.prompt == "a seamless loop"
    job, request = asked("remix", "a.mp4", "a ball", "--strength", "subtle", "--seconds", "1")
    assert request.parts[0].strength == 0.6 and len(request.parts[0].clip.frames) == 24
    job, request = asked("inpaint", "a.mp4", "a ball", "--mask", "mask.png", "--from", ".5")
    assert request.parts[0].mask is not None and request.parts[0].span == (0.5, 2.0)
    job, request = asked("inpaint", "a.mp4", "a ball", "--box", "8,8,32,32")
    assert request.parts[0].mask.sum() == 32 * 32 and request.parts[0].strength == 1
    job, request = asked("simulate", "a red ball rolls to the right", "--seconds", "1", "--size", "112x64")
    assert job.verb == "edit" and job.size == "112x64" and request.parts[0].strength == 0.6
