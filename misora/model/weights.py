"""The networks of a model, from a folder, checked before use; it knows nothing of prompts or of training."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from misora.client.errors import CheckpointError
from misora.model import amx, checkpoint, heap, hub
from misora.model.autoencoder import Autoencoder, AutoencoderConfig
from misora.model.linear import reorder
from misora.model.painter import Painter, PainterConfig
from misora.model.text import TextEncoder
from misora.model.transformer import Transformer, TransformerConfig
from misora.model.wan_weights import Loading, WanWeights, compute_type, device_of, is_open, load_wan

__all__ = ["EMBEDDED", "Loading", "WanWeights", "Weights", "load_weights", "open_weights"]

EMBEDDED = Path(__file__).parent.parent / "weights" / "v1"
FILES = ("autoencoder", "transformer", "text")

PLAIN = Loading()

Network = TypeVar("Network", bound=nn.Module)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weights:
    """What turns a prompt into pixels. ``dtype`` is what all but the text encoder compute in; tensors between networks are float32.

    A folder without a painter is served by a plain resampler. All but the painter, whose pictures are bytes as a processor likes them, work
    on ``device``.
    """

    autoencoder: Autoencoder
    transformer: Transformer
    text: TextEncoder
    dtype: torch.dtype = torch.float32
    painter: Painter | None = None
    device: torch.device = torch.device("cpu")


def folder_of(model: str | Path, files: tuple[str, ...] = FILES) -> Path:
    """The folder of a model: ``embedded`` or a path that holds the ``files`` that are needed. Raises CheckpointError."""
    folder = EMBEDDED if str(model) == "embedded" else Path(model)
    missing = [name for name in files if not os.path.isfile(folder / f"{name}.safetensors")]
    if missing and not os.path.exists(folder):
        raise CheckpointError(hub.unknown(str(model)))
    if missing:
        where = "this installation" if folder == EMBEDDED else str(folder)
        raise CheckpointError(f"There is no {missing[0]}.safetensors in {where}; give --model a folder with {', '.join(files)}.")
    return folder


def open_weights(model: str | Path = "embedded", loras: Mapping[str, float] | None = None, how: Loading = PLAIN) -> Weights | WanWeights:
    """The networks of ``embedded``, of a folder of ours, or of the Wan family by name, id or folder. Raises CheckpointError, UsageError.

    For Wan alone: LoRA files and how strongly each works, and ``how`` they are loaded; for all of them, on which device. Without one Wan's
    work on the best there is, ours on the processor.
    """
    heap.share()
    amx.prepare()
    if is_open(model):
        return load_wan(model, dataclasses.replace(how, loras=loras or {}))
    if loras or how.packed:
        what = "LoRA files are" if loras else "Packed matrices are"
        raise CheckpointError(f"{what} for weights of the Wan family; give --model the ones that they were made for.")
    weights = load_weights(model, how.device)
    reorder(weights.transformer.blocks)
    return weights


def is_ours(model: str | Path) -> bool:
    """Whether a model is one of Misora's own checkpoints and not of the Wan family."""
    return not is_open(model)


def load_autoencoder(folder: Path) -> tuple[Autoencoder, str]:
    """A folder's autoencoder in float32, and the name of the latents that it makes. Raises CheckpointError."""
    network = _network(folder, "autoencoder", lambda config: Autoencoder(AutoencoderConfig(**config)))
    return network, network.code()


def load_text(folder: Path) -> TextEncoder:
    """A folder's text encoder. Raises CheckpointError."""
    return _network(folder, "text", TextEncoder.from_config)


def load_painter(folder: Path, dtype: torch.dtype = torch.float32) -> Painter | None:
    """A folder's painter, if it has one. Raises CheckpointError."""
    if not (folder / "painter.safetensors").is_file():
        return None
    return _network(folder, "painter", lambda config: Painter(PainterConfig(**config))).to(dtype)


def load_weights(model: str | Path = "embedded", device: str | None = None) -> Weights:
    """Read, check and build the networks of ``embedded`` or of a folder, on the processor or another device.

    Raises CheckpointError, and UsageError where there is no such device.
    """
    where = device_of(device or "cpu")
    folder, dtype = folder_of(model), compute_type(where)
    return Weights(
        autoencoder=_network(folder, "autoencoder", lambda config: Autoencoder(AutoencoderConfig(**config))).to(where, dtype),
        transformer=_network(folder, "transformer", lambda config: Transformer(TransformerConfig(**config))).to(where, dtype),
        text=_network(folder, "text", TextEncoder.from_config).to(where),
        dtype=dtype,
        painter=load_painter(folder, fast_dtype()),
        device=where,
    )


def fast_dtype() -> torch.dtype:
    """bfloat16 where the processor multiplies matrices in it, else float32."""
    return torch.bfloat16 if torch.cpu._is_amx_tile_supported() else torch.float32


def _network(folder: Path, name: str, build: Callable[[dict[str, Any]], Network]) -> Network:
    path = folder / f"{name}.safetensors"
    tensors, config = checkpoint.load(path)
    try:
        network = build(config)
    except Exception:  # a configuration may say anything, and what builds the network answers in several kinds
        raise CheckpointError(f"{path} holds no {name} that this version knows; update Misora or give another --model.") from None
    checkpoint.load_into(network, tensors)
    return network.eval()
