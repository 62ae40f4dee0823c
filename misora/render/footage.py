"""Pixels that were brought along: clips, images and masks from files, made to fit; it knows nothing of sampling or of verbs."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, TensorSpec, safe_open, serialize_file
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d, pad

from misora.canvas.canvas import pixel_frames
from misora.client.errors import MediaError
from misora.media.atomic import replacing
from misora.media.limits import LIMITS
from misora.media.read import read_notes, read_untrusted
from misora.render.request import FRAME_RATE, LONGEST, NATIVE_RATE, PROMPT

ENDINGS = (".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi", ".gif", ".png", ".jpg", ".jpeg", ".webp")
# What was made here may be as long as can be asked for, and is gone on from; servers hold uploads to narrower limits before they get here.
GIVEN = dataclasses.replace(LIMITS, seconds=1.1 * LONGEST, frames=20_000, decoded_bytes=8_000_000_000, child_seconds=300)
TAIL = 7  # latent frames of a clip of ours that its continuation sees; its decoder sees two
LATENTS = ".latents.safetensors"  # beside a video of ours: what it was decoded from


class Notice(UserWarning):
    """What was done to an input to make it fit, and what weights do less well; the command line prints it, Python shows it as a warning."""


@contextlib.contextmanager
def noticed() -> Iterator[list[str]]:
    """What is said with a Notice meanwhile, each sentence once; other warnings go where they always go."""
    said: list[str] = []
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def note(message: Warning | str, category: type[Warning], *others: Any, **more: Any) -> None:
            if not issubclass(category, Notice):
                shown(message, category, *others, **more)
            elif str(message) not in said:
                said.append(str(message))

        warnings.simplefilter("always", Notice)
        warnings.showwarning = note
        yield said


@dataclasses.dataclass(frozen=True, kw_only=True)
class Footage:
    """A given clip, or with one frame an image. ``latents`` are known only where the file is ours and has them beside it."""

    frames: Tensor  # [t, h, w, 3] uint8 RGB
    rate: float = 24.0  # frames per second
    name: str = "the clip"
    latents: Tensor | None = None  # [1, c, t, h, w]
    kinds: str = ""
    path: Path | None = None  # where it came from, so that the file made of it can name it
    code: str = ""  # hash of the autoencoder that made the latents
    unseen: int = 0  # native frames that the latents go on for behind its end

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.frames.shape[1], self.frames.shape[2]

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.frames) / self.rate

    def native_frames(self) -> int:
        """How many frames of the network's rate it covers."""
        return max(1, math.ceil(len(self.frames) * NATIVE_RATE / self.rate - 1e-6))


def is_file_name(text: str) -> bool:
    """Whether a text that may be a prompt or a clip means a file: one that is there, or a single word that ends as clips do."""
    return os.path.isfile(text) or (len(text.split()) == 1 and Path(text).suffix.lower() in ENDINGS)


def load_clip(path: str | Path) -> Footage:
    """A stranger's clip or image, decoded apart, with its latents where it has some. Raises MediaError."""
    told: list[str] = []
    frames, rate = read_untrusted(path, GIVEN, told)
    for what in told:
        warnings.warn(f"{Path(path).name} {what}", Notice, stacklevel=2)
    clip = Footage(frames=frames, rate=rate if len(frames) > 1 else 24.0, name=Path(path).name, path=Path(path))
    return with_latents(clip, latents_beside(path))


def trimmed(clip: Footage, start: float, stop: float) -> Footage:
    """The clip from one second to another; at least one frame."""
    first = min(round(start * clip.rate), len(clip.frames) - 1)
    frames = clip.frames[first : max(first + 1, round(stop * clip.rate))]
    whole = len(frames) == len(clip.frames)
    return clip if whole else dataclasses.replace(clip, frames=frames, latents=None, kinds="")


