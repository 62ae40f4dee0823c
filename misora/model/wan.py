"""A transformer of the Wan family from files in either of its layouts, every name and shape checked first; it knows no text or pixels."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from misora.client.errors import CheckpointError
from misora.model import layers, lora, wan_keys
from misora.model.blocks import Blocks, moved, put
from misora.model.linear import reorder
from misora.model.packed import pack
from misora.model.shards import Shards
from misora.model.transformer import Transformer, TransformerConfig
from misora.model.wan_config import OTHERS, SUPPORTED, from_json, from_shapes
from misora.model.wan_parts import Part, part_of


class Named(Protocol):
    """Tensors by name, in memory or in files."""

    def __getitem__(self, name: str, /) -> Tensor: ...


FPS = ("fps_embedding.weight", r"fps_projection\.(net\.0\.proj|0)\.\w+", r"fps_projection\.(net\.2|2)\.\w+")  # SkyReels-V2's alone
EXACT = ("noise.", "modulation", "norm")  # kept in float32 whatever the rest computes in, as Wan does


@dataclasses.dataclass(frozen=True, kw_only=True)
class Theirs:
    """Tensors by their own names, which ``names`` gives for those of ``places``, and what ours are to be made of them in."""

    config: TransformerConfig
    places: dict[str, wan_keys.Place]
    names: Mapping[str, str]
    tensors: Named
    where: str
    dtype: torch.dtype
    changes: list[tuple[lora.Change, float]] = dataclasses.field(default_factory=list)  # LoRA's, added before anything is rounded
    beside: dict[str, list[lora.Change]] = dataclasses.field(default_factory=dict)  # LoRA's by their files, not added but worked out beside
    strengths: dict[str, float] = dataclasses.field(default_factory=dict)  # of those, at the moment

    def check(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Whether all their tensors have the ``shapes`` that ours are made of; nothing is read. Raises CheckpointError."""
        with torch.device("meta"):
            like = Transformer(dataclasses.replace(self.config, depth=1))
            for name, parts in self._parts().items():
                given = [torch.empty(shapes[self.names[part]]) for part in parts]
                self._joined(parts, given, like.get_parameter(re.sub(r"^blocks\.\d+", "blocks.0", name)).shape)

    def fill(self, module: nn.Module, prefix: str = "", leave_out: str = "-") -> None:
        """Put in all parameters of ours that begin with ``prefix`` and not with ``leave_out``. Raises CheckpointError."""
        for name, parts in self._parts().items():
            if name.startswith(prefix) and not name.startswith(leave_out):
                inside = name.removeprefix(prefix)
                put(module, inside, self._made(name, parts, module.get_parameter(inside).shape))

    def _parts(self) -> dict[str, list[str]]:
        """Which of theirs make each of ours, in order."""
        made: dict[str, list[str]] = {}
        for theirs, place in self.places.items():
            made.setdefault(place.name, []).append(theirs)
        return made

    def attach(self, module: nn.Module, prefix: str = "", leave_out: str = "-") -> None:
        """Let what works beside the layers work in those that ``fill`` filled. Raises CheckpointError."""
        for file, changes in self.beside.items():
            inside = [change for change in changes if not change.name.startswith(leave_out)]
            lora.attach(module, file, inside, self.strengths, prefix)

    def _made(self, name: str, parts: list[str], wanted: torch.Size) -> Tensor:
        """One of our parameters of the parts that they have for it, in order."""
        made = self._joined(parts, [self.tensors[self.names[part]] for part in parts], wanted)
        for change, strength in self.changes:
            made = lora.added(made, change, strength) if change.name == name else made
        return made.to(torch.float32 if any(word in name for word in EXACT) else self.dtype, copy=True).contiguous()

    def _joined(self, parts: list[str], given: list[Tensor], wanted: torch.Size) -> Tensor:
        try:
            made = wan_keys.joined([wan_keys.arrange(self.places[part], one, self.config) for part, one in zip(parts, given, strict=True)])
        except (RuntimeError, IndexError):
            made = given[0]
        if made.shape != wanted:
            shapes = f"{tuple(made.shape)} instead of {tuple(wanted)}"
            raise CheckpointError(f"{parts[0]!r} in {self.where} is {shapes}: it belongs to another size; fetch it again.")
        return made


class Source:
    """The files of a transformer as ours wants them, checked: all but its blocks, and one block after the other. Raises CheckpointError.

    ``packed`` is the kind of bytes that the larger matrices of blocks are kept in, None for none.
    """

    def __init__(self, part: Part, dtype: torch.dtype = torch.float32, packed: str | None = None) -> None:
        self.packed, self.shards = packed, Shards(part.folder, part.files)
        config, names, places = _looked_over(part.folder, self.shards)
        self.config, self.fps = config, FPS[0] in self.shards.shapes
        self.theirs = Theirs(config=config, places=places, names=names, tensors=self.shards, where=str(part.folder), dtype=dtype)
        self.theirs.check(self.shards.shapes)

    def outer(self) -> Transformer:
        """The network without its blocks."""
        network = _empty(dataclasses.replace(self.config, depth=0))
        network.config = self.config
        self.theirs.fill(network, leave_out="blocks.")
        if self.fps:
            network.noise_table.bias.data += self._speed().to(network.noise_table.bias.dtype)
        self.theirs.attach(network, leave_out="blocks.")
        self.shards.close()
        return network

    def _speed(self) -> Tensor:
        """What SkyReels-V2 adds to the modulation for a clip of 24 frames per second."""
        row = self.shards[FPS[0]][1].float()  # d
        first, last = ([self.shards[name].float() for name in self.shards if re.fullmatch(where, name)] for where in FPS[1:])
        (b1, w1), (b2, w2) = (sorted(pair, key=lambda tensor: tensor.ndim) for pair in (first, last))
        return F.silu(row @ w1.T + b1) @ w2.T + b2  # 6d

    def block(self, i: int) -> nn.Module:
        """Its block ``i``, on the processor."""
        with torch.device("meta"):
            block = layers.Block(self.config.width, self.config.heads, self.config.hidden, self.config.activation, self.config.bias)
        self.theirs.fill(block, prefix=f"blocks.{i}.")
        self.shards.close()
        made = pack(block.eval(), self.packed)
        self.theirs.attach(made, f"blocks.{i}.")
        return made


