"""The parts of a transformer block over spacetime tokens; it knows nothing of latents, prompts or sampling.

The block is Wan's (arXiv:2503.20314): six modulation vectors from the noise level, self-attention with three-axis rotary
positions and RMS-normed queries and keys, cross-attention to text, and a feed-forward network.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from misora.model import amx_train, card, quick
from misora.model.amx import Packed, kernels, kernels_for
from misora.model.linear import activated

EPS = 1e-6
PART = 2048  # tokens that go through a feed-forward network at a time on a CPU, about
Words = tuple[Tensor, Tensor]  # keys and values of a text, each b l heads head
Rotation = tuple[Tensor, Tensor]  # cosines and sines, each b n 1 head/2
Modulation = tuple[Tensor, Tensor | None]  # one row of vectors per distinct noise level (u k d), and each token's row (b t p) or None


def noise_features(level: Tensor, width: int) -> Tensor:
    """Cosines and sines of noise levels 0..1 (any shape), counted in thousandths as in DDPM (arXiv:2006.11239): [..., width]."""
    half = width // 2
    rates = torch.exp(torch.arange(half, device=level.device) * (-math.log(10_000) / half))  # width/2
    angles = level.float()[..., None] * 1000 * rates  # ... width/2
    return torch.cat((angles.cos(), angles.sin()), dim=-1)  # ... width


def rotation(times: Tensor, rows: Tensor, width: int, head: int) -> Rotation:
    """Rotary angles (arXiv:2104.09864) of every token of a grid, for heads of ``head`` channels.

    ``times`` [b, t] are float positions in latent frames, ``rows`` [h] in tokens; columns are counted in tokens. The channel pairs are
    shared out as in Wan: a third each to rows and columns, the rest to time. The two halves of a pair lie ``head/2`` apart.
    """
    spatial = head // 6
    batch, frames = times.shape
    grid = (batch, frames, len(rows), width)
    columns = torch.arange(width, device=times.device).float()  # w
    axes = ((times.float()[:, :, None, None], head // 2 - 2 * spatial), (rows[:, None], spatial), (columns, spatial))
    angles = [positions.expand(grid)[..., None] * _rates(pairs, times.device) for positions, pairs in axes]  # b t h w pairs
    table = torch.cat(angles, dim=-1).reshape(batch, frames * len(rows) * width, 1, head // 2)  # b n 1 head/2
    return table.cos(), table.sin()


def _rates(pairs: int, device: torch.device) -> Tensor:
    return torch.exp(torch.arange(pairs, device=device) * (-math.log(10_000) / pairs))


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Turn each pair of channels of queries or keys [b, n, heads, head] by its token's angle."""
    cosine, sine = rotation
    real, imaginary = x.chunk(2, dim=-1)  # b n heads head/2
    return torch.cat((real * cosine - imaginary * sine, real * sine + imaginary * cosine), dim=-1)  # b n heads head


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Softmax attention of [b, n, heads, head] queries over [b, l, heads, head] keys and values: [b, n, heads * head]."""
    if (best := card.attend(q, k, v)) is not None:
        return best
    if amx_train.takes(q):
        return amx_train.attend(q, k, v).flatten(2)
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)  # b heads n head
    if q.device.type == "cpu" and torch.is_grad_enabled():
        # On CPU the fused kernel's backward is slower than plain matrix products.
        weights = torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(2, 3), dim=-1)  # b heads n l
        mixed = weights @ v  # b heads n head
    else:
        mixed = F.scaled_dot_product_attention(q, k, v)  # b heads n head
    return mixed.transpose(1, 2).flatten(2)  # b n d


def modulate(norm: nn.LayerNorm, x: Tensor, modulation: Modulation, table: Tensor, shift: int, scale: int) -> Tensor:
    """The norm of ``x`` times (1 + scale) + shift, with rows ``shift`` and ``scale`` of the modulation plus a block's own ``table`` [k, d].

    In sampling it is worked out in the table's type, float32 for Wan, and rounded once.
    """
    y = norm(_exact(x, table))  # b t p d
    made = torch.addcmul(_pick(y, modulation, table, shift), y, 1 + _pick(y, modulation, table, scale))  # b t p d
    return made if torch.is_grad_enabled() else made.to(x.dtype)


def add_gated(x: Tensor, y: Tensor, modulation: Modulation, table: Tensor, row: int) -> Tensor:
    """``x`` + ``y`` times row ``row`` of the modulation plus this block's own ``table`` [k, d]."""
    exact = _exact(x, table)  # b t p d
    return torch.addcmul(exact, y.to(exact.dtype), _pick(exact, modulation, table, row)).to(x.dtype)


def _exact(x: Tensor, table: Tensor) -> Tensor:
    return x if torch.is_grad_enabled() else x.to(table.dtype)


def _pick(x: Tensor, modulation: Modulation, table: Tensor, row: int) -> Tensor:
    """One modulation vector for every token of ``x`` [b, t, p, d]: broadcast over a frame's tokens unless a map says otherwise."""
    levels, index = modulation
    vectors = (levels[:, row] + table[row]).to(x.dtype)  # u d
    return vectors.view(x.shape[0], x.shape[1], 1, -1) if index is None else vectors[index]  # b t 1 d or b t p d


class RMSNorm(nn.RMSNorm):
    """Root-mean-square norm whose weight takes the input's type, so that autocast keeps the fused kernel."""

    def forward(self, x: Tensor) -> Tensor:
        assert self.weight is not None
        if x.device.type == "cpu" and not torch.is_grad_enabled():
            # Uncompiled on a CPU the kernel goes over float32 copies six times.
            size = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)  # ... 1
            return x * torch.rsqrt(size.square() / x.shape[-1] + EPS).to(x.dtype) * self.weight.to(x.dtype)
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), EPS)