def at_pace(clip: Footage, rate: float) -> Footage:
    """The clip at another frame rate, lasting as long: frames repeated or left out."""
    if rate == clip.rate:
        return clip
    places = [min(int(k * clip.rate / rate + 1e-6), len(clip.frames) - 1) for k in range(max(1, round(clip.seconds * rate)))]
    return dataclasses.replace(clip, frames=clip.frames[places], rate=rate, latents=None, kinds="")


def load_image(path: str | Path) -> Footage:
    """A picture, or a clip's first frame with a notice. Raises MediaError."""
    clip = load_clip(path)
    if len(clip.frames) > 1:
        warnings.warn(f"{clip.name} is a clip; its first frame is used.", Notice, stacklevel=2)
    return Footage(frames=clip.frames[:1], name=clip.name, path=clip.path)


def said_of(clip: Footage | str | Path) -> str:
    """The prompt that a clip of ours was drawn from at its end, as its file says; else nothing. Raises MediaError."""
    path = clip.path if isinstance(clip, Footage) else Path(clip)
    notes = read_notes(path, GIVEN) if path else {}
    ours = notes.get("comment", "").startswith('{"maker": "misora"')
    return notes.get("description", "").rpartition(" | ")[2][:PROMPT] if ours else ""


def latents_beside(path: str | Path) -> Path:
    """Where the latents of a video are kept: ``ball.mp4`` has ``ball.mp4.latents.safetensors``."""
    return Path(f"{path}{LATENTS}")


def digest(path: Path) -> str:
    """SHA-256 of a file: latents belong to one video, and not to another that took its name."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_latents(path: Path, latents: Tensor, kinds: str, *, code: str, frames: int, unseen: int) -> Path:
    """Keep what ``frames`` delivered frames, or the last of them, were decoded from, [1, c, t, h, w], so that the clip can be extended
    without a loss. ``unseen``: native frames of them that come behind the clip's end."""
    metadata = {"kinds": kinds, "autoencoder": code, "frames": str(frames), "video": digest(path), "unseen": str(unseen)}
    with replacing(latents_beside(path)) as beside:
        half = latents.to("cpu", torch.bfloat16).contiguous()
        # safetensors.torch.save_file would ask for numpy, which the core has not
        spec = TensorSpec(dtype="bfloat16", shape=half.shape, data_ptr=half.data_ptr(), data_len=half.nbytes)
        serialize_file({"latents": spec}, beside, metadata)
    return latents_beside(path)


def with_latents(clip: Footage, path: Path) -> Footage:
    """The clip with the latents of ``path`` if they are whole and belong to a clip of this length; else as it is."""
    if not path.is_file():
        return clip
    try:
        with safe_open(path, framework="pt") as file:
            metadata, latents = file.metadata() or {}, file.get_tensor("latents").float()
        if clip.path and metadata.get("video", of := digest(clip.path)) != of:
            return clip  # of a file that was here before
        if metadata["frames"] != str(len(clip.frames)) or latents.shape[2] != len(metadata["kinds"]) or not latents.isfinite().all():
            return clip
        unseen = int(
            metadata.get("unseen", pixel_frames(metadata["kinds"]) - clip.native_frames())
        )  # files of before have all their latents
    except (SafetensorError, KeyError, ValueError, OSError):
        return clip
    return dataclasses.replace(clip, latents=latents, kinds=metadata["kinds"], code=metadata["autoencoder"], unseen=unseen)


def fitted(clip: Footage, size: tuple[int, int]) -> Footage:
    """The clip scaled to cover ``size`` (h, w) and cropped around its middle; said in a notice where the shape is another."""
    if clip.size == size:
        return clip
    height, width = clip.size
    if abs(math.log(width / height * size[0] / size[1])) > 0.02:
        warnings.warn(f"{clip.name} is {width}x{height}; it is cropped to fill {size[1]}x{size[0]}.", Notice, stacklevel=2)
    frames = torch.stack([_cover(frame, size) for frame in clip.frames])  # t h w 3
    return dataclasses.replace(clip, frames=frames)


