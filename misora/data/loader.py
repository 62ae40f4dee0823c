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
from misora.data.shards import Record, Shard, cards_of
from misora.words.tell import Language, tell, tell_again

AGAIN = 0.5  # share of the cuts whose second shot is told as one of "the same things": what is not said is to be seen in the first


@dataclasses.dataclass(frozen=True, kw_only=True)
class Serving:
    """One ingredient of a mixture: how many latent frames of which folder, in batches of how many, and how often."""

    folder: str
    frames: int
    batch: int
    share: float
    jitter: int = 0  # up to this many latent frames fewer, drawn per batch
    anywhere: bool = False  # begin at any latent frame of a clip, not only at its first


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Samples of one shape. The captions are drawn afresh, half English and half Japanese, some left empty for guidance."""

    latents: Tensor  # b c t h w, bfloat16
    labels: Tensor  # b 2 t h/2 w/2, uint8
    kinds: str
    captions: list[str]
    cards: Tensor | None = None  # [b, t] which of the captions rules each latent frame; None: caption i all of clip i
    part: slice = dataclasses.field(default_factory=lambda: slice(None))  # which rows of the whole batch these are
    whole: int = 0  # how many rows the whole batch has


class _Bucket:
    """All samples of one shape in one folder, addressed by one running number."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards, self.several = shards, shards[0].several
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
        kinds = bucket.shards[0].kinds
        frames = min(serving.frames - rng.randint(0, serving.jitter), len(kinds))
        start = rng.randint(0, len(kinds) - frames) if serving.anywhere else 0
        picks = [(*bucket.find(rng.randrange(bucket.ends[-1])), rng.getrandbits(64)) for _ in range(serving.batch)][part]
        rows = [shard.read(row, frames, start) for shard, row, _ in picks]
        window = slice(start, start + frames)
        told = [
            self._told(shard.records[row], cards_of(shard.records[row], kinds)[window], random.Random(seed)) for shard, row, seed in picks
        ]
        captions, cards = _gathered(told)
        return Batch(
            latents=torch.stack([latents for latents, _ in rows]),  # b c t h w
            labels=torch.stack([labels for _, labels in rows]),  # b 2 t h/2 w/2
            kinds=kinds[window],
            captions=captions,
            cards=cards if bucket.several else None,
            part=part,
            whole=serving.batch,
        )

    def _told(self, record: Record, cards: list[int], rng: random.Random) -> tuple[list[str], list[int]]:
        """A caption for each card that is seen, in one language, and which of them each latent frame has."""
        language: Language = rng.choice(("en", "ja"))
        seen = sorted(set(cards))
        texts = [tell(record.graph, card, rng, language).text for card in seen]
        untold = rng.random() < self.empty
        if len(seen) > 1 and record.graph.cards[seen[-1]].cut and rng.random() < AGAIN:
            texts[-1] = tell_again(record.graph, seen[-1], rng, language)
            texts[0] = texts[-1] if rng.random() < 0.4 else ""  # a reference has no text of its own
        return [""] * len(seen) if untold else texts, [seen.index(card) for card in cards]


def _gathered(told: Sequence[tuple[list[str], list[int]]]) -> tuple[list[str], Tensor]:
    """All clips' captions in one list, and each frame's place in it, [b, t]."""
    captions = [text for texts, _ in told for text in texts]
    starts = itertools.accumulate((len(texts) for texts, _ in told), initial=0)
    return captions, torch.tensor([[start + place for place in places] for start, (_, places) in zip(starts, told, strict=False)])


def _buckets(folder: Path) -> list[_Bucket]:
    """One bucket for every shape and sequence of kinds found in a folder, clips of several cards by themselves."""
    shards = [Shard(path) for path in sorted(folder.glob("*.safetensors"))]
    if not shards:
        raise UsageError(f"There are no shards in {folder}; make some first with `misora world {folder}`.")
    key = lambda shard: (shard.shape, shard.kinds, shard.several)
    return [_Bucket(list(group)) for _, group in itertools.groupby(sorted(shards, key=key), key)]
