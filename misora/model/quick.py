"""A transformer block through the C functions of ``amx``: the same block in fewer roundings and passes; it knows no tokens' meaning.

Queries and keys are normed, rotated and rounded once, where the layers in torch round each time. What goes from layer to layer stays in
float32: rounded ninety times on its way through thirty layers it would be the largest error of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from misora.model.amx import Kernels, Packed, Rows

if TYPE_CHECKING:
    from misora.model.layers import Block, CrossAttention, Modulation, Rotation, SelfAttention, Words


def block(layer: Block, x: Tensor, modulation: Modulation, text: Tensor | Words | Packed, rotation: Rotation, c: Kernels) -> Tensor:
    """As ``Block.forward``; what comes out is in float32, what goes in may be."""
    x, rows = x.float().contiguous(), rows_of(x, modulation, layer.modulation)  # b t p d
    y = _attention(layer.attention, c.norm(x, rows, 1, 0).flatten(1, 2), rotation, c)  # b n d
    x, y = c.add_norm(x, y, rows, 2, layer.norm2.weight.float(), _float(layer.norm2.bias))  # b t p d
    x, y = c.add_modulate(x, _cross(layer.cross, y, text, c), rows, 4, 3)  # b t p d
    return c.add(x, layer.ffn(y), rows, 5)


def rows_of(x: Tensor, modulation: Modulation, table: Tensor) -> Rows:
    """The modulation of every distinct level plus a block's own, and which token of ``x`` [b, t, p, d] has which."""
    levels, index = modulation
    return Rows(table=levels.float() + table.float(), index=None if index is None else index.contiguous(), each=x.shape[2])


def words_of(layer: CrossAttention, text: Tensor, c: Kernels) -> Packed:
    """What cross-attention makes of a text [b, l, d] or of each frame's own [b, t, l, d]."""
    k, v = layer.kv(text.flatten(0, -3)).chunk(2, dim=-1)  # b l d
    return c.pack_words(k, v, layer.norm_k.weight.float(), layer.heads)


def _attention(layer: SelfAttention, x: Tensor, rotation: Rotation, c: Kernels) -> Tensor:
    q, k, v = layer.qkv(x).chunk(3, dim=-1)  # b n d
    turned = (rotation[0].float().contiguous(), rotation[1].float().contiguous())  # b n 1 head/2
    packed = c.pack(q, k, v, layer.norm_q.weight.float(), layer.norm_k.weight.float(), turned, layer.heads)
    return layer.out(c.attend(packed, packed))  # type: ignore[no-any-return]  # b n d


def _cross(layer: CrossAttention, x: Tensor, text: Tensor | Words | Packed, c: Kernels) -> Tensor:
    """Tokens [b, t, p, d] over the text."""
    words = words_of(layer, text, c) if isinstance(text, Tensor) else text
    assert isinstance(words, Packed)
    q = layer.q(x).view(words.parts[0].shape[0], -1, x.shape[-1])  # b n d, or b*t p d where frames have texts of their own
    return layer.out(c.attend(c.pack_queries(q, layer.norm_q.weight.float(), layer.heads), words)).view(x.shape)  # type: ignore[no-any-return]


def _float(bias: torch.nn.Parameter | None) -> Tensor | None:
    return None if bias is None else bias.float()
