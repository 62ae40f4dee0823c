"""The autoencoder: pixels to latents, 8x8 in space and 4x in time, and back; it knows nothing of noise, prompts or files.

A latent frame has a kind: "S" stands for one pixel frame and starts afresh, "G" for four and leans on the latent frame before it.
All layers are 2-D and run at the rate of latent frames; time is seen only by the ``memory`` of a block, one latent frame back, so
nothing leaks from the future and an "S" cuts the past off. There is neither attention nor a norm across positions: hence streamed,
tiled and whole decoding agree.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GROUP = 4  # pixel frames in a latent frame of kind "G"
SPACE = 8  # pixels along the side of a latent cell
HALO = 9  # latent cells around a tile that its pixels depend on: 5 convolutions at 1/8 and, with two frame blocks, 7 at 1/4


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """Widths of the layers: ``near`` at a quarter of the picture's size, ``deep`` at an eighth, ``frame`` per pixel frame.

    ``frame_blocks``: how many blocks the decoder spends on each pixel frame by itself.
    """

    channels: int = 16
    near: int = 128
    deep: int = 192
    frame: int = 64
    frame_blocks: int = 1


def pixel_frames(kinds: str) -> int:
    """How many pixel frames a row of latent frames stands for: one for each "S", four for each "G"."""
    return sum(GROUP if kind == "G" else 1 for kind in kinds)


def places(kinds: str, kind: str) -> list[int]:
    """The latent frames of one kind."""
    return [i for i, k in enumerate(kinds) if k == kind]


def frame_places(kinds: str, kind: str) -> list[int]:
    """The pixel frames that belong to the latent frames of one kind."""
    owners = "".join(k * (GROUP if k == "G" else 1) for k in kinds)
    return places(owners, kind)


def in_order(single: Tensor, grouped: Tensor, at_single: list[int], at_grouped: list[int]) -> Tensor:
    """Merges two rows of frames [b n ...] so that each stands at its place."""
    order = torch.tensor(at_single + at_grouped, device=single.device).argsort()
    return torch.cat((single, grouped), 1)[:, order]


def fold(x: Tensor, side: int) -> Tensor:
    """Squares of ``side`` positions become channels: [b t h w c] to [b t h/side w/side side*side*c]."""
    b, t, h, w, c = x.shape
    x = x.view(b, t, h // side, side, w // side, side, c).transpose(3, 4)
    return x.reshape(b, t, h // side, w // side, side * side * c)


def unfold(x: Tensor, side: int) -> Tensor:
    """The way back from ``fold``."""
    b, t, h, w, c = x.shape
    x = x.view(b, t, h, w, side, side, c // side**2).transpose(3, 4)
    return x.reshape(b, t, h * side, w * side, c // side**2)


class Conv(nn.Conv2d):
    """A 3x3 convolution over frames with channels last: [b t h w c] to [b t h w out]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)
        self.weight.data = self.weight.data.contiguous(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = super().forward(x.flatten(0, 1).permute(0, 3, 1, 2))  # b*t out h w, channels last in memory
        return y.permute(0, 2, 3, 1).reshape(*x.shape[:4], -1)  # b t h w out


def activate(x: Tensor) -> Tensor:
    """SiLU of x over its root mean square along the channels of each position; neighbours play no part."""
    size = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)  # b t h w 1
    scale = math.sqrt(x.shape[-1]) / (size + 1e-3)
    return F.silu(x * scale.to(x.dtype))


