"""Laws of drawing with Wan's weights: a folder as diffusers saves it becomes a video; what was not learned is refused or said."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import misora
from misora.cli.main import main
from misora.client.errors import CheckpointError, GenerationError, UsageError
from misora.flow.generate import Sampling, generate
from misora.model import hub
from misora.model.wan_weights import FIRST, FORCED, TEXT
from misora.model.weights import WanWeights, open_weights
from misora.render import verbs
from misora.render import wan as drawing
from misora.render.footage import Footage, Notice
from misora.render.learned import APPROXIMATE, LEARNED, demand, verb_of
from misora.render.render import render
from misora.render.request import Request
from misora.render.wan import suited
from tests import wan
from tests.tree import ROOT

ASKED = Request(prompt="a red ball", seconds=0.5, size="80x64", steps=2, seed=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("wan")
    with wan.silence():
        wan.pipeline("ti2v").save_pretrained(made / "model")
    return made / "model"


@pytest.fixture
def weights(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WanWeights:
    monkeypatch.setattr(hub, "cache", lambda: tmp_path / "cache")
    opened = open_weights(folder)
    assert isinstance(opened, WanWeights)
    return opened


def _image() -> Footage:
    pixels = torch.randint(0, 256, (1, 64, 80, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    return Footage(frames=pixels, rate=24.0, name="image.png")


def test_a_folder_becomes_a_video_of_the_size_and_length_asked_for(weights: WanWeights) -> None:
    assert weights.learned == FIRST and weights.rate == 24
    video = render(ASKED, weights)
    assert video.frames.shape == (12, 64, 80, 3)
    assert torch.equal(render(ASKED, weights).frames, video.frames)
    assert not torch.equal(render(dataclasses.replace(ASKED, seed=2), weights).frames, video.frames)
    assert '"native": "96x64"' in video.notes()["comment"]  # whole tokens of 32 pixels


def test_slower_weights_are_shown_at_their_own_speed(weights: WanWeights) -> None:
    slow = dataclasses.replace(weights, rate=8.0)
    frames = render(ASKED, slow).frames
    assert len(frames) == 12
    assert torch.equal(frames[0], frames[1]) and torch.equal(frames[0], frames[2])
    assert not torch.equal(frames[2], frames[3])


def test_a_first_frame_is_native_to_some_and_said_to_be_approximate_of_others(weights: WanWeights) -> None:
    request = verbs.animate(ASKED, _image())
    assert len(render(request, weights).frames) == 12
    with pytest.warns(Notice, match="never learned animate, so what comes out is approximate: wan2.2-ti2v-5b did"):
        render(request, dataclasses.replace(weights, learned=TEXT))


def _clip(seed: int = 3) -> Footage:
    pixels = torch.randint(0, 256, (12, 64, 80, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    return Footage(frames=pixels, rate=24.0, name="clip.mp4")


MASK = torch.zeros(1, 64, 80)
MASK[:, 16:48, 16:64] = 1
MADE = {  # verb -> its request and the length of what comes out
    "animate --last": (lambda: verbs.animate(ASKED, _image(), _image()), 12),
    "extend": (lambda: verbs.extend(ASKED, _clip()), 24),
    "extend --backward": (lambda: verbs.extend(ASKED, _clip(), backward=True), 24),
    "connect": (lambda: verbs.connect(ASKED, _clip(), _clip(4)), 36),
    "loop": (lambda: verbs.loop(ASKED), 12),
    "remix": (lambda: verbs.remix(ASKED, _clip(), 0.5), 12),
    "inpaint": (lambda: verbs.inpaint(ASKED, _clip(), mask=MASK), 12),
    "storyboard": (lambda: verbs.storyboard(ASKED, [{"prompt": "a ball", "seconds": 0.25}, {"prompt": "a cube", "seconds": 0.25}]), 12),
}


@pytest.mark.parametrize("verb", list(MADE))
def test_every_verb_fills_the_same_canvas(weights: WanWeights, verb: str) -> None:
    ask, count = MADE[verb]
    request = ask()
    assert verb_of(request) == verb
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frames = render(request, weights).frames
    told = any("never learned" in str(one.message) for one in caught)
    assert told == (LEARNED[verb][weights.learned] == APPROXIMATE)
    assert frames.shape == (count, 64, 80, 3)
    own = _clip().frames
    if verb in ("extend", "connect"):
        assert torch.equal(frames[:12], own)
    if verb == "extend --backward":
        assert torch.equal(frames[-12:], own)
    if verb == "connect":
        assert torch.equal(frames[-12:], _clip(4).frames)
    if verb == "inpaint":
        assert torch.equal(frames[:, :16], own[:, :16]) and not torch.equal(frames, own)


def test_a_loop_of_a_clip_keeps_its_beginning(weights: WanWeights) -> None:
    with pytest.warns(Notice, match="never learned loop"):
        frames = render(verbs.loop(ASKED, _clip(), overlap="full"), weights).frames
    assert len(frames) == 12 and torch.equal(frames[0], _clip().frames[0])


def test_strength_0_changes_nothing(weights: WanWeights) -> None:
    assert torch.equal(render(verbs.remix(ASKED, _clip(), 0.0), weights).frames, _clip().frames)


def test_references_are_refused_and_too_much_at_once_too(weights: WanWeights) -> None:
    with pytest.raises(UsageError, match="cannot do --reference; use --model embedded"):
        render(dataclasses.replace(ASKED, references=(_image(),)), weights)
    with pytest.raises(UsageError, match="at most 12 seconds at once"):
        render(dataclasses.replace(ASKED, seconds=13.0), weights)


def test_the_table_in_the_docs_is_the_one_in_the_code() -> None:
    page = (ROOT / "docs" / "wan.md").read_text("utf-8")
    rows = re.findall(r"^\| `([\w -]+)` \| (\w+) \| (\w+) \| (\w+) \|$", page, re.MULTILINE)
    assert {verb: dict(zip((TEXT, FIRST, FORCED), said, strict=True)) for verb, *said in rows} == LEARNED


def test_nothing_is_begun_that_will_not_fit(weights: WanWeights) -> None:
    with pytest.raises(GenerationError, match=r"needs .* GB even with block offload, and .* GB are free; ask for a smaller --size"):
        render(ASKED, dataclasses.replace(weights, limit=1e5))
    assert not len(weights.transformer.blocks.held)


def test_without_a_table_of_kinds_the_server_s_model_names_lead_here(folder: Path, weights: WanWeights, tmp_path: Path) -> None:
    from misora.server.files import Files
    from misora.server.rendering import Renderer
    from misora.server.settings import Settings

    engine = Renderer(Files(tmp_path), Settings(data=tmp_path, models={"sora-2": str(folder)}))._engine("sora-2")
    assert isinstance(engine.weights, WanWeights)
    assert engine.generate("a red ball", seconds=0.25, size="64x64", steps=1, seed=1).frames.shape == (6, 64, 64, 3)


def test_its_own_steps_stand_where_none_were_asked_for(weights: WanWeights) -> None:
    assert suited(ASKED, weights, []).steps == weights.steps
    assert suited(ASKED, weights, ["steps"]).steps == 2
    assert suited(ASKED, weights, ["steps"]).guidance == weights.guidance


def test_the_command_line_takes_a_folder(folder: Path, weights: WanWeights, tmp_path: Path) -> None:
    out = tmp_path / "ball.mp4"
    flags = ["--model", str(folder), "--size", "64x64", "--seconds", "0.25", "--steps", "1", "--out", str(out), "--quiet"]
    assert main(["generate", "a red ball", *flags]) == 0
    assert out.stat().st_size > 500


def test_a_lora_changes_the_video_by_its_strength(folder: Path, weights: WanWeights, tmp_path: Path) -> None:
    down, up = torch.randn(2, wan.HEADS * wan.HEAD), torch.randn(wan.HEADS * wan.HEAD, 2)
    name = "diffusion_model.blocks.0.self_attn.v.lora_{}.weight"
    save_file({name.format("A"): down, name.format("B"): up}, tmp_path / "style.safetensors")
    before = weights.source.block(0).attention.qkv.weight.float()
    for strength in (0.0, 0.5):
        opened = open_weights(folder, {str(tmp_path / "style.safetensors"): strength})
        assert isinstance(opened, WanWeights)
        changed = opened.source.block(0).attention.qkv.weight.float()
        assert bool((changed != before).any()) == bool(strength)
    assert main(["generate", "a red ball", "--lora", "style.safetensors:much", "--out", str(tmp_path / "ball.mp4")]) == 2
    with pytest.raises(CheckpointError, match="for weights of the Wan family"):
        open_weights("embedded", {"style.safetensors": 1.0})


@pytest.mark.parametrize("held", [False, True])
def test_a_live_lora_is_as_strong_as_it_is_told_to_be(folder: Path, weights: WanWeights, tmp_path: Path, held: bool) -> None:
    down, up = torch.randn(2, wan.HEADS * wan.HEAD), torch.randn(wan.HEADS * wan.HEAD, 2)
    name, path = "diffusion_model.blocks.0.self_attn.v.lora_{}.weight", str(tmp_path / "style.safetensors")
    save_file({name.format("A"): down, name.format("B"): up}, path)
    engine = misora.load(str(folder), {path: 0.7}, live=True)
    live, merged = engine.weights, open_weights(folder, {path: 0.7})
    assert isinstance(live, WanWeights) and isinstance(merged, WanWeights) and engine.loras == {path: 0.7}
    x, text, marks = torch.randn(1, 10, 2, 4, 4), torch.randn(1, 5, wan.TEXT), torch.zeros(1, 2, dtype=torch.long)

    def made(one: WanWeights) -> torch.Tensor:
        (one.blocks.hold if held else one.blocks.let_go)()
        with torch.inference_mode():
            result: torch.Tensor = one.transformer(x, torch.full((1, 2), 0.5), text, marks, marks.float(), marks)
        return result.float()

    wanted, plain = made(merged), made(weights)
    far = float((wanted - plain).norm())
    assert float((made(live) - wanted).norm()) < 0.1 * far, "merged and live differ by rounding alone"
    engine.loras[path] = 0.0
    assert torch.equal(made(live), plain)


@pytest.mark.parametrize("strength", [float("nan"), float("inf")])
def test_a_strength_that_is_no_number_is_refused(folder: Path, weights: WanWeights, strength: float) -> None:
    with pytest.raises(UsageError, match="give its strength as a number"):
        open_weights(folder, {"style.safetensors": strength})


@pytest.mark.parametrize(
    "name, says",
    [
        ("flux.safetensors", "holds Flux, which Misora does not run"),
        ("wan.pth", "is a pickle, which could run code"),
        ("wan.gguf", "is a GGUF file, which Misora does not read; give a .safetensors file"),
        ("notes.txt", "no safetensors file"),
    ],
)
def test_a_file_is_told_by_what_it_is_and_not_by_what_lacks_beside_it(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / name).write_bytes(b"?" * 9)
    if name.startswith("flux"):
        save_file({"double_blocks.0.img_attn.qkv.weight": torch.zeros(2, 2)}, tmp_path / name)
    with pytest.raises(CheckpointError, match=says):
        open_weights(tmp_path / name)


def test_networks_beside_the_transformer_are_told_by_the_tensor(folder: Path, tmp_path: Path) -> None:
    for part, says in (("vae", "more of the autoencoder's tensors"), ("text_encoder", r"is \(3, 3\) instead of")):
        made = _beside(folder, tmp_path / part)
        (made / part).unlink()
        shutil.copytree(folder / part, made / part)
        path = next((made / part).glob("*.safetensors"))
        tensors = load_file(path)
        name = sorted(tensors)[0] if part == "vae" else max(name for name in tensors if name.endswith("wi_1.weight"))
        del tensors[name]
        save_file(tensors if part == "vae" else tensors | {name: torch.zeros(3, 3)}, path)
        with pytest.raises(CheckpointError, match=says) as told:
            open_weights(made)
        assert name in str(told.value)


def test_a_server_keeps_what_was_said_of_a_job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from misora.server.files import Files
    from misora.server.rendering import Renderer
    from misora.server.settings import Settings

    def made(self: Renderer, *given: object) -> dict[str, object]:
        for _ in range(2):
            demand(verbs.animate(ASKED, _image()), TEXT)
        return {"seed": 1}

    monkeypatch.setattr(Renderer, "_made", made)
    facts = Renderer(Files(tmp_path), Settings(data=tmp_path))(None, tmp_path, lambda *told: None)  # type: ignore[arg-type]
    assert facts["seed"] == 1 and [said.split(",")[0] for said in facts["notices"]] == ["These weights never learned animate"]


def _beside(folder: Path, made: Path, **told: object) -> Path:
    """The same networks in a folder that says something else of itself."""
    made.mkdir()
    for part in folder.iterdir():
        (made / part.name).symlink_to(part)
    (made / "model_index.json").unlink()
    index = json.loads((folder / "model_index.json").read_text("utf-8"))
    (made / "model_index.json").write_text(json.dumps(index | told), "utf-8")
    return made


def test_fastwan_takes_its_three_steps(folder: Path, weights: WanWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = open_weights(_beside(folder, tmp_path / "fast", _class_name="WanDMDPipeline"))
    assert isinstance(fast, WanWeights) and fast.learned == FIRST
    asked = suited(dataclasses.replace(ASKED, speed="fast"), fast, [])
    assert (asked.steps, asked.guidance) == (3, 1.0)
    hows: list[Sampling] = []
    monkeypatch.setattr(drawing, "generate", lambda *given: hows.append(given[4]) or generate(*given))
    assert render(asked, fast).frames.shape == (12, 64, 80, 3)
    assert (hows[0].stops, hows[0].eta, hows[0].cache, hows[0].every) == ((1.0, 0.757, 0.522), 1.0, 0.0, 1)
    assert drawing._sampling(dataclasses.replace(asked, steps=5), fast).stops == ()


@pytest.mark.parametrize(
    "told, says",
    [
        ({"transformer_2": ["diffusers", "WanTransformer3DModel"]}, "shares its work between two transformers"),
        ({"_class_name": "WanCausalDMDPipeline"}, "holds WanCausalDMDPipeline, which Misora does not run"),
    ],
)
def test_wan_of_another_kind_is_refused_by_name(folder: Path, tmp_path: Path, told: dict[str, object], says: str) -> None:
    with pytest.raises(CheckpointError, match=says):
        open_weights(_beside(folder, tmp_path / "other", **told))


def test_pictures_given_as_channels_are_refused_before_anything_is_drawn(folder: Path, tmp_path: Path) -> None:
    made = _beside(folder, tmp_path / "i2v")
    (made / "transformer").unlink()
    wan.save(wan.transformer("ti2v", in_channels=15), made / "transformer")
    with pytest.raises(CheckpointError, match="reads a picture as 5 channels beside the noise, .* animate pictures with wan2.2-ti2v-5b"):
        open_weights(made)


def test_the_original_pair_of_experts_is_refused_by_name(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("high_noise_model", "low_noise_model"):
        (tmp_path / "a14b" / name).mkdir(parents=True)
        (tmp_path / "a14b" / name / "weights.safetensors").symlink_to(next((folder / "transformer").glob("*.safetensors")))
    with pytest.raises(CheckpointError, match="shares its work between two transformers, which Misora does not run; give weights of Wan"):
        open_weights(tmp_path / "a14b")
    assert main(["models", "show", str(tmp_path / "a14b")]) == 1
    assert "shares its work" in capsys.readouterr().err


def test_half_a_folder_is_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "transformer").symlink_to(folder / "transformer")
    with pytest.raises(CheckpointError, match="has no text encoder; put the text_encoder/"):
        open_weights(tmp_path / "half")
