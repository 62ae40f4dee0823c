"""Laws of the whole Wan pipeline: prompts, latents and pixels as diffusers makes them; streamed, tiled and remembered all the same."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from misora.canvas import fills
from misora.flow.generate import Sampling, generate, seeded_noise
from misora.model import wan_text
from misora.model.footprint import peak
from misora.model.wan import load_transformer
from misora.model.wan_pixels import WanPixels, load_pixels, share, windows
from misora.model.wan_text import WanText
from tests import wan

STEPS, SHIFT, GUIDANCE, FRAMES, SIDE = 4, 3.0, 5.0, 3, 4
PROMPT, NEGATIVE = "a red ball &amp; a  blue cube", "blurred"


@pytest.fixture(scope="module", params=["t2v", "ti2v"])
def peer(request: pytest.FixtureRequest) -> Any:
    return wan.pipeline(request.param)


@pytest.fixture(scope="module")
def folder(peer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("wan")
    with wan.silence():
        peer.save_pretrained(made)
    return made


def _distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


def _theirs(pipeline: Any, latents: Tensor, **more: Any) -> Tensor:
    """Diffusers' latents after four steps of its scheduler, through the levels that ours take."""
    plan = pipeline.scheduler
    levels = [1 - i / STEPS for i in range(STEPS)]
    if type(plan).__name__ != "Exact":
        plan.set_timesteps = functools.partial(type(plan).set_timesteps, plan, sigmas=levels)
    given = {"latents": latents, "num_inference_steps": STEPS, "guidance_scale": GUIDANCE, "output_type": "latent"}
    space = pipeline.vae.config.scale_factor_spatial
    with wan.silence(), torch.no_grad():
        sizes = {"height": SIDE * space, "width": SIDE * space, "num_frames": 4 * FRAMES - 3, "max_sequence_length": wan_text.LENGTH}
        said = {"prompt": PROMPT, "negative_prompt": NEGATIVE} if "prompt_embeds" not in more else {}
        return pipeline(**said, **sizes, **given, **more).frames


def test_latents_after_four_steps_are_theirs(peer: Any, folder: Path) -> None:
    network, text = load_transformer(folder), WanText(folder)
    canvas = fills.text(kinds="SGG", channels=network.config.channels, height=SIDE, width=SIDE)
    how = Sampling(steps=STEPS, guidance=GUIDANCE, shift=SHIFT, seed=3)
    told, negative = text.encode([PROMPT, NEGATIVE])[:, None].unbind(0)
    made = generate(network, canvas, told, negative, how)
    assert _distance(made, _theirs(peer, seeded_noise(canvas.given, 3))) < 1e-4


def test_latents_after_four_steps_of_its_default_solver_are_theirs(peer: Any, folder: Path) -> None:
    from diffusers import UniPCMultistepScheduler, WanPipeline

    class Exact(UniPCMultistepScheduler):
        """Tells the network the level itself, which diffusers cuts off to a thousandth."""

        def set_timesteps(self, *args: Any, **kwargs: Any) -> None:
            super().set_timesteps(STEPS, sigmas=torch.linspace(1, 0, STEPS + 1)[:-1].double().numpy())
            self.timesteps = self.sigmas[:-1] * 1000

    with wan.silence():
        plan = Exact(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=SHIFT)
        other = WanPipeline(**(peer.components | {"scheduler": plan}), expand_timesteps=peer.config.expand_timesteps)
        other.set_progress_bar_config(disable=True)
    network, text = load_transformer(folder), WanText(folder)
    canvas = fills.text(kinds="SGG", channels=network.config.channels, height=SIDE, width=SIDE)
    told, negative = text.encode([PROMPT, NEGATIVE])[:, None].unbind(0)
    made = generate(network, canvas, told, negative, Sampling(steps=STEPS, guidance=GUIDANCE, shift=SHIFT, seed=3, solver="unipc"))
    said = {"prompt_embeds": told, "negative_prompt_embeds": negative}
    assert _distance(made, _theirs(other, seeded_noise(canvas.given, 3), **said)) < 1e-4


