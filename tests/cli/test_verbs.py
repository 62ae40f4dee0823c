"""Laws of the verbs on the command line: each writes what it says, flags compose, mistakes end in one sentence and nothing is written."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from misora.cli.main import main
from misora.media.read import probe, read_notes, read_video
from misora.media.write import write_image, write_video
from misora.words.presets import CAMERAS, STYLES, dressed

SIZE = (64, 112)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    frames = torch.randint(0, 256, (12, *SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    write_video("a.mp4", frames, 24)
    write_image("a.png", frames[0])
    mask = torch.zeros(*SIZE, 3, dtype=torch.uint8)
    mask[20:50, 30:80] = 255
    write_image("mask.png", mask)
    Path("board.json").write_text(
        json.dumps({"cards": [{"prompt": "a red ball", "seconds": 0.4}, {"prompt": "a blue cube", "seconds": 0.4}]})
    )
    return tmp_path


VERBS = {
    ("animate", "a.png", "a ball", "--last", "a.png", "--seconds", "0.5"): 0.5,
    ("animate", "a ball", "--last", "a.png", "--seconds", "0.5"): 0.5,
    ("extend", "a.mp4", "a ball", "--seconds", "0.5"): 1.0,
    ("extend", "a.mp4", "a ball", "--seconds", "0.5", "--backward", "--reference", "a.png"): 1.0,
    ("connect", "a.mp4", "a.mp4", "a ball", "--seconds", "0.3"): 1.3,
    ("loop", "a ball", "--seconds", "0.5", "--size", "112x64"): 0.42,
    ("loop", "a.mp4", "--overlap", "short"): 0.5,
    ("remix", "a.mp4", "a ball", "--strength", "subtle"): 0.5,
    ("remix", "a.mp4", "a ball", "--strength", "0", "--seconds", "0.25"): 0.25,
    ("inpaint", "a.mp4", "a ball", "--mask", "mask.png"): 0.5,
    ("inpaint", "a.mp4", "a ball", "--box", "10,10,40,30", "--from", "0.2"): 0.5,
    ("storyboard", "board.json", "--size", "112x64", "--style", "archival"): 0.8,
}


@pytest.mark.parametrize("argv", VERBS, ids=lambda argv: "-".join(argv[:2]))
def test_each_verb_writes_its_video(here: Path, model: str, argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*argv, "--out", "out.mp4", "--steps", "1", "--guidance", "1", "--seed", "3", "--model", model, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["seconds"] == pytest.approx(VERBS[argv], abs=0.17)
    assert (probe("out.mp4").width, probe("out.mp4").height) == (112, 64)
    assert len(read_video("out.mp4")[0]) == pytest.approx(24 * facts["seconds"], abs=0.1)


def test_a_clip_that_is_looped_without_a_prompt_shows_what_it_showed(here: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--steps", "1", "--guidance", "1", "--model", model, "--force", "--out")
    assert main(["loop", "a.mp4", *flags, "b.mp4"]) == 0 and "do not know" not in capsys.readouterr().err
    assert read_notes("b.mp4")["description"] == "a seamless loop", "whose file says nothing"
    assert main(["generate", "a red ball", "--seconds", "0.5", "--size", "112x64", *flags, "a.mp4"]) == 0
    assert main(["loop", "a.mp4", *flags, "b.mp4"]) == 0 and read_notes("b.mp4")["description"] == "a red ball"


def test_variations_have_seeds_that_follow_each_other(here: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--seconds", "0.2", "--size", "112x64", "--steps", "1", "--seed", "7", "--model", model, "--json", "--no-latents")
    assert main(["generate", "a ball", "--variations", "2", "--out", "b.mp4", *flags]) == 0
    assert [json.loads(line)["seed"] for line in capsys.readouterr().out.splitlines()] == [7, 8]
    assert Path("b-1.mp4").exists() and Path("b-2.mp4").exists() and not list(here.glob("*.safetensors"))


def test_the_expanded_prompt_is_shown_and_stored(here: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--seconds", "0.2", "--size", "112x64", "--steps", "1", "--seed", "7", "--model", model)
    assert main(["generate", "a crimson ball hops", "--enhance", "--camera", "zoom in", "--out", "b.mp4", *flags]) == 0
    shown = capsys.readouterr().err
    notes = read_notes("b.mp4")
    assert notes["description"].startswith("a red ball bounces") and notes["description"] in shown
    made = json.loads(notes["comment"])
    assert made["asked"] == "a crimson ball hops" and made["seed"] == 7 and "x" in made["native"]


@pytest.fixture
def endpoint() -> Iterator[str]:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            said = asked["messages"][-1]["content"] + ", in daylight"
            body = json.dumps({"choices": [{"message": {"content": said}}]}).encode()
            self.send_response(200 if self.path == "/v1/chat/completions" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_endpoint_may_expand_the_prompt(endpoint: str) -> None:
    from misora.client.errors import GenerationError, UsageError
    from misora.render.expand import expand

    assert expand("a ball", f"{endpoint}/v1") == "a ball, in daylight"
    with pytest.raises(GenerationError, match="404"):
        expand("a ball", f"{endpoint}/v2")
    with pytest.raises((GenerationError, UsageError, Exception), match="transformers|chat model"):
        expand("a ball", "no/such-model")


MISTAKES = [
    (("remix", "a.mp4", "a ball", "--strength", "2"), "out of range"),
    (("inpaint", "a.mp4", "a ball"), "--mask FILE"),
    (("inpaint", "a.mp4", "a ball", "--box", "1,2,3"), "x,y,w,h"),
    (("inpaint", "a.mp4", "a ball", "--from", "3", "--to", "4"), "inside it"),
    (("extend", "a.mp4", "a ball", "--seconds", "10000"), "at most 600"),
    (("animate", "a.png", "a ball", "--seconds", "0"), "nothing moves"),
    (("loop", "a.png", "a ball"), "is a picture"),
    (("animate", "a.png"), "required: prompt"),
    (("generate", "a ball", "--style", "baroque"), "choose realistic"),
    (("generate", "a ball", "--variations", "0"), "1 to 16"),
    (("storyboard", "none.json"), "cannot be read"),
    (("storyboard", "a.png"), "no JSON"),
]


@pytest.mark.parametrize(("argv", "says"), MISTAKES, ids=[says for _, says in MISTAKES])
def test_mistakes_end_in_one_sentence(here: Path, argv: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(here.iterdir())
    assert main(list(argv)) == 2
    said = capsys.readouterr()
    assert says in said.err and said.err.strip().count("\n") == 0 and said.out == ""
    assert sorted(here.iterdir()) == before


def test_files_that_are_no_clips_end_with_code_1(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("text.mp4").write_text("ffconcat version 1.0")
    assert main(["extend", "text.mp4", "a ball"]) == 1
    assert main(["extend", "none.mp4", "a ball"]) == 1
    assert main(["loop", "none.mp4"]) == 1  # no prompt, but a name that was mistyped
    assert "no video or image known here" in capsys.readouterr().err


def test_styles_and_cameras_are_words_that_the_weights_know() -> None:
    from misora.words.known import unknown_words

    for column in (0, 1):
        for phrases in (*STYLES.values(), *CAMERAS.values()):
            assert not unknown_words(phrases[column]), phrases[column]
    assert dressed("a ball rolls.", style="film-noir", camera="Pan-Left") == (
        "a ball rolls, in black and white, at night, as the camera pans to the left"
    )
    assert dressed("赤い球が転がる。", camera="zoom in") == "赤い球が転がる。カメラがズームインする。"
    assert dressed("a ball", camera="from a drone") == "a ball, from a drone" and dressed("a ball") == "a ball"


def test_a_scene_is_a_sentence_or_a_graph(tmp_path: Path) -> None:
    from misora.cli.simulate import scene_of
    from misora.client.errors import UsageError

    graph, told, _ = scene_of("a red ball rolls to the left", 2.0)
    assert graph.cards[0].end == 2.0 and told == ["a red ball rolls to the left"]
    (tmp_path / "scene.json").write_text(graph.to_json())
    again, told, _ = scene_of(str(tmp_path / "scene.json"), 2.0)
    assert again == graph and "red" in told[0]
    for wrong, says in (("a lion sleeps", "colour and a shape"), (str(tmp_path / "none.json"), "cannot be read")):
        with pytest.raises(UsageError, match=says):
            scene_of(wrong, 2.0)
    for bad in ("{}", "[]", "3", graph.to_json().replace('"red"', '"mauve"'), graph.to_json().replace('"actor":0', '"actor":7')):
        (tmp_path / "bad.json").write_text(bad)
        with pytest.raises(UsageError, match="no scene graph"):
            scene_of(str(tmp_path / "bad.json"), 2.0)


def test_every_card_of_a_scene_tells_its_own_span(tmp_path: Path) -> None:
    from misora.cli.simulate import staged
    from misora.client.errors import UsageError
    from misora.words.read import read

    spans = [(0, 2, False), (2, 5, False), (5, 6, True)]
    acts = [{"verb": "bounce", "actor": 0}, {"verb": "roll", "actor": 0, "direction": "left"}, {"verb": "spin", "actor": 1}]
    cards = [{"start": a, "end": b, "cut": cut, "acts": [act]} for (a, b, cut), act in zip(spans, acts, strict=True)]
    scene = {"things": [{"colour": "red", "shape": "ball"}, {"colour": "blue", "shape": "cube"}], "cards": cards}
    path = tmp_path / "scene.json"
    path.write_text(json.dumps(scene | {"relations": [{"kind": "left_of", "a": 1, "b": 0}]}))
    told, _ = staged(str(path))
    assert [(card["seconds"], card["cut"]) for card in told] == [(2, False), (3, False), (1, True)]
    for card, act in zip(told, ("bounce", "roll", "spin"), strict=True):
        again = read(card["prompt"])
        assert again and [one.verb for one in again.cards[0].acts if one.verb != "stay"] == [act]
        assert ("left to right" in card["prompt"]) == (card is told[0]), "how things stand is told of the beginning alone"
    assert [card["seconds"] for card in staged(str(path), 3.0)[0]] == [1, 1.5, 0.5], "stretched evenly"
    with pytest.raises(UsageError, match="longer --seconds"):
        staged(str(path), 2.0)
    cards[-1]["end"] = 40
    path.write_text(json.dumps(scene))
    with pytest.raises(UsageError, match="40 seconds"):
        staged(str(path))
    assert sum(card["seconds"] for card in staged(str(path), 20.0)[0]) == pytest.approx(20)


def test_a_scene_may_bring_its_own_mesh(tmp_path: Path) -> None:
    from misora.cli.simulate import scene_of
    from misora.client.errors import MediaError, UsageError

    graph, _, _ = scene_of("a red cube slides to the left", 2.0)
    told = json.loads(graph.to_json())
    told["things"][0] |= {"mesh": "wedge.obj", "up": "y"}
    (tmp_path / "scene.json").write_text(json.dumps(told))
    with pytest.raises(MediaError, match="check the name"):
        scene_of(str(tmp_path / "scene.json"), 2.0)
    (tmp_path / "wedge.obj").write_text("v 0 0 0\nv 2 0 0\nv 0 0 2\nv 0 1 0\nf 1 2 3\nf 1 2 4\nf 1 3 4\nf 2 3 4\n")
    again, said, meshes = scene_of(str(tmp_path / "scene.json"), 2.0)
    assert again == graph and "red" in said[0] and meshes[0].half == (1.0, 1.0, 0.5)
    told["things"][0]["up"] = "sideways"
    (tmp_path / "scene.json").write_text(json.dumps(told))
    with pytest.raises(UsageError, match="mend the scene"):
        scene_of(str(tmp_path / "scene.json"), 2.0)


@pytest.mark.slow
def test_physics_moves_a_scene_and_the_model_draws_it(here: Path, model: str) -> None:
    flags = ("--seconds", "1", "--size", "112x64", "--steps", "1", "--seed", "0", "--model", model)
    assert main(["simulate", "a red ball rolls to the right", "--out", "own.mp4", "--render-only", *flags]) == 0
    assert main(["simulate", "a red ball rolls to the right", "--out", "new.mp4", *flags]) == 0
    own, new = read_video("own.mp4")[0], read_video("new.mp4")[0]
    assert own.shape == new.shape == (24, 64, 112, 3) and not torch.equal(own, new)
