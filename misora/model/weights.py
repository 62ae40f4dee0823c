"""The networks of a model, from a folder, checked before use; it knows nothing of prompts or of training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from misora.client.errors import CheckpointError
from misora.model import checkpoint, hub, lora
from misora.model.autoencoder import Autoencoder, AutoencoderConfig
from misora.model.linear import reorder
from misora.model.painter import Painter, PainterConfig
from misora.model.text import TextEncoder
from misora.model.transformer import Transformer, TransformerConfig
from misora.model.wan import load_transformer, read_json
from misora.model.wan_config import SUPPORTED
from misora.model.wan_pixels import WanPixels, load_pixels
from misora.model.wan_text import WanText

EMBEDDED = Path(__file__).parent.parent / "weights" / "v1"
FILES = ("autoencoder", "transformer", "text")

Network = TypeVar("Network", bound=nn.Module)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weights:
    """What turns a prompt into pixels. ``dtype`` is what all but the text encoder compute in; tensors between networks are float32.

    A folder without a painter is served by a plain resampler.
    """

    autoencoder: Autoencoder
    transformer: Transformer
    text: TextEncoder
    dtype: torch.dtype = torch.float32
    painter: Painter | None = None


def folder_of(model: str | Path, files: tuple[str, ...] = FILES) -> Path:
    """The folder of a model: ``embedded`` or a path that holds the ``files`` that are needed. Raises CheckpointError."""
    folder = EMBEDDED if str(model) == "embedded" else Path(model)
    missing = [name for name in files if not (folder / f"{name}.safetensors").is_file()]
    if missing:
        where = "this installation" if folder == EMBEDDED else str(folder)
        raise CheckpointError(f"There is no {missing[0]}.safetensors in {where}; give --model a folder with {', '.join(files)}.")
    return folder


@dataclasses.dataclass(frozen=True, kw_only=True)
class WanWeights:
    """What turns a prompt into pixels with weights of the Wan family, and how its authors sample from them."""

    autoencoder: WanPixels
    transformer: Transformer
    text: WanText
    dtype: torch.dtype = torch.float32
    rate: float = 16.0  # frames per second that it was trained on
    shift: float = 3.0  # of noise levels, see ``flow.schedule.shifted``
    solver: str = "unipc"  # see ``flow.solvers``
    given_first: bool = False  # whether it learned that a clean first frame may be given
    steps: int = 30
    guidance: float = 5.0


def load_wan(model: str | Path) -> WanWeights:
    """Open a name, a hub id or a folder of the Wan family, already here. Raises CheckpointError, MissingExtraError."""
    folder, dtype = hub.folder_of(str(model)), fast_dtype()
    if not (folder / "vae").is_dir() or not (folder / "text_encoder").is_dir():
        missing = "vae" if not (folder / "vae").is_dir() else "text_encoder"
        raise CheckpointError(
            f"{folder} has no {missing}/ in diffusers' layout; put the one of `misora models pull wan2.1-t2v-1.3b` there."
        )
    told = read_json(folder / "model_index.json") if (folder / "model_index.json").is_file() else {}
    plan = folder / "scheduler" / "scheduler_config.json"
    sampler = read_json(plan) if plan.is_file() else {}
    shift = sampler.get("flow_shift", sampler.get("shift"))
    if told.get("transformer_2", [None])[0] is not None:  # type: ignore[index]
        raise CheckpointError(f"{folder} shares its work between two transformers, which Misora does not run; give weights of {SUPPORTED}.")
    transformer = load_transformer(folder, dtype)
    first = bool(told.get("expand_timesteps", transformer.config.channels == 48))
    return WanWeights(
        autoencoder=load_pixels(folder),
        transformer=transformer,
        text=WanText(folder, hub.cache().parent / "misora-text", dtype),
        dtype=dtype,
        rate=24.0 if first else 16.0,
        shift=float(shift) if isinstance(shift, int | float) else 3.0,
        solver="euler" if "Euler" in str(sampler.get("_class_name")) else "unipc",
        given_first=first,
    )


def open_weights(model: str | Path = "embedded", loras: Mapping[str, float] | None = None) -> Weights | WanWeights:
    """The networks of ``embedded``, of a folder of ours, or of the Wan family by name, id or folder. Raises CheckpointError.

    ``loras``: LoRA files for Wan and how strongly each is merged into the transformer.
    """
    known = hub.repository_of(str(model)) is not None or (Path(model) / "transformer").is_dir()
    weights = load_wan(model) if known and not is_ours(model) else load_weights(model)
    if loras and not isinstance(weights, WanWeights):
        raise CheckpointError("LoRA files are for weights of the Wan family; give --model the ones that they were made for.")
    for path, strength in (loras or {}).items():
        lora.merge(weights.transformer, lora.read(path, weights.transformer.config), strength)
    reorder(weights.transformer.blocks)
    return weights


def is_ours(model: str | Path) -> bool:
    """Whether a model is one of Misora's own checkpoints and not of the Wan family."""
    return str(model) == "embedded" or (Path(model) / "text.safetensors").is_file()


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


def load_weights(model: str | Path = "embedded") -> Weights:
    """Read, check and build the networks of ``embedded`` or of a folder. Raises CheckpointError."""
    folder, dtype = folder_of(model), fast_dtype()
    return Weights(
        autoencoder=_network(folder, "autoencoder", lambda config: Autoencoder(AutoencoderConfig(**config))).to(dtype),
        transformer=_network(folder, "transformer", lambda config: Transformer(TransformerConfig(**config))).to(dtype),
        text=_network(folder, "text", TextEncoder.from_config),
        dtype=dtype,
        painter=load_painter(folder, dtype),
    )


def fast_dtype() -> torch.dtype:
    """bfloat16 where the processor multiplies matrices in it, else float32."""
    return torch.bfloat16 if torch.cpu._is_amx_tile_supported() else torch.float32


def _network(folder: Path, name: str, build: Callable[[dict[str, Any]], Network]) -> Network:
    path = folder / f"{name}.safetensors"
    tensors, config = checkpoint.load(path)
    try:
        network = build(config)
    except (TypeError, KeyError, ValueError):
        raise CheckpointError(f"{path} holds no {name} that this version knows; update Misora or give another --model.") from None
    checkpoint.load_into(network, tensors)
    return network.eval()
