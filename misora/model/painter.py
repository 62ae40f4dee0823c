"""The painter: native frames at 12 per second become 24 per second at any larger size; it knows nothing of latents, requests or files.

A whole frame is read together with its neighbours at native size; its features are then resampled to a quarter of the wanted size,
worked on there and unfolded 4x4, on top of a bicubic enlargement. The frame half-way to the next one is not invented anew: a field of
displacements, found at native size from four frames, fetches every pixel from the two painted frames. So what stands still stays as it
is, and what moves is not exposed twice.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from misora.model.view import UNFOLD, View

STILL = 1 / 16  # native pixels: smaller displacements count as none
UNDECIDED = 1 / 4  # smaller logits count as none


@dataclasses.dataclass(frozen=True, kw_only=True)
class PainterConfig:
    """Channels: ``coarse`` at native size, ``fine`` at a quarter of the target, ``motion`` at a quarter of the native size."""

    coarse: int = 32
    fine: int = 64
    motion: int = 64


class Conv(nn.Conv2d):
    """A 3x3 convolution, weights channels last."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1, spread: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride=stride, padding=spread, dilation=spread)
        self.weight.data = self.weight.data.contiguous(memory_format=torch.channels_last)


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, width: int, spread: int = 1) -> None:
        super().__init__()
        self.conv_in, self.conv_out = Conv(width, width, spread=spread), Conv(width, width, spread=spread)
        nn.init.zeros_(self.conv_out.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_out(F.relu_(self.conv_in(F.relu(x))))  # type: ignore[no-any-return]


class Motion(nn.Module):
    """From four frames where the pixels of the moment in the middle were before and will be after, and which to believe."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.rough = nn.Sequential(
            Conv(12, width // 2, stride=2), nn.ReLU(), Conv(width // 2, width, stride=2), Block(width), Block(width, 2)
        )
        self.rough_out = Conv(width, 5 * 16)
        self.exact = nn.Sequential(Conv(17, width // 2, stride=2), Block(width // 2))
        self.exact_out = Conv(width // 2, 5 * 4)
        for last in (self.rough_out, self.exact_out):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, frames: Tensor) -> Tensor:
        """frames [b 4 3 h w], at -1, 0, 1 and 2: [b 5 h w], displacements (x, y) to frame 0 and to frame 1 in pixels, and a logit of 1."""
        kind = self.rough_out.weight.dtype
        x = frames.flatten(1, 2).to(kind, memory_format=torch.channels_last)  # b 12 h w
        found = F.pixel_shuffle(self.rough_out(self.rough(x)), 4)  # b 5 h w
        size = frames.shape[-2:]
        flow = found[:, :4].float().reshape(-1, 2, *size)  # 2b 2 h w
        fetched = fetch(frames[:, 1:3].flatten(0, 1), flow).reshape(-1, 6, *size)  # b 6 h w
        x = torch.cat((x[:, 3:9], fetched.to(kind, memory_format=torch.channels_last), found), 1)  # b 17 h w
        found = found.float()
        found = found + F.pixel_shuffle(self.exact_out(self.exact(x)).float(), 2)  # b 5 h w
        if self.training:  # what is cut off below could never learn to be more than nothing
            return found
        return torch.cat((F.softshrink(found[:, :4], STILL), F.softshrink(found[:, 4:], UNDECIDED)), 1)


def fetch(frames: Tensor, flow: Tensor) -> Tensor:
    """frames [b c h w] looked at (bilinearly, edges repeat) at every place plus its displacement [b 2 h w] (x, y) in pixels."""
    h, w = frames.shape[-2:]
    x = torch.arange(w, device=flow.device) + 0.5 + flow[:, 0]  # b h w
    y = torch.arange(h, device=flow.device)[:, None] + 0.5 + flow[:, 1]  # b h w
    grid = torch.stack((x * (2 / w) - 1, y * (2 / h) - 1), -1)  # b y x 2
    return F.grid_sample(frames.float(), grid, padding_mode="border", align_corners=False)


class Painter(nn.Module):
    """Both halves: whole frames, and the frames between them."""

    def __init__(self, config: PainterConfig) -> None:
        super().__init__()
        self.config = config
        self.coarse = nn.Sequential(Conv(9, config.coarse), Block(config.coarse))
        self.fine = nn.Sequential(Conv(config.coarse + 8, config.fine), Block(config.fine), nn.ReLU())
        self.out = Conv(config.fine, 3 * UNFOLD**2)
        self.motion = Motion(config.motion)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def read(self, frames: Tensor) -> Tensor:
        """frames [b 3 3 h w], the one to be painted between its neighbours: its features and itself, [b coarse+3 h w]."""
        x = frames.flatten(1, 2).to(dtype=self.out.weight.dtype, memory_format=torch.channels_last)  # b 9 h w
        return torch.cat((self.coarse(x), x[:, 3:6]), 1)  # b coarse+3 h w

    def look(self, features: Tensor, view: View, top: int, end: int) -> Tensor:
        """What ``read`` found, at the middles of some rows of cells, and how these lie on it: [b coarse+8 end-top w/4]."""
        planes = view.phase(features)[:, :, top:end].expand(len(features), -1, -1, -1)
        return torch.cat((view.at_cells(features, top, end), planes), 1)

    def paint(self, frames: Tensor, features: Tensor, view: View) -> Tensor:
        """frames [b 3 h w] in -1..1 and their features at the size of the view, [b 3 H W]."""
        x = F.pixel_shuffle(self.out(self.fine(self.look(features, view, 0, view.cells[0]))), UNFOLD)
        return (view.base(frames.float()) + x[:, :, : view.size[0], : view.size[1]]).clamp_(-1, 1)

    def between(self, left: Tensor, right: Tensor, found: Tensor, view: View) -> Tensor:
        """The frame half-way between two painted ones [b 3 H W], given what ``motion`` found [b 5 h w].

        Every pixel comes from where it was and from where it will be; where nothing moves that is their mean.
        """
        near = view.at_pixels(found, (0, view.size[0]), (0, view.size[1]))  # b 5 H W
        pixels = torch.tensor(view.scale[::-1] * 2, device=near.device)[:, None, None]  # x, y, x, y
        flow = near[:, :4] * pixels
        return torch.lerp(fetch(left, flow[:, :2]), fetch(right, flow[:, 2:]), near[:, 4:].sigmoid())
