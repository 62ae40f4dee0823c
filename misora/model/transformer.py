"""The diffusion transformer: noisy latents, noise levels and text in, a prediction out; it knows nothing of sampling or training."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from misora.model import layers, quick
from misora.model.amx import kernels_for
from misora.model.blocks import Blocks
from misora.model.heard import Heard
from misora.model.reuse import Reuse

NOISE_FEATURES = 256
CLOSE = 0.2  # of a row: how far apart rows lie that an upright picture has beyond a square one


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """Sizes and options; the named ones stand in ``sizes.py``."""

    width: int
    depth: int
    heads: int
    hidden: int  # channels inside the feed-forward network
    text_width: int = 256
    channels: int = 16  # of a latent
    given_channels: int = 0  # beside those: what some Wan weights read as given (a mask and an image) and never predict
    prediction: str = "x"  # what the output means: "x" (clean latents) or "velocity" (noise minus clean)
    activation: str = "relu2"  # or "gelu"
    bias: bool = False
    position_grid: int = 16  # side of the learned position grid; 0: none, as in Wan
    skip: bool = False  # the input itself is added to the output, each channel by a gate of the noise level


class Transformer(nn.Module):
    """Wan's transformer (arXiv:2503.20314) with one noise level per token and patches of 1x2x2 latents.

    Beside Wan: a learned two-dimensional position embedding, an embedding of each latent frame's kind, a role vector for reference
    frames that starts at zero, and a gated skip from input to output, since a network that predicts clean latents must else copy
    what is nearly clean through all of its blocks (arXiv:2206.00364, section 5).
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        width, bias = config.width, config.bias
        self.patch = nn.Linear(4 * (config.channels + config.given_channels), width, bias=bias)
        self.text = nn.Sequential(nn.Linear(config.text_width, width, bias=bias), _gelu(), nn.Linear(width, width, bias=bias))
        self.noise = nn.Sequential(nn.Linear(NOISE_FEATURES, width), nn.SiLU(), nn.Linear(width, width))
        self.noise_table = nn.Linear(width, 6 * width)
        self.kind = nn.Parameter(torch.zeros(2, width))
        self.role = nn.Parameter(torch.zeros(width))
        self.position = nn.Parameter(sine_grid(config.position_grid, width)) if config.position_grid else None
        self.blocks = nn.ModuleList(layers.Block(width, config.heads, config.hidden, config.activation, bias) for _ in range(config.depth))
        self.head_norm = nn.LayerNorm(width, eps=layers.EPS, elementwise_affine=False)
        self.head_modulation = nn.Parameter(torch.zeros(2, width))
        self.head = nn.Linear(width, 4 * config.channels, bias=bias)
        self.skip = nn.Linear(width, 4 * config.channels) if config.skip else None
        self.launch: Callable[..., Tensor] | None = None  # goes through all blocks at once instead, see ``card.through``
        for last in (self.noise_table, self.head, self.skip):
            if last is not None:
                nn.init.zeros_(last.weight)
        for late in (self.noise_table, self.skip):
            if late is not None:
                nn.init.zeros_(late.bias)

    def forward(
        self,
        x: Tensor,
        level: Tensor,
        text: Tensor,
        kinds: Tensor,
        times: Tensor,
        roles: Tensor,
        reuse: Reuse | None = None,
        heard: Heard | None = None,
    ) -> Tensor:
        """Predict clean latents or velocity (``config.prediction``) for ``x`` [b, c, t, h, w] with even h and w.

        ``given_channels`` of ``x`` come last; what is predicted has only the first ``channels``.

        ``level``: noise per frame [b, t] or per token [b, t, h/2, w/2], 0 clean to 1 noise. ``text``: [b, l, text_width] for the whole
        clip, or each frame's own, [b, t, l, text_width].
        ``kinds`` [b, t]: 0 for S, 1 for G. ``times`` [b, t]: positions in latent frames. ``roles`` [b, t]: 1 for references.
        ``reuse``: what the blocks did in an earlier step, to be used again where it still holds, and kept where it does not.
        ``heard``: what they made of the text in an earlier step.
        """
        return self.forward_tapped(x, level, text, kinds, times, roles, reuse, heard)[0]

    def forward_tapped(
        self,
        x: Tensor,
        level: Tensor,
        text: Tensor,
        kinds: Tensor,
        times: Tensor,
        roles: Tensor,
        reuse: Reuse | None = None,
        heard: Heard | None = None,
    ) -> tuple[Tensor, Tensor]:
        """As ``forward``, and the tokens [b, t, h/2 * w/2, d] at half depth beside it, for heads that training adds."""
        tokens, (height, width) = self._tokens(x, kinds, roles)
        rows = row_places(height, width) if self.position is not None else torch.arange(height).float()  # h
        rotation = layers.rotation(times, rows.to(times.device), width, self.config.width // self.config.heads)
        kernels = kernels_for(tokens, self.config.heads)
        if kernels is None:  # else angles stay float32
            rotation = (rotation[0].to(tokens.dtype), rotation[1].to(tokens.dtype))  # b n 1 head/2
        noise, index = self._noise(level)
        modulation = (self.noise_table(F.silu(noise).to(self.noise_table.weight.dtype)).unflatten(-1, (6, -1)), index)  # u 6 d
        words = self._words(text, tokens.dtype, heard)
        tapped = before = first = tokens
        at_once = self.launch if reuse is None and isinstance(words[0], tuple) else None
        if at_once is not None:
            tokens = at_once(tokens, modulation, words, rotation)
        left: Iterable[nn.Module] = self.blocks if at_once is None else ()
        for depth, block in enumerate(left):
            tapped = tokens if depth == self.config.depth // 2 else tapped
            tokens = block(tokens, modulation, words[depth], rotation)  # b t p d
            first = tokens if depth == 0 else first
            if depth == 0 and reuse is not None and (rest := reuse.recalled(before, first)) is not None:
                tokens = first + rest
                break
        else:
            if reuse is not None:
                reuse.keep(before, first, tokens)
        modulation = (noise[:, None].expand(-1, 2, -1), index)
        if kernels is None:
            tokens = layers.modulate(self.head_norm, tokens, modulation, self.head_modulation, 0, 1)
        else:
            tokens = kernels.norm(tokens.float(), quick.rows_of(tokens, modulation, self.head_modulation), 1, 0)
        made = self.head(tokens)  # b t p 4c
        if self.skip is not None:
            gates = self.skip(F.silu(noise).to(made.dtype))  # u 4c
            gates = gates.view(*x.shape[:1], x.shape[2], 1, -1) if index is None else gates[index]  # b t 1 4c or b t p 4c
            made = torch.addcmul(made, gates, patch(x.to(made.dtype))[0])
        return unpatch(made, height, width), tapped

    def _words(self, text: Tensor, dtype: torch.dtype, heard: Heard | None) -> list[Any]:
        """For each block the text [b, l, d] or [b, t, l, d], or what it once made of it where the blocks stay in memory."""
        if heard is None or (isinstance(self.blocks, Blocks) and not len(self.blocks.held)):
            return [self.text(text.to(dtype))] * len(self.blocks)

        def hear() -> list[Any]:
            words = self.text(text.to(dtype))
            return [block.hear(words) for block in self.blocks]  # type: ignore[operator]

        return heard.of(text, hear)

    def _tokens(self, x: Tensor, kinds: Tensor, roles: Tensor) -> tuple[Tensor, tuple[int, int]]:
        patches, height, width = patch(x.to(self.patch.weight.dtype))
        tokens: Tensor = self.patch(patches)  # b t p d
        marks = self.kind[kinds] + roles[..., None].to(self.role.dtype) * self.role  # b t d
        tokens = tokens + marks[:, :, None].to(tokens.dtype)  # b t p d
        if self.position is not None:
            places = resample_grid(self.position, height, width).flatten(0, 1)  # p d
            tokens = tokens + places.to(tokens.dtype)  # b t p d
        return tokens, (height, width)

    def _noise(self, level: Tensor) -> tuple[Tensor, Tensor | None]:
        """Embed each frame's level, or each distinct level of a map once and say which token has which.

        A map that is one level and 0 in each frame, as masks make it, has the same number of levels whatever the mask: compiled blocks
        need not be compiled again.
        """
        index = None
        frames = level if level.ndim == 2 else level.amax((2, 3))  # b t
        if level.ndim == 2:
            distinct = level.flatten()  # u
        elif bool(((level == 0) | (level == frames[:, :, None, None])).all()):
            distinct = F.pad(frames.flatten(), (0, 1))  # u
            numbers = torch.arange(frames.numel(), device=level.device).view(*frames.shape, 1)  # b t 1
            index = torch.where(level.flatten(2) > 0, numbers, frames.numel())  # b t p
        else:
            distinct, index = torch.unique(level.flatten(2), return_inverse=True)  # u and b t p
        features = layers.noise_features(distinct, NOISE_FEATURES)  # u 256
        return self.noise(features.to(next(self.noise.parameters()).dtype)), index  # u d


def patch(x: Tensor) -> tuple[Tensor, int, int]:
    """Latents [b, c, t, h, w] as tokens [b, t, h/2 * w/2, 4c] and the height and width of their grid."""
    height, width = x.shape[3] // 2, x.shape[4] // 2
    tiles = x.reshape(*x.shape[:3], height, 2, width, 2)  # b c t h/2 2 w/2 2
    return tiles.permute(0, 2, 3, 5, 1, 4, 6).flatten(4).flatten(2, 3), height, width  # b t p 4c


def unpatch(tokens: Tensor, height: int, width: int) -> Tensor:
    """The inverse of ``patch``: tokens [b, t, h/2 * w/2, 4c] as latents [b, c, t, h, w]."""
    tiles = tokens.reshape(*tokens.shape[:2], height, width, -1, 2, 2)  # b t h/2 w/2 c 2 2
    return tiles.permute(0, 4, 1, 2, 5, 3, 6).flatten(5).flatten(3, 4)  # b c t h w


def sine_grid(side: int, width: int) -> Tensor:
    """Sines and cosines of rows and columns, amplitude .5: the start of the learned position grid [side, side, width]."""
    quarter = width // 4
    rates = torch.exp(torch.arange(quarter) * (-math.log(10_000) / quarter))  # d/4
    angles = torch.arange(side)[:, None] * rates  # side d/4
    waves = torch.cat((angles.sin(), angles.cos()), dim=1)  # side d/2
    rows = waves[:, None].expand(side, side, 2 * quarter)  # side side d/2
    columns = waves[None].expand(side, side, 2 * quarter)  # side side d/2
    grid = torch.cat((rows, columns), dim=2)  # side side d
    return 0.5 * F.pad(grid, (0, width - 4 * quarter))


def row_places(height: int, width: int) -> Tensor:
    """Where each row of tokens stands, [h], counted in rows.

    An upright picture is a square one of as many tokens with more above it: the rows beyond a square's lie close together. Without this
    a network that was taught none draws a thing twice, the second above the first (measured: LOG.md).
    """
    beyond = height - round(math.sqrt(height * width)) if height > width else 0
    index = torch.arange(height).float()  # h
    return torch.where(index < beyond, CLOSE * index, CLOSE * beyond + index - beyond)


def resample_grid(grid: Tensor, height: int, width: int) -> Tensor:
    """A square grid [s, s, d] read bilinearly at the centres of ``height`` x ``width`` cells: [height, width, d].

    The cells cover it; rows stand where ``row_places`` says.
    """
    places = row_places(height, width)  # h
    rows = _hats(grid.shape[0], (places + 0.5) / (places[-1] + 1)).to(grid)  # h s
    columns = _hats(grid.shape[1], (torch.arange(width) + 0.5) / width).to(grid)  # w s
    return torch.einsum("hi,wj,ijd->hwd", rows, columns, grid)  # h w d


def _hats(nodes: int, shares: Tensor) -> Tensor:
    """Linear interpolation from ``nodes`` equally spaced values to ``shares`` 0..1 of the way, as a matrix."""
    centres = shares * (nodes - 1)  # cells
    return (1 - (centres[:, None] - torch.arange(nodes)).abs()).clamp_min(0)  # cells nodes


def _gelu() -> nn.GELU:
    return nn.GELU(approximate="tanh")
