"""The encoder of UMT5 (arXiv:2304.09151), the text encoder of the Wan family, read block by block; it knows no tokenizer and no video.

Files name its weights as transformers does or as Wan's own files do. Only the rows of the words that a text has, and two blocks at a
time, are ever in memory: a text is read once, so nothing is gained by keeping eleven gigabytes for it.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from misora.client.errors import CheckpointError
from misora.model.blocks import Blocks, moved, put
from misora.model.shards import Shards

EPS = 1e-6
DISTANCE = 128  # tokens: whatever is farther is equally far
# ours, in transformers' files, in the original ones
INNER = (
    ("norm1.weight", "layer.0.layer_norm.weight", "norm1.weight"),
    ("q.weight", "layer.0.SelfAttention.q.weight", "attn.q.weight"),
    ("k.weight", "layer.0.SelfAttention.k.weight", "attn.k.weight"),
    ("v.weight", "layer.0.SelfAttention.v.weight", "attn.v.weight"),
    ("out.weight", "layer.0.SelfAttention.o.weight", "attn.o.weight"),
    ("near.weight", "layer.0.SelfAttention.relative_attention_bias.weight", "pos_embedding.embedding.weight"),
    ("norm2.weight", "layer.1.layer_norm.weight", "norm2.weight"),
    ("gate.weight", "layer.1.DenseReluDense.wi_0.weight", "ffn.gate.0.weight"),
    ("up.weight", "layer.1.DenseReluDense.wi_1.weight", "ffn.fc1.weight"),
    ("down.weight", "layer.1.DenseReluDense.wo.weight", "ffn.fc2.weight"),
)
LAYOUTS = {  # the words' matrix, the last norm, a block's prefix, the column of INNER
    "transformers": ("shared.weight", "encoder.final_layer_norm.weight", "encoder.block.{}.", 1),
    "original": ("token_embedding.weight", "norm.weight", "blocks.{}.", 2),
}
TWICE = "encoder.embed_tokens.weight"  # the words' matrix once more, or instead


@dataclasses.dataclass(frozen=True, kw_only=True)
class Umt5Config:
    """Sizes, all of which the tensors tell."""

    words: int
    width: int
    depth: int
    heads: int
    inner: int  # channels of all heads together
    hidden: int
    buckets: int = 32  # kinds of distance between two tokens


class Scale(nn.Module):
    """Root-mean-square norm in float32, then a weight for each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        exact = x.float()
        made = exact * torch.rsqrt(exact.square().mean(-1, keepdim=True) + EPS)  # b n d
        return made.to(self.weight.dtype) * self.weight


