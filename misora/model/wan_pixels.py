"""Wan's autoencoder behind the manners of ours: latents and pixels, streamed and in tiles; it knows nothing of prompts or sampling.

The network is diffusers' ``AutoencoderKLWan`` (extra ``wan``). What is ours is the way through it: one latent frame at a time, each tile
with a memory of its own, so that neither the length nor the size of a video decides whether decoding fits.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from misora.model.hub import extra
from misora.model.shards import files_of
from misora.model.wan import quiet

TILE, OVERLAP = 64, 8  # latent cells: pictures up to 512 pixels wide are one tile
Past = list[Any]  # what each convolution remembers of a tile


class WanPixels:
    """Pixels [b, 3, t, h, w] in -1..1 to normalised latents [b, c, t, h / space, w / space] and back."""

    def __init__(self, network: Any) -> None:
        self.network = network.eval().requires_grad_(False)
        self.channels: int = network.config.z_dim
        self.space: int = network.config.scale_factor_spatial
        self.mean, self.std = (
            torch.tensor(told).view(1, -1, 1, 1, 1) for told in (network.config.latents_mean, network.config.latents_std)
        )

    @torch.inference_mode()
    def encode(self, pixels: Tensor, kinds: str) -> Tensor:
        """Pixels as latents, one for each kind: one S starts the clip afresh, each G holds four frames."""
        starts = [i for i, kind in enumerate(kinds) if kind == "S"] + [len(kinds)]
        assert starts[0] == 0, "a clip begins with an S"
        sizes = [1 + 4 * (end - start - 1) for start, end in itertools.pairwise(starts)]
        codes = [
            self.network.encode(piece, return_dict=False)[0].mode() for piece in torch.split(pixels.to(self.network.dtype), sizes, 2)
        ]  # b c t h w
        return (torch.cat(codes, 2).float() - self.mean) / self.std

    def decode(self, latents: Tensor, kinds: str) -> Tensor:
        """All pixels at once."""
        return torch.cat(list(self.decode_stream(latents, kinds)), 2)  # b 3 t h w

    @torch.inference_mode()
    def decode_stream(self, latents: Tensor | Iterable[Tensor], kinds: str, *, tile: int = TILE) -> Iterator[Tensor]:
        """Yields the pixels [b 3 1|4 h w] of one latent frame [b c h w] after the other, at constant memory."""
        frames = latents.unbind(2) if isinstance(latents, Tensor) else latents  # b c h w each
        past: dict[tuple[int, int], Past] = {}
        for frame, kind in zip(frames, kinds, strict=True):
            if kind == "S":
                past = {}
            cells = frame[:, :, None].float() * self.std + self.mean  # b c 1 h w
            yield self._tiles(cells.to(self.network.dtype), past, tile, fresh=kind == "S").clamp(-1, 1)

    def _tiles(self, cells: Tensor, past: dict[tuple[int, int], Past], tile: int, *, fresh: bool) -> Tensor:
        """One latent frame tile by tile; where tiles overlap they fade into each other."""
        rows, columns = (windows(side, tile) for side in cells.shape[3:])
        if len(rows) == len(columns) == 1:
            return self._piece(cells, past, (0, 0), fresh=fresh)
        height, width = (side * self.space for side in cells.shape[3:])
        made = cells.new_zeros(len(cells), 3, 1 if fresh else 4, height, width)  # b 3 1|4 h w
        for top, left in itertools.product(rows, columns):
            piece = self._piece(cells[..., top[0] : top[1], left[0] : left[1]], past, (top[0], left[0]), fresh=fresh)
            down, across = (share(span, spans) for span, spans in ((top, rows), (left, columns)))
            fade = (down[:, None] * across).repeat_interleave(self.space, 0).repeat_interleave(self.space, 1)  # h w
            y, x = top[0] * self.space, left[0] * self.space
            made[..., y : y + piece.shape[3], x : x + piece.shape[4]] += piece * fade.to(piece)
        return made

    def _piece(self, cells: Tensor, past: dict[tuple[int, int], Past], place: tuple[int, int], *, fresh: bool) -> Tensor:
        network = self.network
        if place not in past:
            network.clear_cache()
            past[place] = network._feat_map
        pixels = network.decoder(network.post_quant_conv(cells), feat_cache=past[place], feat_idx=[0], first_chunk=fresh)
        network._feat_map = []
        patch = network.config.patch_size or 1
        return unfolded(pixels, patch)


def load_pixels(folder: Path, dtype: torch.dtype = torch.float32) -> WanPixels:
    """The autoencoder in ``vae/`` of a model's folder. Raises CheckpointError, MissingExtraError."""
    files_of(folder / "vae")
    with quiet(folder / "vae"):
        known = {"torch_dtype": dtype, "use_safetensors": True, "low_cpu_mem_usage": False}  # True wants one more library
        network = extra("diffusers").AutoencoderKLWan.from_pretrained(folder / "vae", **known)
    return WanPixels(network)


def windows(side: int, tile: int) -> list[tuple[int, int]]:
    """Spans of at most ``tile`` cells that cover ``side``, each overlapping the one before by ``OVERLAP`` or more."""
    if side <= tile:
        return [(0, side)]
    starts = [*range(0, side - tile, tile - OVERLAP), side - tile]
    return [(start, start + tile) for start in starts]


def share(span: tuple[int, int], spans: list[tuple[int, int]]) -> Tensor:
    """How much of each cell of ``span`` is taken from it: all shares of one cell are together 1."""
    hats = [_hat(one, spans) for one in spans]  # each: side
    whole = torch.stack(hats).sum(0)  # side
    return (hats[spans.index(span)] / whole)[span[0] : span[1]]


def _hat(span: tuple[int, int], spans: list[tuple[int, int]]) -> Tensor:
    """Rising and falling within ``OVERLAP`` cells at the ends of ``span``, but not at the picture's own."""
    side = spans[-1][1]
    cells = torch.arange(side) + 0.5  # side
    rise = (cells - span[0]).clamp(0, OVERLAP) if span[0] else torch.full((side,), float(OVERLAP))  # side
    fall = (span[1] - cells).clamp(0, OVERLAP) if span[1] < side else torch.full((side,), float(OVERLAP))  # side
    inside = (cells > span[0]) & (cells < span[1])  # side
    return torch.minimum(rise, fall) * inside


def unfolded(x: Tensor, patch: int) -> Tensor:
    """Channels [b, c * p * p, t, h, w] as pixels [b, c, t, h * p, w * p]; a patch is stored column by column, as Wan 2.2 has it."""
    if patch == 1:
        return x
    tiles = x.unflatten(1, (-1, patch, patch))  # type: ignore[no-untyped-call]  # b c across down t h w
    return tiles.permute(0, 1, 4, 5, 3, 6, 2).flatten(5, 6).flatten(3, 4)  # type: ignore[no-any-return]  # b c t h w