def test_a_given_first_frame_is_theirs(peer: Any, folder: Path) -> None:
    if not peer.config.expand_timesteps:
        return  # only these weights are given a clean first frame
    network, text, pixels = load_transformer(folder), WanText(folder), load_pixels(folder)
    picture = torch.rand(1, 3, 1, SIDE * pixels.space, SIDE * pixels.space, generator=torch.Generator().manual_seed(5)) * 2 - 1
    first = fills.given(pixels.encode(picture, "S"), "S")
    canvas = fills.join(first, fills.text(kinds="GG", channels=network.config.channels, height=SIDE, width=SIDE))
    told, negative = text.encode([PROMPT, NEGATIVE])[:, None].unbind(0)
    made = generate(network, canvas, told, negative, Sampling(steps=STEPS, guidance=GUIDANCE, shift=SHIFT, seed=3))
    said = {"prompt_embeds": told, "negative_prompt_embeds": negative}
    wanted = _theirs(wan.image_pipeline(peer), seeded_noise(canvas.given, 3), image=(picture[:, :, 0] + 1) / 2, **said)
    assert _distance(made, wanted) < 1e-4


def test_pixels_are_theirs_and_streamed_as_whole(peer: Any, folder: Path) -> None:
    pixels = load_pixels(folder)
    latents = torch.randn(1, pixels.channels, FRAMES, SIDE, SIDE, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        wanted = peer.vae.decode(latents * pixels.std + pixels.mean, return_dict=False)[0]
    made = pixels.decode(latents, "SGG")
    assert _distance(made, wanted) < 1e-5
    codes = pixels.encode(made, "SGG")
    with torch.no_grad():
        read = peer.vae.encode(made).latent_dist.mode()
    assert _distance(codes, (read - pixels.mean) / pixels.std) < 1e-5
    assert torch.equal(pixels.encode(made[:, :, [0, 0]], "SS")[:, :, 0], codes[:, :, 0])  # each S starts afresh


def test_tiles_cover_the_picture_and_fade_into_each_other(folder: Path) -> None:
    for side in (5, 64, 65, 130):
        spans = windows(side, 64)
        whole = torch.zeros(side)
        for span in spans:
            whole[span[0] : span[1]] += share(span, spans)
        assert torch.allclose(whole, torch.ones(side))
    pixels: WanPixels = load_pixels(folder)
    latents = torch.randn(1, pixels.channels, 2, 24, 20, generator=torch.Generator().manual_seed(7))
    tiled = torch.cat(list(pixels.decode_stream(latents, "SG", tile=16)), 2)
    whole = pixels.decode(latents, "SG")
    assert tiled.shape == whole.shape
    assert torch.isfinite(tiled).all()


def test_a_text_is_read_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "kept"
    first = WanText(folder, kept).encode([PROMPT, NEGATIVE, PROMPT])
    assert torch.equal(first[0], first[2])
    monkeypatch.setattr(wan_text, "extra", lambda name: pytest.fail("the encoder was loaded again"))
    assert torch.equal(WanText(folder, kept).encode([NEGATIVE, "a red ball & a blue cube"]), first[[1, 0]])
    for damaged in kept.rglob("*.safetensors"):
        damaged.write_bytes(b"?")
    with pytest.raises(pytest.fail.Exception):
        WanText(folder, kept).encode([PROMPT])


@pytest.mark.parametrize("tile", [64, 12])
def test_a_longer_clip_takes_no_more_memory_to_decode(folder: Path, tile: int) -> None:
    pixels = load_pixels(folder)

    def most(frames: int) -> int:
        latents = (torch.randn(1, pixels.channels, 20, 16) for _ in range(frames))  # each made when its turn comes
        return peak(lambda: [None for _ in pixels.decode_stream(latents, "S" + "G" * (frames - 1), tile=tile)])

    most(2)  # whatever is made once
    assert most(12) <= 1.02 * most(4)