class Block(nn.Module):
    """Attention in which every pair of tokens has a bias by its distance, unscaled, and a gated feed-forward network."""

    def __init__(self, config: Umt5Config) -> None:
        super().__init__()
        self.heads, self.buckets = config.heads, config.buckets
        self.norm1, self.norm2 = Scale(config.width), Scale(config.width)
        self.q, self.k, self.v = (nn.Linear(config.width, config.inner, bias=False) for _ in range(3))
        self.out = nn.Linear(config.inner, config.width, bias=False)
        self.near = nn.Embedding(config.buckets, config.heads)
        self.gate, self.up = (nn.Linear(config.width, config.hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens [b, n, d] to tokens of the same shape."""
        y = self.norm1(x)  # b n d
        q, k, v = (layer(y).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v))  # b heads n head
        bias = self.near(buckets(x.shape[1], self.buckets, x.device)).permute(2, 0, 1)[None]  # 1 heads n n
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype), scale=1.0)  # b heads n head
        x = x + self.out(mixed.transpose(1, 2).flatten(2))  # b n d
        y = self.norm2(x)  # b n d
        return x + self.down(F.gelu(self.gate(y), approximate="tanh") * self.up(y))  # type: ignore[no-any-return]  # b n d


def buckets(length: int, count: int, device: torch.device | None = None) -> Tensor:
    """Which of ``count`` kinds of distance each pair of tokens has (arXiv:1910.10683), [n, n]: near ones exactly, far ones by logarithm."""
    side, exact = count // 2, count // 4
    place = torch.arange(length, device=device)  # n
    distance = place[None] - place[:, None]  # n n
    far = distance.abs()
    spread = torch.log(far.clamp_min(1).float() / exact) / math.log(DISTANCE / exact) * (side - exact)  # n n
    away = torch.where(far < exact, far, (exact + spread.long()).clamp_max(side - 1))  # n n
    return away + side * (distance > 0)


class Umt5:
    """The encoder in files: tokens in, their vectors out."""

    def __init__(self, where: Path, files: list[Path], dtype: torch.dtype, device: torch.device | None = None) -> None:
        self.where, self.shards, self.dtype, self.device = where, Shards(where, files), dtype, device or torch.device("cpu")
        self.layout = next((name for name, row in LAYOUTS.items() if row[1] in self.shards.shapes), "")
        self.config = self._config()

    @torch.inference_mode()
    def __call__(self, tokens: list[int]) -> Tensor:
        """Vectors [n, width] of one text's tokens."""
        embedding, norm = LAYOUTS[self.layout][:2]
        known = sorted(set(tokens))
        if known and not 0 <= known[0] <= known[-1] < self.config.words:
            raise CheckpointError(f"The tokenizer beside {self.where} knows words that the encoder lacks; fetch both again.")
        if not tokens:
            return torch.zeros(0, self.config.width)
        rows = self.shards.rows(embedding if embedding in self.shards.shapes else TWICE, known)  # k d
        x = rows[[known.index(token) for token in tokens]][None].to(self.device, self.dtype)  # 1 n d
        for block in Blocks(self._block, self.config.depth):
            x = block(x)
        last = Scale(self.config.width)
        put(last, "weight", self.shards[norm].to(self.device, self.dtype))
        self.shards.close()
        return last(x)[0]  # type: ignore[no-any-return]  # n d

    def _block(self, i: int) -> nn.Module:
        *_, prefix, column = LAYOUTS[self.layout]
        with torch.device("meta"):
            block = Block(self.config)
        for row in INNER:
            name = prefix.format(i) + str(row[column])
            tensor = self.shards[name]
            if (scale := name.replace(".weight", ".scale_weight")) in self.shards.shapes:  # bytes of float8, as ComfyUI's files have them
                tensor = tensor.float() * self.shards[scale].float()
            put(block, row[0], tensor.to(self.dtype, copy=True))
        self.shards.close()
        return block if self.device.type == "cpu" else moved(block, self.device)

    def _config(self) -> Umt5Config:
        shapes = self.shards.shapes
        if not self.layout:
            raise CheckpointError(f"{self.where} holds no UMT5 encoder; give the text_encoder/ of `misora models pull wan2.1-t2v-1.3b`.")
        embedding, _, prefix, column = LAYOUTS[self.layout]
        depth = len({name.split(".")[prefix.count(".") - 1] for name in shapes if name.startswith(prefix.split("{")[0])})
        wanted = [prefix.format(i) + str(row[column]) for i in range(depth) for row in INNER]
        if missing := [name for name in wanted if name not in shapes]:
            raise CheckpointError(f"{self.where} lacks {missing[0]!r} and {len(missing) - 1} more of its tensors; fetch it again.")
        inside = {row[0]: shapes[prefix.format(0) + str(row[column])] for row in INNER}
        (words, width), (inner, _), (count, heads) = (
            shapes.get(embedding, shapes.get(TWICE, (0, 0))),
            inside["q.weight"],
            inside["near.weight"],
        )
        config = Umt5Config(words=words, width=width, depth=depth, heads=heads, inner=inner, hidden=inside["up.weight"][0], buckets=count)
        with torch.device("meta"):
            like = Block(config)
        for i, row in itertools.product(range(depth), INNER):
            name, shape = prefix.format(i) + str(row[column]), tuple(like.get_parameter(row[0]).shape)
            if shapes[name] != shape:
                what = f"{shapes[name]} instead of {shape}"
                raise CheckpointError(f"{name!r} in {self.where} is {what}: it belongs to another size; fetch it again.")
        return config