class SelfAttention(nn.Module):
    """Every token looks at every token; queries and keys are RMS-normed over all heads together, then rotated."""

    def __init__(self, width: int, heads: int, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.norm_q = RMSNorm(width)
        self.norm_k = RMSNorm(width)
        self.out = nn.Linear(width, width, bias=bias)

    def forward(self, x: Tensor, rotation: Rotation) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)  # b n d
        q = rotate(self.norm_q(q).unflatten(-1, (self.heads, -1)), rotation)  # b n heads head
        k = rotate(self.norm_k(k).unflatten(-1, (self.heads, -1)), rotation)  # b n heads head
        return self.out(attend(q, k, v.unflatten(-1, (self.heads, -1))))  # type: ignore[no-any-return]  # b n d


class CrossAttention(nn.Module):
    """Every token looks at the text: the clip's, or its frame's own."""

    def __init__(self, width: int, heads: int, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width, bias=bias)
        self.kv = nn.Linear(width, 2 * width, bias=bias)
        self.norm_q = RMSNorm(width)
        self.norm_k = RMSNorm(width)
        self.out = nn.Linear(width, width, bias=bias)

    def forward(self, x: Tensor, text: Tensor | Words) -> Tensor:
        """``x`` [b, t, p, d] and ``text`` [b, l, d] or [b, t, l, d], or what ``hear`` made of it, to [b, t, p, d]."""
        k, v = self.hear(text) if isinstance(text, Tensor) else text  # b l heads head, or b*t l heads head
        tokens = x.flatten(1, 2) if len(k) == len(x) else x.flatten(0, 1)  # of all frames in a row, or frames beside clips
        q = self.norm_q(self.q(tokens)).unflatten(-1, (self.heads, -1))  # b n heads head
        return self.out(attend(q, k, v)).view(x.shape)  # type: ignore[no-any-return]

    def hear(self, text: Tensor) -> Words:
        """Keys and values of a text [b, l, d], or of the frames' own [b, t, l, d]."""
        k, v = self.kv(text.flatten(0, -3)).chunk(2, dim=-1)  # b l d
        return self.norm_k(k).unflatten(-1, (self.heads, -1)), v.unflatten(-1, (self.heads, -1))


class FeedForward(nn.Module):
    """Two linear layers; between them GELU (Wan) or the square of ReLU (ours)."""

    def __init__(self, width: int, hidden: int, activation: str, bias: bool) -> None:
        super().__init__()
        self.activation = activation
        self.up = nn.Linear(width, hidden, bias=bias)
        self.down = nn.Linear(hidden, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or torch.is_grad_enabled():
            return self.down(activated(self.up, x, self.activation))  # type: ignore[no-any-return]  # b t p d
        # What stands between the two is large: in parts a long clip needs no more memory than a short one.
        made, tokens = torch.empty_like(x), x.flatten(0, -2)  # b t p d, n d
        parts = max(1, round(len(tokens) / PART))  # of one length: a small last one would read all the weights for a few tokens
        for whole, one in zip(made.view_as(tokens).chunk(parts), tokens.chunk(parts), strict=True):
            whole.copy_(self.down(activated(self.up, one, self.activation)))  # part d
        return made


class Block(nn.Module):
    """One layer of the transformer; it starts as the identity, since every branch ends in a matrix of zeros."""

    def __init__(self, width: int, heads: int, hidden: int, activation: str, bias: bool) -> None:
        super().__init__()
        self.modulation = nn.Parameter(torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0, 1.0])[:, None].repeat(1, width))  # 6 d
        self.norm1 = nn.LayerNorm(width, eps=EPS, elementwise_affine=False)
        self.attention = SelfAttention(width, heads, bias)
        self.norm2 = nn.LayerNorm(width, eps=EPS, bias=bias)
        self.cross = CrossAttention(width, heads, bias)
        self.norm3 = nn.LayerNorm(width, eps=EPS, elementwise_affine=False)
        self.ffn = FeedForward(width, hidden, activation, bias)
        for last in (self.attention.out, self.cross.out, self.ffn.down):
            nn.init.zeros_(last.weight)

    def forward(self, x: Tensor, modulation: Modulation, text: Tensor | Words | Packed, rotation: Rotation) -> Tensor:
        """``x`` [b, t, p, d] tokens of t frames, ``text`` [b, l, d] or each frame's own [b, t, l, d], or what ``hear`` made of it."""
        if c := kernels() if isinstance(text, Packed) else kernels_for(text, self.attention.heads) if isinstance(text, Tensor) else None:
            return quick.block(self, x, modulation, text, rotation, c)  # whatever the type of x: from the second block on it is float32
        assert not isinstance(text, Packed)
        frames = x.shape[1:3]
        y = modulate(self.norm1, x, modulation, self.modulation, 0, 1).flatten(1, 2)  # b n d
        x = add_gated(x, self.attention(y, rotation).unflatten(1, frames), modulation, self.modulation, 2)  # b t p d
        x = x + self.cross(self.norm2(x), text)  # b t p d
        y = modulate(self.norm3, x, modulation, self.modulation, 3, 4)  # b t p d
        return add_gated(x, self.ffn(y), modulation, self.modulation, 5)  # b t p d

    def hear(self, text: Tensor) -> Words | Packed:
        """What this block makes of a text whatever the tokens are; it serves at every step."""
        kernels = kernels_for(text, self.attention.heads)
        return self.cross.hear(text) if kernels is None else quick.words_of(self.cross, text, kernels)