def load_transformer(where: str | Path, dtype: torch.dtype = torch.float32) -> Transformer:
    """The transformer in a folder (its own, a whole pipeline's) or in one file, whole. Raises CheckpointError.

    No more than one layer's tensors are held beside the network at any time.
    """
    source = Source(part_of(Path(where), "transformer"), dtype)
    network = source.outer()
    network.blocks = nn.ModuleList(source.block(i) for i in range(source.config.depth))
    return network


def open_transformer(source: Source, device: torch.device) -> Transformer:
    """The transformer whose blocks are still in their files: ``blocks.hold()`` brings them all. Raises CheckpointError."""
    network = source.outer().to(device)
    bring = (lambda i: reorder(source.block(i))) if device.type == "cpu" else (lambda i: moved(source.block(i), device))
    network.blocks = Blocks(bring, source.config.depth)  # type: ignore[assignment]
    return network


def adopt(
    config: TransformerConfig, places: dict[str, wan_keys.Place], names: Mapping[str, str], tensors: Named, where: str, dtype: torch.dtype
) -> Transformer:
    """Ours made of theirs: ``tensors`` by their own names, which ``names`` gives for those of ``places``. Raises CheckpointError."""
    network = _empty(config)
    Theirs(config=config, places=places, names=names, tensors=tensors, where=where, dtype=dtype).fill(network)
    return network


def _empty(config: TransformerConfig) -> Transformer:
    """The network without contents, but for the zeros that Wan does not have."""
    with torch.device("meta"):
        network = Transformer(config)
    for name in wan_keys.OURS_ALONE:
        put(network, name, torch.zeros_like(network.get_parameter(name), device="cpu"))
    return network.eval()


def look(where: str | Path) -> TransformerConfig:
    """The shape of the transformer in a folder or a file, its names checked and nothing else read. Raises CheckpointError."""
    return Source(part_of(Path(where), "transformer")).config


@contextlib.contextmanager
def quiet(where: Path) -> Iterator[None]:
    """Other libraries load from ``where`` without a word; what they cannot load becomes a CheckpointError."""
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        first = str(error).splitlines()[0].rstrip(".") if str(error) else repr(error)
        raise CheckpointError(f"{where} cannot be loaded ({first}); fetch it again with `misora models pull`.") from error


def read_json(path: Path) -> dict[str, object]:
    """What a JSON file holds. Raises CheckpointError."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); fetch it again.") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path} holds no JSON object; fetch it again.")
    return found


def _looked_over(folder: Path, shards: Shards) -> tuple[TransformerConfig, dict[str, str], dict[str, wan_keys.Place]]:
    """The shape, the files' own name for each of the layout's names, and where each of those stands in ours. Raises CheckpointError."""
    names = {wan_keys.bare(name): name for name in shards if not name.startswith("fps_")}
    config, layout = _shape(folder, shards, names)
    places = wan_keys.tensors(config.depth, layout)
    _check_names(names, places, folder)
    return config, names, places


def _shape(folder: Path, shards: Shards, names: dict[str, str]) -> tuple[TransformerConfig, str]:
    told = folder / "config.json"
    config = from_json(read_json(told), str(folder)) if folder.is_dir() and told.is_file() else None
    layout = wan_keys.layout_of(names)
    if config is None and (other := next((OTHERS[name] for name in OTHERS if name in names), None)):
        raise CheckpointError(f"{folder} holds {other}, which Misora does not run; give weights of {SUPPORTED}.")
    if layout is None:
        raise CheckpointError(f"{folder} holds no transformer that Misora knows; give weights of {SUPPORTED}.")
    shapes = {name: shards.shapes[found] for name, found in names.items()}
    return config or from_shapes(shapes, layout, str(folder)), layout


def _check_names(names: Iterable[str], places: Iterable[str], folder: Path) -> None:
    missing, unknown = sorted(set(places) - set(names)), sorted(set(names) - set(places))
    if missing:
        raise CheckpointError(f"{folder} lacks {missing[0]!r} and {len(missing) - 1} more of its tensors; fetch it again.")
    if any(".to_gate_compress." in name for name in unknown):
        what = "video sparse attention (FastWan), which Misora does not run; give those of full attention"
        raise CheckpointError(f"{folder} was taught with {what}, such as FastVideo/FastWan2.2-TI2V-5B-FullAttn-Diffusers.")
    if unknown:
        more = f"{unknown[0]!r} and {len(unknown) - 1} more tensors"
        raise CheckpointError(f"{folder} holds {more} that plain Wan lacks; give weights of {SUPPORTED}.")