def _cover(frame: Tensor, size: tuple[int, int]) -> Tensor:
    scale = max(size[0] / frame.shape[0], size[1] / frame.shape[1])
    cover = [max(wanted, round(side * scale)) for wanted, side in zip(size, frame.shape[:2], strict=True)]
    large = interpolate(frame.permute(2, 0, 1)[None].float(), size=cover, mode="bicubic", antialias=True)[0]  # 3 h w
    top, left = (cover[0] - size[0]) // 2, (cover[1] - size[1]) // 2
    cropped = large[:, top : top + size[0], left : left + size[1]]  # 3 h w
    return cropped.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()


def to_native(clip: Footage, native: tuple[int, int], frames: Sequence[int]) -> Tensor:
    """Frames at the network's rate and size, [1, 3, t, h, w] in -1..1: number i is what is seen at i / 12 seconds.

    The way back from delivery: where that cuts a margin off the native frame, the margin repeats the picture's edge.
    """
    places = [min(round(i * clip.rate / NATIVE_RATE), len(clip.frames) - 1) for i in frames]
    return torch.stack([_shrunk(clip.frames[place].permute(2, 0, 1)[None].float(), native)[0] for place in places], 1)[None] / 127.5 - 1


def mask_to_native(mask: Tensor, native: tuple[int, int]) -> Tensor:
    """A mask [h, w] of the delivered size as the network's, [h, w] in 0..1."""
    return _shrunk(mask[None, None].float(), native)[0, 0]


def _shrunk(picture: Tensor, native: tuple[int, int]) -> Tensor:
    """A picture [1, c, h, w] with its edges repeated to the native shape, then scaled to it."""
    height, width = picture.shape[2:]
    scale = max(height / native[0], width / native[1])
    cover = [max(side, round(wanted * scale)) for side, wanted in zip((height, width), native, strict=True)]
    top, left = (cover[0] - height) // 2, (cover[1] - width) // 2
    padded = pad(picture, (left, cover[1] - width - left, top, cover[0] - height - top), mode="replicate")
    return interpolate(padded, size=native, mode="bilinear", antialias=True)


def read_mask(path: str | Path, size: tuple[int, int], rate: float = FRAME_RATE) -> Tensor:
    """Where to work, [t or 1, h, w] in 0..1 at ``size`` (h, w), from an image or a video: white is to be reworked. Raises MediaError.

    A video's frames come at ``rate`` per second, that of the clip which it masks.
    """
    clip = load_clip(path)
    clip = at_pace(clip, rate) if len(clip.frames) > 1 else clip
    if clip.size != size and len(clip.frames) > 0:
        message = f"{clip.name} is {clip.size[1]}x{clip.size[0]}; the mask is scaled to {size[1]}x{size[0]}."
        warnings.warn(message, Notice, stacklevel=2)
    grey = clip.frames.float().mean(3)[:, None] / 255  # t 1 h w
    mask = interpolate(grey, size=size, mode="bilinear", antialias=True)[:, 0] > 0.5  # t h w
    if not mask.any():
        raise MediaError(f"{clip.name} marks nothing; paint white what is to be reworked.")
    if mask.all():
        warnings.warn(f"{clip.name} marks everything, as what is transparent counts as white; all is reworked.", Notice, stacklevel=2)
    return mask.float()


def feathered(mask: Tensor, width: int = 16) -> Tensor:
    """A mask [h, w] whose edge rises within ``width`` pixels inside it; outside it stays 0, and the picture's edge is no edge."""
    while width > 3:
        around = width // 2
        core = -max_pool2d(-pad(mask[None, None], (around,) * 4, mode="replicate"), 2 * around + 1, stride=1)  # 1 1 h w
        if core.any():
            return avg_pool2d(pad(core, (around,) * 4, mode="replicate"), 2 * around + 1, stride=1)[0, 0] * (mask > 0)
        width //= 2  # a mask too thin for an edge so wide
    return mask
