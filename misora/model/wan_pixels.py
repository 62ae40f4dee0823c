"""Wan's autoencoder behind the manners of ours: latents and pixels, streamed and in tiles; it knows nothing of prompts or sampling.

The network is diffusers' ``AutoencoderKLWan`` (extra ``wan``). What is ours is the way through it: one latent frame at a time, each tile
with a memory of its own, so that neither the length nor the size of a video decides whether decoding fits.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from misora.client.errors import CheckpointError
from misora.model import wan_pixels_keys as keys
from misora.model.hub import extra
from misora.model.shards import Shards
from misora.model.wan import quiet, read_json
from misora.model.wan_parts import part_of
from misora.model.wan_quick import quicken

TILE, OVERLAP = 64, 8  # latent cells: pictures up to 512 pixels wide are one tile
Past = list[Any]  # what each convolution remembers of a tile
Span = tuple[int, int]  # cells from one up to and without another


class WanPixels:
    """Pixels [b, 3, t, h, w] in -1..1 to normalised latents [b, c, t, h / space, w / space] and back."""

    def __init__(self, network: Any) -> None:
        self.network = quicken(network.eval().requires_grad_(False))
        self.channels: int = network.config.z_dim
        self.space: int = network.config.scale_factor_spatial
        self.mean, self.std = (
            torch.tensor(told).view(1, -1, 1, 1, 1) for told in (network.config.latents_mean, network.config.latents_std)
        )

    @property
    def here(self) -> Tensor:
        """One of its weights: what it computes must have that one's type and device."""
        return self.network.post_quant_conv.bias  # type: ignore[no-any-return]

    @torch.inference_mode()
    def encode(self, pixels: Tensor, kinds: str) -> Tensor:
        """Pixels as latents, one for each kind: one S starts the clip afresh, each G holds four frames."""
        starts = [i for i, kind in enumerate(kinds) if kind == "S"] + [len(kinds)]
        assert starts[0] == 0, "a clip begins with an S"
        sizes = [1 + 4 * (end - start - 1) for start, end in itertools.pairwise(starts)]
        pieces = torch.split(pixels, sizes, 2)
        codes = [self.network.encode(piece.to(self.here), return_dict=False)[0].mode() for piece in pieces]  # b c t h w
        return (torch.cat(codes, 2).float().cpu() - self.mean) / self.std

    def decode(self, latents: Tensor, kinds: str) -> Tensor:
        """All pixels at once."""
        return torch.cat(list(self.decode_stream(latents, kinds)), 2)  # b 3 t h w

    @torch.inference_mode()
    def decode_stream(self, latents: Tensor | Iterable[Tensor], kinds: str, *, tile: int = TILE, apart: bool = False) -> Iterator[Tensor]:
        """Yields the pixels [b 3 1|4 h w] of one latent frame [b c h w] after the other, at a memory that does not grow with their number.

        Where even what all tiles must remember from one frame to the next is too much, ``apart`` makes all frames of a tile before the
        next tile, and keeps their pixels in half precision meanwhile.
        """
        frames = latents.unbind(2) if isinstance(latents, Tensor) else latents  # b c h w each
        if apart:
            yield from self._apart(list(frames), kinds, tile)
            return
        past: dict[tuple[int, int], Past] = {}
        for frame, kind in zip(frames, kinds, strict=True):
            if kind == "S":
                past = {}
            yield self._tiles(self._cells(frame), past, tile, fresh=kind == "S").clamp(-1, 1)

    def _cells(self, frame: Tensor) -> Tensor:
        """Latents [b, c, h, w] as the network reads them, where it is: [b, c, 1, h, w]."""
        return (frame[:, :, None].float().cpu() * self.std + self.mean).to(self.here)

    def _tiles(self, cells: Tensor, past: dict[tuple[int, int], Past], tile: int, *, fresh: bool) -> Tensor:
        """One latent frame tile by tile; where tiles overlap they fade into each other."""
        rows, columns = (windows(side, tile) for side in cells.shape[3:])
        if len(rows) == len(columns) == 1:
            return self.piece(cells, past.setdefault((0, 0), self.fresh()), fresh=fresh)
        made = self._blank(cells, fresh=fresh)
        for top, left in itertools.product(rows, columns):
            known = past.setdefault((top[0], left[0]), self.fresh())
            part = self.piece(cells[..., top[0] : top[1], left[0] : left[1]], known, fresh=fresh)
            self._lay(made, part, (top, rows), (left, columns))
        return made

    def _apart(self, frames: list[Tensor], kinds: str, tile: int) -> Iterator[Tensor]:
        rows, columns = (windows(side, tile) for side in frames[0].shape[2:])
        store = [self._blank(frame[:, :, None], fresh=kind == "S").half().cpu() for frame, kind in zip(frames, kinds, strict=True)]
        for top, left in itertools.product(rows, columns):
            past = self.fresh()
            for frame, kind, made in zip(frames, kinds, store, strict=True):
                past = self.fresh() if kind == "S" else past
                part = self.piece(self._cells(frame[..., top[0] : top[1], left[0] : left[1]]), past, fresh=kind == "S")
                self._lay(made, part.half().cpu(), (top, rows), (left, columns))
        for i, made in enumerate(store):
            store[i] = made[:0]
            yield made.float().clamp(-1, 1)

    def _blank(self, cells: Tensor, *, fresh: bool) -> Tensor:
        height, width = (side * self.space for side in cells.shape[3:])
        return cells.new_zeros(len(cells), 3, 1 if fresh else 4, height, width)  # b 3 1|4 h w

    def _lay(self, made: Tensor, part: Tensor, *sides: tuple[Span, list[Span]]) -> None:
        """Add a tile's pixels to the frame where it belongs, each weighed by its share."""
        down, across = (share(span, spans) for span, spans in sides)
        fade = (down[:, None] * across).repeat_interleave(self.space, 0).repeat_interleave(self.space, 1)  # h w
        y, x = (span[0] * self.space for span, _ in sides)
        made[..., y : y + part.shape[3], x : x + part.shape[4]] += part * fade.to(part)

    def fresh(self) -> Past:
        """What a tile remembers before its first frame."""
        self.network.clear_cache()
        past: Past = self.network._feat_map
        self.network._feat_map = []
        return past

    def piece(self, cells: Tensor, past: Past, *, fresh: bool) -> Tensor:
        """One latent frame of one tile [b, c, 1, h, w] as pixels; ``past`` is renewed."""
        network = self.network
        pixels = network.decoder(network.post_quant_conv(cells), feat_cache=past, feat_idx=[0], first_chunk=fresh)
        return unfolded(pixels, network.config.patch_size or 1)


