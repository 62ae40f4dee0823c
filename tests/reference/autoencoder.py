"""The slow twin of the autoencoder: one latent frame after the other, channels first, an explicit memory; it knows nothing of speed."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from misora.model.autoencoder import Autoencoder, Block, Decoder, Encoder

Memory = dict[str, Tensor]


def encode(network: Autoencoder, frames: Tensor, kinds: str) -> Tensor:
    """frames [b 3 t h w] to latents [b c T h/8 w/8]."""
    memory: Memory = {}
    latents, t = [], 0
    for kind in kinds:
        span = 4 if kind == "G" else 1
        raw = encode_frame(network.encoder, frames[:, :, t : t + span], kind, memory)  # b c h/8 w/8
        row = int(kind == "G")
        latents.append((raw - network.latent_mean[row, :, None, None]) / network.latent_std[row, :, None, None])
        t += span
    return torch.stack(latents, 2)


def decode(network: Autoencoder, latents: Tensor, kinds: str) -> Tensor:
    """latents [b c T h/8 w/8] to frames [b 3 t h w]."""
    memory: Memory = {}
    frames = []
    for i, kind in enumerate(kinds):
        row = int(kind == "G")
        raw = latents[:, :, i] * network.latent_std[row, :, None, None] + network.latent_mean[row, :, None, None]
        frames += decode_frame(network.decoder, raw, kind, memory)
    return torch.stack(frames, 2)


def encode_frame(encoder: Encoder, frames: Tensor, kind: str, memory: Memory) -> Tensor:
    parts = [squares(frame, 4) for frame in frames.unbind(2)]  # b 48 h/4 w/4 each
    x = everywhere(encoder.grouped if kind == "G" else encoder.single, torch.cat(parts, 1))
    x = blocks("near", encoder.near, x, kind, memory)
    x = blocks("deep", encoder.deep, everywhere(encoder.down, squares(x, 2)), kind, memory)
    return everywhere(encoder.out, activate(x))


def decode_frame(decoder: Decoder, raw: Tensor, kind: str, memory: Memory) -> list[Tensor]:
    x = blocks("deep", decoder.deep, convolve(decoder.input, raw), kind, memory)
    x = blocks("near", decoder.near, pixels(everywhere(decoder.up, x), 2), kind, memory)
    frames = everywhere(decoder.grouped, x).chunk(4, 1) if kind == "G" else [everywhere(decoder.single, x)]
    return [finish(decoder, frame) for frame in frames]


def finish(decoder: Decoder, frame: Tensor) -> Tensor:
    frame = blocks("frame", decoder.frame, frame, "S", {})
    return pixels(convolve(decoder.out, activate(frame)), 4)  # b 3 h w


def blocks(name: str, stack: torch.nn.ModuleList, x: Tensor, kind: str, memory: Memory) -> Tensor:
    for i, block in enumerate(stack):
        assert isinstance(block, Block)
        y = activate(x)
        if block.memory:
            start = block.start[None, :, None, None].expand(len(x), -1, *x.shape[2:])
            before = start if kind == "S" else memory[f"{name}{i}"]
            memory[f"{name}{i}"] = y[:, : block.memory]
            y = torch.cat((y, before), 1)
        x = x + convolve(block.conv_out, F.silu(convolve(block.conv_in, y)))
    return x


def activate(x: Tensor) -> Tensor:
    size = x.square().sum(1, keepdim=True).sqrt()
    return F.silu(x * x.shape[1] ** 0.5 / (size + 1e-3))


def convolve(conv: torch.nn.Conv2d, x: Tensor) -> Tensor:
    return F.conv2d(x, conv.weight, conv.bias, padding=1)


def everywhere(linear: torch.nn.Linear, x: Tensor) -> Tensor:
    return torch.einsum("oc,bchw->bohw", linear.weight, x) + linear.bias[:, None, None]


def squares(x: Tensor, side: int) -> Tensor:
    """side x side neighbours become channels, in the order row, column, channel."""
    return torch.cat([x[:, :, y::side, z::side] for y in range(side) for z in range(side)], 1)


def pixels(x: Tensor, side: int) -> Tensor:
    """The way back from ``squares``."""
    b, c, h, w = x.shape
    out = x.new_empty(b, c // side**2, h * side, w * side)
    for n, part in enumerate(x.chunk(side**2, 1)):
        out[:, :, n // side :: side, n % side :: side] = part
    return out
