"""Shards of latents for hours on end: processes stage scenes, a card draws and encodes them; it knows nothing of what learns from them.

Seeds go in spans of one shard each. A shard that is there is not made again, so a call that was stopped, or ran out of its minutes,
is continued by the next one.
"""

from __future__ import annotations

import functools
import itertools
import multiprocessing
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from misora.client.errors import UsageError
from misora.data.clip import Clip, Truth
from misora.data.shards import Shard
from misora.model.autoencoder import Autoencoder
from misora.train.cache import fill

if TYPE_CHECKING:
    from misora.world.scenes import Mix
    from misora.world.shot import Shot
    from misora.world.takes import Picture

SPAN = 256  # seeds whose clips make one shard
Source = Callable[[Sequence[int]], Generator[Clip, None, None]]  # seeds to clips, one each and in any fixed order


def device_of(name: str) -> torch.device:
    """The device called ``cpu``, ``cuda`` or ``mps``. Raises UsageError where this machine, or its torch, has none."""
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"There is no device {name!r} for this PyTorch; leave --device out to compute on the CPU.") from error


def can_draw() -> bool:
    """Whether there is a CUDA card that numba can use; without one the CPU draws."""
    from misora.world import render_cuda

    return render_cuda.is_available()


def fill_spans(
    folder: Path,
    clips_of: Source,
    autoencoder: Autoencoder,
    *,
    seeds: range,
    kinds: str,
    hash: str,
    name: str,
    minutes: float | None = None,
) -> int:
    """Make the shards of ``seeds`` that ``folder`` lacks, one for every ``SPAN`` seeds; returns how many clips were added.

    With ``minutes`` no second span is begun that would, at the pace of the slowest one so far, end later. Raises UsageError where the
    shards that are there come from another autoencoder.
    """
    started = time.monotonic()

    def path_of(span: range) -> Path:
        return folder / f"{name}-{span.start:08d}-0000000.safetensors"  # as ``fill`` names a first shard

    spans = [seeds[start : start + SPAN] for start in range(0, len(seeds), SPAN)]
    done = {span: path_of(span) for span in spans if path_of(span).exists()}
    if done and Shard(next(iter(done.values()))).autoencoder != hash:
        raise UsageError(f"{folder} holds latents of another autoencoder; give another folder, or remove them first.")
    wanted = [span for span in spans if span not in done]
    written, slowest = 0, 0.0
    with closing(clips_of(list(itertools.chain(*wanted)))) as clips:
        for span in wanted:
            begun = time.monotonic()
            if minutes is not None and slowest and begun - started + slowest > minutes * 60:
                break
            some = itertools.islice(clips, len(span))
            written += fill(folder, some, autoencoder, kinds=kinds, hash=hash, name=f"{name}-{span.start:08d}", shard=SPAN)
            slowest = max(slowest, time.monotonic() - begun)
    return written


def drawn(
    seeds: Sequence[int],
    shoot: Callable[[Shot, Truth, Picture], Clip | None],
    *,
    mix: Mix,
    picture: Picture,
    held_out: bool,
    workers: int,
) -> Generator[Clip, None, None]:
    """The clips of many seeds, as ``make_clip`` makes them: staged by worker processes, drawn by ``shoot`` in this one.

    What turns out not to show all that is told goes back to the workers for the seed's next scene. Two spans are staged ahead.
    """
    stage = functools.partial(staged, mix=mix, picture=picture, held_out=held_out)
    spans = [[(seed, 0) for seed in seeds[start : start + SPAN]] for start in range(0, len(seeds), SPAN)]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        coming = [pool.map_async(stage, span, chunksize=1) for span in spans[:2]]
        for span, ahead in itertools.zip_longest(spans, spans[2:]):
            scenes, waiting = coming.pop(0).get(), span
            if ahead:
                coming.append(pool.map_async(stage, ahead, chunksize=1))
            while waiting:
                again = []
                for (seed, number), scene in zip(waiting, scenes, strict=True):
                    clip = shoot(*scene, picture)
                    if clip:
                        yield clip
                    else:
                        again.append((seed, number + 1))
                waiting, scenes = again, pool.map(stage, again, chunksize=1) if again else []


def staged(key: tuple[int, int], mix: Mix, picture: Picture, held_out: bool) -> tuple[Shot, Truth]:
    """The (seed, number)-th scene, undrawn."""
    from misora.world.make import staged_scenes

    seed, number = key
    return next(itertools.islice(staged_scenes(seed, mix, picture, held_out=held_out), number, None))


def shoot_on_card(shot: Shot, truth: Truth, picture: Picture) -> Clip | None:
    """``world.make.shoot``, drawn on the card."""
    from misora.world import render_cuda
    from misora.world.make import with_masks

    frames, ids = render_cuda.draw(shot, height=picture.size[0], width=picture.size[1])  # t h w 3, t h w
    seen = with_masks(truth, ids.copy_to_host(), picture)
    return Clip(frames=frames.copy_to_host(), frame_rate=picture.frame_rate, truth=seen) if seen else None
