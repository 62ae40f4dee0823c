"""Latent clips on disk: one safetensors file per shard, one shape per shard, memory-mapped; it knows nothing of networks or sampling.

A shard holds ``latents`` [n, c, t, h, w] in bfloat16 and ``labels`` [n, 2, t, h/2, w/2] in uint8 (per token: 0 where there is no
object, else 1 + its index in ``COLOURS`` and in ``SHAPES``); its metadata holds the kinds of the latent frames, the name of the
autoencoder's code (``Autoencoder.code``), and per sample the scene graph and the card that is told.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from misora.client.errors import CheckpointError
from misora.words.graph import SceneGraph


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """What is told of one sample: a scene graph and which of its cards the latents show."""

    graph: SceneGraph
    card: int = 0


def write_shard(path: Path, latents: Tensor, labels: Tensor, records: Sequence[Record], *, kinds: str, autoencoder: str) -> None:
    """Write one shard atomically. ``autoencoder`` names the code of the latents; shapes as in the module's docstring."""
    assert len(latents) == len(labels) == len(records) and latents.shape[2] == len(kinds)
    told = [json.dumps({"graph": record.graph.to_json(), "card": record.card}) for record in records]
    metadata = {"kinds": kinds, "autoencoder": autoencoder, "records": json.dumps(told)}
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        save_file({"latents": latents.to(torch.bfloat16).contiguous(), "labels": labels.contiguous()}, beside, metadata=metadata)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def cards_of(record: Record, kinds: str, frame_rate: float = 12.0) -> list[int]:
    """The card that rules each latent frame: the one under which its middle pixel frame lies. A record of one card has no choice."""
    if len(record.graph.cards) == 1:
        return [record.card] * len(kinds)
    lengths = [1 if kind == "S" else 4 for kind in kinds]
    middles = [(sum(lengths[:i]) + (length - 1) / 2) / frame_rate for i, length in enumerate(lengths)]
    return [max(n for n, card in enumerate(record.graph.cards) if n == 0 or card.start <= middle) for middle in middles]


class Shard:
    """One shard opened for reading: rows are read when asked for, never the whole file."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = safe_open(path, framework="pt")
            metadata = self._file.metadata()
            self._latents, self._labels = self._file.get_slice("latents"), self._file.get_slice("labels")
            self.kinds, self.autoencoder = metadata["kinds"], metadata["autoencoder"]
            told = [json.loads(text) for text in json.loads(metadata["records"])]
            self.records = [Record(graph=SceneGraph.from_json(row["graph"]), card=row["card"]) for row in told]
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path} is not a whole shard of latents; delete it and make it again with `misora world`.") from error
        self.path = path

    @property
    def shape(self) -> tuple[int, ...]:
        """``(c, t, h, w)`` of every sample in the shard."""
        return tuple(self._latents.get_shape()[1:])

    def __len__(self) -> int:
        return len(self.records)

    @property
    def several(self) -> bool:
        """Whether a sample has more than one card, so that its frames have captions of their own."""
        return any(len(record.graph.cards) > 1 for record in self.records)

    def read(self, row: int, frames: int, start: int = 0) -> tuple[Tensor, Tensor]:
        """``frames`` latent frames of a sample, the first ones (a causal code's prefix is a clip) or those from ``start`` on.

        Returns latents ``[c, t, h, w]`` and labels ``[2, t, h/2, w/2]``.
        """
        latents = self._latents[row : row + 1, :, start : start + frames]  # 1 c t h w
        labels = self._labels[row : row + 1, :, start : start + frames]  # 1 2 t h/2 w/2
        return latents[0], labels[0]
