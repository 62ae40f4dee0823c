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

LEAST = 1e-24  # of a sum of squares, so that nothing is divided by 0
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


def _convolved(layer: Any, x: Tensor, past: Tensor | None = None) -> Tensor:
    """A convolution over x [b, c, t, h, w] and the frames before it, of which those that ``past`` lacks are zeros."""
    across, _, down, _, before, _ = layer._padding
    parts = [x] if past is None or not before else [past, x]
    missing, weight = before - sum(part.shape[2] for part in parts[:-1]), layer.weight
    if missing and x.shape[2] == 1:
        weight = weight[:, :, missing:]  # one frame comes out: what falls on zeros can go
    elif missing:
        parts = [x.new_zeros(1, 1, 1, 1, 1).expand(*x.shape[:2], missing, *x.shape[3:]), *parts]
    whole = parts[0] if len(parts) == 1 else torch.cat(parts, 2)  # b c t+2 h w
    whole = whole.contiguous(memory_format=torch.channels_last_3d)
    return torch.mkldnn_convolution(whole, weight, layer.bias, (0, down, across), layer.stride, layer.dilation, layer.groups)


def _normed(layer: Any, x: Tensor) -> Tensor:
    """Root-mean-square norm over channels; torch's norm of a vector takes the time of two convolutions when its numbers lie apart."""
    size = torch.rsqrt(x.square().sum(1, keepdim=True).clamp_min(LEAST))  # b 1 t h w
    made = (x * size).mul_(layer.gamma * layer.scale)  # b c t h w
    return made + layer.bias if isinstance(layer.bias, Tensor) else made


def _enlarged(layer: Any, x: Tensor) -> Tensor:
    """Pictures [n, c, h, w] at twice the size."""
    x = x.contiguous(memory_format=torch.channels_last)  # what frames were woven into is not
    return F.interpolate(x, scale_factor=layer.scale_factor, mode=layer.mode)


WAYS: dict[str, Callable[..., Tensor]] = {"WanCausalConv3d": _convolved, "WanRMS_norm": _normed, "WanUpsample": _enlarged}