class Block(nn.Module):
    """Two convolutions beside a shortcut; the first also sees ``memory`` channels of the latent frame before."""

    def __init__(self, width: int, *, memory: int = 0) -> None:
        super().__init__()
        self.memory = memory
        self.conv_in = Conv(width + memory, width)
        self.conv_out = Conv(width, width)
        self.start = nn.Parameter(torch.zeros(memory))  # what an "S" remembers
        nn.init.zeros_(self.conv_out.weight)

    def forward(self, x: Tensor, fresh: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x [b t h w c], fresh [t] true at "S", past [b 1 h w memory]: the new x, and the past of what follows."""
        y = activate(x)
        memory = y[..., : self.memory]
        if self.memory:
            start = self.start.to(y.dtype)
            before = torch.cat((start.expand_as(memory[:, :1]) if past is None else past, memory[:, :-1]), 1)
            before = torch.where(fresh[:, None, None, None], start, before)  # b t h w memory
            y = torch.cat((y, before), -1)
        y = self.conv_out(F.silu(self.conv_in(y)))
        return x + y, memory[:, -1:]


class Stack(nn.ModuleList):
    """Blocks in a row with their memories in a list, so that a long video can pass in pieces."""

    def forward(self, x: Tensor, fresh: Tensor, past: list[Tensor | None] | None = None) -> tuple[Tensor, list[Tensor | None]]:
        new: list[Tensor | None] = []
        for block, before in zip(self, past or [None] * len(self), strict=True):
            x, after = block(x, fresh, before)
            new.append(after)
        return x, new


Past = list[list[Tensor | None] | None]  # the memories of each stack


class Encoder(nn.Module):
    """Pixels [b t h w 3] to raw latents [b T h/8 w/8 c]."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.single = nn.Linear(48, config.near)
        self.grouped = nn.Linear(48 * GROUP, config.near)
        self.near = Stack([Block(config.near, memory=config.near // 2)])
        self.down = nn.Linear(4 * config.near, config.deep)
        self.deep = Stack([Block(config.deep, memory=config.deep // 2), Block(config.deep)])
        self.out = nn.Linear(config.deep, config.channels)

    def forward(self, pixels: Tensor, kinds: str, past: Past) -> tuple[Tensor, Past]:
        fresh = torch.tensor([k == "S" for k in kinds], device=pixels.device)
        quarter = fold(pixels, 4)  # b t h/4 w/4 48
        single = quarter[:, frame_places(kinds, "S")]
        groups = torch.tensor(frame_places(kinds, "G"), dtype=torch.long, device=pixels.device).view(-1, GROUP)
        grouped = quarter[:, groups].movedim(2, 4).flatten(4)  # b g h/4 w/4 192
        x = in_order(self.single(single), self.grouped(grouped), places(kinds, "S"), places(kinds, "G"))  # b T h/4 w/4 near
        x, near = self.near(x, fresh, past[0])
        x, deep = self.deep(self.down(fold(x, 2)), fresh, past[1])  # b T h/8 w/8 deep
        return self.out(activate(x)), [near, deep]


class Decoder(nn.Module):
    """Raw latents [b T h/8 w/8 c] to pixels [b t h w 3]."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.input = Conv(config.channels, config.deep)
        self.deep = Stack([Block(config.deep, memory=config.deep // 2), Block(config.deep)])
        self.up = nn.Linear(config.deep, 4 * config.near)
        self.near = Stack([Block(config.near, memory=config.near // 2)])
        self.single = nn.Linear(config.near, config.frame)
        self.grouped = nn.Linear(config.near, GROUP * config.frame)
        self.frame = Stack([Block(config.frame) for _ in range(config.frame_blocks)])
        self.out = Conv(config.frame, 48)

    def forward(self, latents: Tensor, kinds: str, past: Past) -> tuple[Tensor, Past]:
        fresh = torch.tensor([k == "S" for k in kinds], device=latents.device)
        x, deep = self.deep(self.input(latents), fresh, past[0])  # b T h/8 w/8 deep
        x, near = self.near(unfold(self.up(x), 2), fresh, past[1])  # b T h/4 w/4 near
        single = self.single(x[:, places(kinds, "S")])
        grouped = torch.stack(self.grouped(x[:, places(kinds, "G")]).chunk(GROUP, -1), 2).flatten(1, 2)  # b 4g h/4 w/4 frame
        x = in_order(single, grouped, frame_places(kinds, "S"), frame_places(kinds, "G"))  # b t h/4 w/4 frame
        x, _ = self.frame(x, fresh)
        return unfold(self.out(activate(x)), 4), [deep, near]


class Autoencoder(nn.Module):
    """Encoder, decoder, and the statistics that bring latents of either kind to mean 0 and variance 1 per channel."""

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        self.register_buffer("latent_mean", torch.zeros(2, config.channels))  # 0: kind S, 1: kind G
        self.register_buffer("latent_std", torch.ones(2, config.channels))

    def statistics(self, kinds: str) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation for each latent frame, both [T 1 1 c]."""
        rows = torch.tensor([int(k == "G") for k in kinds], device=self.latent_mean.device)
        return self.latent_mean[rows][:, None, None], self.latent_std[rows][:, None, None]

    def encode(self, frames: Tensor, kinds: str) -> Tensor:
        """frames [b 3 t h w] in -1..1 to latents [b c T h/8 w/8]; t = pixel_frames(kinds), sides multiples of 8."""
        mean, std = self.statistics(kinds)
        raw: Tensor = self.encoder(frames.permute(0, 2, 3, 4, 1), kinds, [None, None])[0]  # b T h/8 w/8 c
        return ((raw.float() - mean) / std).permute(0, 4, 1, 2, 3)  # b c T h/8 w/8

    def decode(self, latents: Tensor, kinds: str) -> Tensor:
        """latents [b c T h/8 w/8] to frames [b 3 t h w], about -1..1: the caller clamps."""
        return self.decode_piece(latents, kinds, [None, None])[0]

    def code(self) -> str:
        """The name of the latents that the encoder makes, a hash of its last layer and of their statistics; decoders improve under it."""
        told = hashlib.sha256()
        for tensor in (*self.encoder.out.parameters(), self.latent_mean, self.latent_std):
            told.update(bytes(tensor.detach().float().cpu().contiguous().view(torch.uint8).flatten().tolist()))
        return told.hexdigest()

    def decode_piece(self, latents: Tensor, kinds: str, past: Past) -> tuple[Tensor, Past]:
        """Decodes some latent frames given the memories of those before; returns pixels [b 3 t h w] and the new memories."""
        mean, std = self.statistics(kinds)
        raw = latents.permute(0, 2, 3, 4, 1) * std + mean  # b T h/8 w/8 c
        pixels, past = self.decoder(raw, kinds, past)
        return pixels.permute(0, 4, 1, 2, 3), past

    def decode_stream(self, latents: Tensor | Iterable[Tensor], kinds: str) -> Iterator[Tensor]:
        """Yields the pixels [b 3 1|4 h w] of one latent frame after the other, at constant memory."""
        frames = latents.unbind(2) if isinstance(latents, Tensor) else latents  # b c h/8 w/8 each
        past: Past = [None, None]
        for frame, kind in zip(frames, kinds, strict=True):
            pixels, past = self.decode_piece(frame[:, :, None], kind, past)
            yield pixels

    def decode_tiled(self, latents: Tensor, kinds: str, *, tile: int = 32) -> Tensor:
        """As ``decode``, in squares of ``tile`` latent cells, so that large pictures need little memory."""
        h, w = latents.shape[-2:]
        rows = [torch.cat([self._tile(latents, kinds, top, left, tile) for left in range(0, w, tile)], -1) for top in range(0, h, tile)]
        return torch.cat(rows, -2)  # b 3 t h w

    def _tile(self, latents: Tensor, kinds: str, top: int, left: int, tile: int) -> Tensor:
        above, before = min(HALO, top), min(HALO, left)
        window = latents[..., top - above : top + tile + HALO, left - before : left + tile + HALO]
        pixels = self.decode(window, kinds)
        y, x = above * SPACE, before * SPACE
        h, w = (min(tile, size - start) * SPACE for size, start in zip(latents.shape[-2:], (top, left), strict=True))
        return pixels[..., y : y + h, x : x + w]  # b 3 t h w
