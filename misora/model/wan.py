"""A transformer of the Wan family from files in either of its layouts, every name and shape checked first; it knows no text or pixels."""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from misora.client.errors import CheckpointError
from misora.model import wan_keys
from misora.model.shards import Shards
from misora.model.transformer import Transformer, TransformerConfig
from misora.model.wan_config import SUPPORTED, from_json, from_shapes


class Named(Protocol):
    """Tensors by name, in memory or in files."""

    def __getitem__(self, name: str, /) -> Tensor: ...


EXACT = ("noise.", "modulation", "norm")  # kept in float32 whatever the rest computes in, as Wan does


def load_transformer(where: str | Path, dtype: torch.dtype = torch.float32) -> Transformer:
    """The transformer in a folder (its own, a whole pipeline's) or in one file. Raises CheckpointError.

    No more than one layer's tensors are held beside the network at any time.
    """
    folder = transformer_folder(Path(where))
    shards = Shards(folder)
    config, names, places = _looked_over(folder, shards)
    return adopt(config, places, names, shards, str(folder), dtype)


def adopt(
    config: TransformerConfig, places: dict[str, wan_keys.Place], names: Mapping[str, str], tensors: Named, where: str, dtype: torch.dtype
) -> Transformer:
    """Ours made of theirs: ``tensors`` by their own names, which ``names`` gives for those of ``places``. Raises CheckpointError."""
    with torch.device("meta"):
        network = Transformer(config)
    for name in wan_keys.OURS_ALONE:
        _put(network, name, torch.zeros_like(network.get_parameter(name), device="cpu"))
    for name, parts in _gathered(places).items():
        wanted = network.get_parameter(name).shape
        try:
            made = wan_keys.joined([wan_keys.arrange(places[part], tensors[names[part]], config) for part in parts])
        except RuntimeError:
            made = tensors[names[parts[0]]]
        if made.shape != wanted:
            shapes = f"{tuple(made.shape)} instead of {tuple(wanted)}"
            raise CheckpointError(f"{parts[0]!r} in {where} is {shapes}: it belongs to another size; fetch it again.")
        _put(network, name, made.to(torch.float32 if any(word in name for word in EXACT) else dtype).contiguous())
    return network.eval()


def _put(network: Transformer, name: str, tensor: Tensor) -> None:
    holder, _, last = name.rpartition(".")
    network.get_submodule(holder).register_parameter(last, nn.Parameter(tensor, requires_grad=False))


def look(where: str | Path) -> TransformerConfig:
    """The shape of the transformer in a folder or a file, its names checked and nothing else read. Raises CheckpointError."""
    folder = transformer_folder(Path(where))
    return _looked_over(folder, Shards(folder))[0]


def transformer_folder(where: Path) -> Path:
    """Where in a model's folder its transformer is: in ``transformer/`` of a pipeline, else the folder or the file itself."""
    inside = where / "transformer"
    return inside if inside.is_dir() else where


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
    names = {wan_keys.bare(name): name for name in shards}
    config, layout = _shape(folder, shards, names)
    places = wan_keys.tensors(config.depth, layout)
    _check_names(names, places, folder)
    return config, names, places


def _shape(folder: Path, shards: Shards, names: dict[str, str]) -> tuple[TransformerConfig, str]:
    told = folder / "config.json"
    config = from_json(read_json(told), str(folder)) if folder.is_dir() and told.is_file() else None
    layout = wan_keys.layout_of(names)
    if layout is None:
        raise CheckpointError(f"{folder} holds no transformer that Misora knows; give weights of {SUPPORTED}.")
    shapes = {name: shards.shapes[found] for name, found in names.items()}
    return config or from_shapes(shapes, layout, str(folder)), layout


def _check_names(names: Iterable[str], places: Iterable[str], folder: Path) -> None:
    missing, unknown = sorted(set(places) - set(names)), sorted(set(names) - set(places))
    if missing:
        raise CheckpointError(f"{folder} lacks {missing[0]!r} and {len(missing) - 1} more of its tensors; fetch it again.")
    if unknown:
        more = f"{unknown[0]!r} and {len(unknown) - 1} more tensors"
        raise CheckpointError(f"{folder} holds {more} that plain Wan lacks; give weights of {SUPPORTED}.")


def _gathered(places: dict[str, wan_keys.Place]) -> dict[str, list[str]]:
    """Which tensors of theirs make each of ours, in order."""
    made: dict[str, list[str]] = {}
    for theirs, place in places.items():
        made.setdefault(place.name, []).append(theirs)
    return made