def load_pixels(folder: Path, dtype: torch.dtype = torch.float32, device: torch.device | None = None) -> WanPixels:
    """The autoencoder of a model's folder, in either layout. Raises CheckpointError, MissingExtraError."""
    part = part_of(folder, "autoencoder")
    shards, told = Shards(part.folder, part.files), part.folder / "config.json"
    original = keys.is_original(shards.shapes)
    config = keys.config_of(shards.shapes, str(part.folder)) if original else read_json(told)
    repeats = int(str(config.get("num_res_blocks", 2)))
    state = {keys.renamed(name, repeats) if original else name: shards[name].to(dtype, copy=True) for name in shards}
    shards.close()
    with quiet(part.folder), torch.device("meta"):
        network = extra("diffusers").AutoencoderKLWan.from_config(config)
    _check(network, state, part.folder)
    network.load_state_dict(state, assign=True)
    return WanPixels(network.to(device or torch.device("cpu")))


def _check(network: Any, state: Mapping[str, Tensor], where: Path) -> None:
    """Raise CheckpointError unless the network's tensors are all in ``state``, and nothing else."""
    wanted = network.state_dict()
    if missing := sorted(wanted.keys() - state.keys()):
        raise CheckpointError(f"{where} lacks {missing[0]!r} and {len(missing) - 1} more of the autoencoder's tensors; fetch it again.")
    if unknown := sorted(state.keys() - wanted.keys()):
        raise CheckpointError(
            f"{where} holds {unknown[0]!r} and {len(unknown) - 1} more tensors that Wan's autoencoder lacks; fetch it again."
        )
    for name, tensor in state.items():
        if tensor.shape != wanted[name].shape:
            shapes = f"{tuple(tensor.shape)} instead of {tuple(wanted[name].shape)}"
            raise CheckpointError(f"{name!r} in {where} is {shapes}: it belongs to another size; fetch it again.")


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
