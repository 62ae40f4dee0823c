"""From simulated clips to shards of latents with token labels; it knows nothing of the transformer that will learn from them."""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from misora.client.errors import UsageError
from misora.data.clip import Clip, Truth
from misora.data.shards import Record, write_shard
from misora.model.autoencoder import GROUP, Autoencoder, frame_places, pixel_frames
from misora.words.graph import COLOURS, SHAPES

TOKEN = 16  # pixels a token covers each way: 8 of the autoencoder × patch 2


def token_labels(truth: Truth, kinds: str) -> npt.NDArray[np.uint8]:
    """What each token mostly shows at the end of its latent frame: ``[2, t, h/16, w/16]``, colour and shape, 0 for neither."""
    ends = np.cumsum([pixel_frames(kind) for kind in kinds]) - 1
    masks = truth.masks[ends]  # t h w
    t, h, w = masks.shape
    cells = masks.reshape(t, h // TOKEN, TOKEN, w // TOKEN, TOKEN)
    labels = np.zeros((2, t, h // TOKEN, w // TOKEN), np.uint8)
    best = np.full(labels.shape[1:], 0.25)  # a token with less than a quarter of a thing is background
    for number, thing in enumerate(truth.graph.things):
        share = (cells == number + 1).mean((2, 4))  # t h/16 w/16
        wins = share > best
        best = np.where(wins, share, best)
        labels[0][wins] = 1 + COLOURS.index(thing.colour)
        labels[1][wins] = 1 + SHAPES.index(thing.shape)
    return labels


def to_tensor(frames: Sequence[npt.NDArray[np.uint8]], device: torch.device | None = None) -> Tensor:
    """Clips of one shape as the autoencoder takes them: ``[b, 3, t, h, w]`` in -1..1."""
    stacked = torch.from_numpy(np.stack(frames)).to(device)  # b t h w 3
    return stacked.permute(0, 4, 1, 2, 3).float().div_(127.5).sub_(1)


@torch.no_grad()
def encode(autoencoder: Autoencoder, frames: Sequence[npt.NDArray[np.uint8]], kinds: str) -> Tensor:
    """Latents ``[b, c, t, h/8, w/8]`` in bfloat16 of clips of one shape, computed where the autoencoder is."""
    device = autoencoder.latent_mean.device
    with torch.autocast(device.type, torch.bfloat16):
        return autoencoder.encode(to_tensor(frames, device), kinds).to("cpu", torch.bfloat16)


def fill(folder: Path, clips: Iterable[Clip], autoencoder: Autoencoder, *, kinds: str, hash: str, name: str, shard: int = 256) -> int:
    """Encode clips of one shape into shards ``NAME-0000000.safetensors`` …; returns how many samples were written.

    Clips that cut anywhere but at an S are passed over: four frames of two shots are no latent frame.
    """
    latents: list[Tensor] = []
    labels: list[Tensor] = []
    records: list[Record] = []
    written = 0

    def flush() -> None:
        nonlocal written
        if records:
            path = folder / f"{name}-{written:07d}.safetensors"
            write_shard(path, torch.cat(latents), torch.stack(labels), records, kinds=kinds, autoencoder=hash)
            written += len(records)
            for pile in (latents, labels, records):
                pile.clear()

    at_once = 4 if autoencoder.latent_mean.device.type == "cpu" else 32
    starts = set(frame_places(kinds, "S"))
    for group in _chunks((clip for clip in clips if clip.truth is not None and cuts_of(clip) <= starts), at_once):
        latents.append(encode(autoencoder, [clip.frames for clip in group], kinds))
        for clip in group:
            assert clip.truth is not None
            labels.append(torch.from_numpy(token_labels(clip.truth, kinds)))
            records.append(Record(graph=clip.truth.graph))
        if len(records) >= shard:
            flush()
    flush()
    return written


def simulate(make: Callable[[int], Clip], seeds: Sequence[int], workers: int, ahead: int = 64) -> Generator[Clip, None, None]:
    """The clips of many seeds, in order, made by worker processes (``make`` must be picklable) at most ``2 * ahead`` clips in advance."""
    if workers < 1:
        yield from map(make, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        spans = [seeds[start : start + ahead] for start in range(0, len(seeds), ahead)]
        waiting = [pool.map_async(make, span, chunksize=4) for span in spans[:1]]
        for following in [*spans[1:], None]:
            if following is not None:
                waiting.append(pool.map_async(make, following, chunksize=4))
            yield from waiting.pop(0).get()


def cuts_of(clip: Clip) -> set[int]:
    """The pixel frames at which a clip's camera jumps."""
    assert clip.truth is not None
    return {math.ceil(card.start * clip.frame_rate - 1e-6) for card in clip.truth.graph.cards if card.cut}


def kinds_of(seconds: float, frame_rate: float = 12.0) -> str:
    """The latent frames of a clip of so many seconds: one S, then a G for every four frames. Raises UsageError where they do not fit."""
    groups, rest = divmod(round(seconds * frame_rate), GROUP)
    if rest:
        raise UsageError(f"{seconds:g} seconds are not one frame and whole groups of {GROUP}; try {groups * GROUP / frame_rate:g}.")
    return "S" + "G" * groups


def _chunks(clips: Iterable[Clip], size: int) -> Iterator[list[Clip]]:
    group: list[Clip] = []
    for clip in clips:
        group.append(clip)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
