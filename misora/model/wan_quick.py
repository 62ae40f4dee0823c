"""Wan's autoencoder on a processor: what diffusers' layers make, in fewer passes over memory; it knows no latents and no tiles.

The channels of a pixel lie beside each other, as oneDNN's convolutions read and write them. Nothing is written out around a picture or
before a clip's first frame: the convolution knows that there is nothing. Otherwise half of a decode goes by outside of the convolutions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAST = 1e-12  # of a vector, so that nothing is divided by 0
FORMATS = {nn.Conv2d: torch.channels_last, nn.Conv3d: torch.channels_last_3d}


def quicken(network: Any) -> Any:
    """The network itself, for inference in float32 on a processor with oneDNN; any other is left as it is."""
    one = network.post_quant_conv.weight
    if one.device.type != "cpu" or one.dtype != torch.float32 or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return network
    for layer in network.modules():
        if way := WAYS.get(type(layer).__name__):
            layer.forward = partial(way, layer)
        if isinstance(layer, nn.SiLU):
            layer.inplace = True  # it always follows a norm
        for kind, layout in FORMATS.items():
            if isinstance(layer, kind):
                layer.weight.data = layer.weight.data.contiguous(memory_format=layout)
    return network


def _resided(layer: Any, x: Tensor, feat_cache: list[Any] | None = None, feat_idx: list[int] | None = None) -> Tensor:
    """Twice a norm, SiLU and a convolution over x [b, c, t, h, w], and x beside it; what the convolutions remember is renewed."""
    made = x
    for norm, conv in ((layer.norm1, layer.conv1), (layer.norm2, layer.conv2)):
        if feat_cache is None or feat_idx is None:
            made = _activated(norm, conv, made, None)  # b c t+2 h w
        else:
            made = _activated(norm, conv, made, feat_cache[feat_idx[0]])  # b c t+2 h w
            feat_cache[feat_idx[0]] = made[:, :, -2:].clone()
            feat_idx[0] += 1
        made = _summed(conv, made)  # b c t h w
    return made.add_(layer.conv_shortcut(x))


def _activated(norm: Any, conv: Any, x: Tensor, past: Tensor | None) -> Tensor:
    """The norm of x and its SiLU, laid straight behind the frames before it, as the convolution reads them."""
    known, missing = _before(conv, x, past)
    batch, channels, frames, height, width = x.shape
    shape = (batch, channels, missing + known + frames, height, width)
    whole = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last_3d)
    whole[:, :, :missing].zero_()
    if past is not None and known:
        whole[:, :, missing : missing + known] = past
    F.silu(_scaled(norm, x, whole[:, :, missing + known :]), inplace=True)
    return whole


def _before(conv: Any, x: Tensor, past: Tensor | None) -> tuple[int, int]:
    """How many frames before those of x a convolution is given, and how many zeros before these it must be given too."""
    wanted = conv._padding[4]
    known = past.shape[2] if past is not None and wanted else 0
    return known, wanted - known if x.shape[2] > 1 else 0  # of one frame's window, what would fall on zeros is left out


def _convolved(layer: Any, x: Tensor, past: Tensor | None = None) -> Tensor:
    """A convolution over x [b, c, t, h, w] and the frames before it, of which those that ``past`` lacks are zeros."""
    known, missing = _before(layer, x, past)
    zeros = x.new_zeros(1, 1, 1, 1, 1).expand(*x.shape[:2], missing, *x.shape[3:])  # b c missing h w
    parts = [*([zeros] if missing else []), *([past] if past is not None and known else []), x]
    return _summed(layer, torch.cat(parts, 2) if len(parts) > 1 else x)


def _summed(layer: Any, x: Tensor) -> Tensor:
    """The convolution of all that x [b, c, t, h, w] holds; where that is less than its window, its window's end."""
    across, _, down = layer._padding[:3]
    weight = layer.weight[:, :, max(0, layer.weight.shape[2] - x.shape[2]) :]
    x = x.contiguous(memory_format=torch.channels_last_3d)
    return torch.mkldnn_convolution(x, weight, layer.bias, (0, down, across), layer.stride, layer.dilation, layer.groups)


def _normed(layer: Any, x: Tensor) -> Tensor:
    """Root-mean-square norm over the channels of x [b, c, t, h, w] or [b, c, h, w]."""
    return _scaled(layer, x, torch.empty_like(x))


def _scaled(layer: Any, x: Tensor, out: Tensor) -> Tensor:
    """The norm of x in ``out``. Of channels that lie apart torch's norm of a vector takes the time of two convolutions."""
    x = x.contiguous(memory_format=torch.channels_last_3d if x.ndim == 5 else torch.channels_last)
    size = torch.linalg.vector_norm(x, dim=1, keepdim=True).clamp_min_(LEAST)  # b 1 t h w
    torch.mul(x, size.reciprocal_(), out=out).mul_(layer.gamma * layer.scale)
    return out.add_(layer.bias) if isinstance(layer.bias, Tensor) else out


def _enlarged(layer: Any, x: Tensor) -> Tensor:
    """Pictures [n, c, h, w] at twice the size."""
    x = x.contiguous(memory_format=torch.channels_last)  # what frames were woven into is not
    return F.interpolate(x, scale_factor=layer.scale_factor, mode=layer.mode)


WAYS: dict[str, Callable[..., Tensor]] = {
    "WanCausalConv3d": _convolved,
    "WanRMS_norm": _normed,
    "WanResidualBlock": _resided,
    "WanUpsample": _enlarged,
}
