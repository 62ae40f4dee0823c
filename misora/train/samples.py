"""A look at a transformer in training: the same prompts and seed each time, as a sheet of frames; it knows nothing of scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from misora.canvas import fills
from misora.flow.generate import Sampling, generate
from misora.model.autoencoder import Autoencoder
from misora.model.text import TextEncoder
from misora.model.transformer import Transformer

PROMPTS = (
    "a red ball bounces on a wooden floor",
    "a blue cube slides to the left on grass",
    "a green cone stands to the left of a yellow cylinder",
    "a purple ball rolls to the right behind an orange cube",
    "緑の円柱が落ちる",
    "a white ball and a black cube stand still on a tiled floor",
)


@torch.no_grad()
def draw_samples(
    transformer: Transformer,
    autoencoder: Autoencoder,
    text: TextEncoder,
    prompts: Sequence[str],
    *,
    kinds: str,
    size: tuple[int, int],
    seed: int = 0,
    steps: int = 10,
    guidance: float = 3.0,
) -> Tensor:
    """Clips of the prompts, ``[b, t, h, w, 3]`` uint8 on the CPU; ``size`` is (h, w) in pixels. Clip i is drawn from ``seed + i``.

    All three networks are on one device, which does the work.
    """
    h, w, device = size[0] // 8, size[1] // 8, transformer.patch.weight.device
    canvas = fills.text(kinds=kinds, channels=transformer.config.channels, height=h, width=w, batch=len(prompts))
    on_device = {name: getattr(canvas, name).to(device) for name in ("given", "level", "times", "roles")}
    canvas = dataclasses.replace(canvas, **on_device)
    with torch.autocast(device.type, torch.bfloat16):
        told, untold = text.encode(list(prompts)), text.encode([""])  # b l d, 1 l d
        latents = generate(transformer, canvas, told, untold, Sampling(steps=steps, guidance=guidance, seed=seed))  # b c t h w
        frames = torch.cat([autoencoder.decode(clip[None].float(), kinds) for clip in latents])  # b 3 t h w
    return frames.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 4, 1).cpu()  # b t h w 3


def sheet(clips: Tensor, columns: int = 8) -> Tensor:
    """One row a clip, evenly spaced frames: ``[b * h, columns * w, 3]``; fewer columns where the clips are shorter."""
    picks = torch.linspace(0, clips.shape[1] - 1, min(columns, clips.shape[1])).round().long()
    few = clips[:, picks]  # b n h w 3
    return few.permute(0, 2, 1, 3, 4).flatten(0, 1).flatten(1, 2)  # b*h n*w 3
