"""The held-out prompt list on disk: scene graphs with a caption in each language; it knows nothing of how they were drawn."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

from misora.client.errors import MisoraError
from misora.words.graph import SceneGraph

HELDOUT_V1 = Path(__file__).with_name("heldout_v1.jsonl")
SEEDS = tuple(range(10))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Item:
    """One held-out scene. ``mirror``: the index in the list of the same scene seen in a mirror, where it is in the list."""

    graph: SceneGraph
    captions: dict[str, str]
    mirror: int | None = None


def write_items(path: Path, items: list[Item]) -> str:
    """Write the list, one JSON object a line, and its SHA-256 in the file beside it; returns that hash."""
    lines = [
        json.dumps({"graph": json.loads(item.graph.to_json()), "captions": item.captions, "mirror": item.mirror}, ensure_ascii=False)
        for item in items
    ]
    data = ("\n".join(lines) + "\n").encode()
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    path.with_suffix(".sha256").write_text(digest + "\n")
    return digest


def read_items(path: Path = HELDOUT_V1) -> list[Item]:
    """The list at ``path``; a MisoraError when it is not the one that was committed."""
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != path.with_suffix(".sha256").read_text().strip():
        raise MisoraError(f"{path.name} is not the list that was committed: its SHA-256 differs; restore it from the repository.")
    return [
        Item(graph=SceneGraph.from_json(json.dumps(raw["graph"])), captions=raw["captions"], mirror=raw["mirror"])
        for raw in map(json.loads, data.decode().splitlines())
    ]
