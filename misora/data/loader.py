"""Batches of mixed durations and aspects out of shards, as a pure function of (seed, step); it knows nothing of networks."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import random
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from misora.client.errors import UsageError
from misora.data.shards import Record, Shard
from misora.words.tell import tell


@dataclasses.dataclass(frozen=True, kw_only=True)
class Serving:
    """One ingredient of a mixture: how many latent frames of which folder, in batches of how many, and how often."""

    folder: str
    frames: int
    batch: int
    share: float
    jitter: int = 0  # up to this many latent frames fewer, drawn per batch


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Samples of one shape. The captions are drawn afresh, half English and half Japanese, some left empty for guidance."""

    latents: Tensor  # b c t h w, bfloat16
    labels: Tensor  # b 2 t h/2 w/2, uint8
    kinds: str
    captions: list[str]
    part: slice = dataclasses.field(default_factory=lambda: slice(None))  # which rows of the whole batch these are
    whole: int = 0  # how many rows the whole batch has


class _Bucket:
    """All samples of one shape in one folder, addressed by one running number."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards = shards
        self.ends = list(itertools.accumulate(len(shard) for shard in shards))

    def find(self, number: int) -> tuple[Shard, int]:
        which = bisect.bisect_right(self.ends, number)
        return self.shards[which], number - (self.ends[which - 1] if which else 0)


class Loader:
    """Endless batches: ``loader.batch(step)`` is the same for the same seed, shards and step, so a resumed run sees what it would have."""

    def __init__(self, root: Path, servings: Sequence[Serving], *, seed: int, empty: float = 0.1) -> None:
        self.servings, self.seed, self.empty = list(servings), seed, empty
        self._buckets = {serving.folder: _buckets(root / serving.folder) for serving in servings}
        self._hashes: set[str] = {shard.autoencoder for found in self._buckets.values() for bucket in found for shard in bucket.shards}
        if len(self._hashes) > 1:
            raise UsageError(f"The shards under {root} come from {len(self._hashes)} different autoencoders; keep those of one.")

    @property
    def autoencoder(self) -> str:
        """Hash of the autoencoder that made the latents."""
        return next(iter(self._hashes))

    def __len__(self) -> int:
        return sum(bucket.ends[-1] for found in self._buckets.values() for bucket in found)

    def batch(self, step: int, part: slice = slice(None)) -> Batch:
        """The batch of one step, or the ``part`` of its rows that falls to one of several processes."""
        rng = random.Random(f"{self.seed}:{step}")
        serving = rng.choices(self.servings, [serving.share for serving in self.servings])[0]
        buckets = self._buckets[serving.folder]
        bucket = rng.choices(buckets, [bucket.ends[-1] for bucket in buckets])[0]
        frames = serving.frames - rng.randint(0, serving.jitter)
        picks = [(*bucket.find(rng.randrange(bucket.ends[-1])), rng.getrandbits(64)) for _ in range(serving.batch)][part]
        rows = [shard.read(row, frames) for shard, row, _ in picks]
        return Batch(
            latents=torch.stack([latents for latents, _ in rows]),  # b c t h w
            labels=torch.stack([labels for _, labels in rows]),  # b 2 t h/2 w/2
            kinds=bucket.shards[0].kinds[:frames],
            captions=[self._caption(shard.records[row], random.Random(seed)) for shard, row, seed in picks],
            part=part,
            whole=serving.batch,
        )

    def _caption(self, record: Record, rng: random.Random) -> str:
        text = tell(record.graph, record.card, rng, rng.choice(("en", "ja"))).text
        return "" if rng.random() < self.empty else text


def _buckets(folder: Path) -> list[_Bucket]:
    """One bucket for every shape and sequence of kinds found in a folder."""
    shards = [Shard(path) for path in sorted(folder.glob("*.safetensors"))]
    if not shards:
        raise UsageError(f"There are no shards in {folder}; make some first with `misora world {folder}`.")
    key = lambda shard: (shard.shape, shard.kinds)
    return [_Bucket(list(group)) for _, group in itertools.groupby(sorted(shards, key=key), key)]
