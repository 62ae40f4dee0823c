"""The networks of the Wan family in a folder, on the device that they are to work on, and how their authors sample; it knows no prompt."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch

from misora.client.errors import CheckpointError, UsageError
from misora.model import hub, lora, wan_parts
from misora.model.blocks import Blocks
from misora.model.hashes import verify
from misora.model.packed import KINDS
from misora.model.transformer import Transformer
from misora.model.wan import Source, open_transformer, read_json
from misora.model.wan_config import SUPPORTED
from misora.model.wan_parts import part_of
from misora.model.wan_pixels import WanPixels, load_pixels
from misora.model.wan_text import WanText

TEXT, FIRST, FORCED = "text", "first", "forced"  # what weights learned: text alone, also a clean first frame, any levels at all
EXPERTS = ("high_noise_model", "low_noise_model")  # Wan 2.2's pairs of 14 B in the original layout
FAST = (1.0, 0.757, 0.522)  # where FastWan's steps begin; each predicts clean latents, and noise is drawn anew
OURS = ("text.safetensors", "transformer.safetensors", "autoencoder.safetensors")  # what a folder of Misora's own weights holds


@dataclasses.dataclass(frozen=True, kw_only=True)
class WanWeights:
    """What turns a prompt into pixels with weights of the Wan family. The transformer's blocks are in files until they are held.

    ``learned`` is ``TEXT``, ``FIRST`` or ``FORCED``: it decides which verbs they can do (``render.learned``).
    """

    autoencoder: WanPixels
    transformer: Transformer
    text: WanText
    source: Source
    device: torch.device = torch.device("cpu")
    dtype: torch.dtype = torch.float32
    rate: float = 16.0  # frames per second that it was trained on
    shift: float = 3.0  # of noise levels, see ``flow.schedule.shifted``
    solver: str = "unipc"  # see ``flow.solvers``
    stops: tuple[float, ...] = ()  # the levels of those that were taught a few steps alone, see ``flow.schedule``
    learned: str = TEXT
    steps: int = 30
    guidance: float = 5.0
    limit: float | None = None  # bytes of the device's memory to take at most; None: what is free
    strengths: dict[str, float] = dataclasses.field(default_factory=dict)  # of live LoRAs, by their files: may be changed between two clips

    @property
    def blocks(self) -> Blocks:
        """The transformer's blocks, which may be in memory or in their files."""
        return cast("Blocks", self.transformer.blocks)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loading:
    """How weights are to be loaded: LoRA files and how strongly each, ``int8`` or ``fp8`` bytes, where (None: the best there is).

    ``memory``: bytes to take at most, None for what is free. ``live``: LoRAs stay beside the matrices, so that their strength can change.
    """

    loras: Mapping[str, float] = dataclasses.field(default_factory=dict)
    live: bool = False
    packed: str | None = None
    device: str | None = None
    memory: float | None = None


def load_wan(model: str | Path, how: Loading) -> WanWeights:
    """Open a name, a hub id, a folder or a file of the Wan family, already here. Raises CheckpointError, UsageError, MissingExtraError."""
    folder, device = hub.folder_of(str(model)), device_of(how.device)
    if how.packed not in (None, *KINDS):
        raise UsageError(f"Weights cannot be packed as {how.packed!r}; choose {' or '.join(KINDS)}.")
    dtype = compute_type(device)
    told, sampler = (_told(folder, name) for name in ("model_index.json", "scheduler/scheduler_config.json"))
    refuse(folder)
    source = Source(part_of(folder, "transformer"), dtype, how.packed)  # first what names another family
    if source.config.given_channels:
        what = f"{folder} reads a picture as {source.config.given_channels} channels beside the noise"
        raise CheckpointError(f"{what}, which Misora does not run; animate pictures with wan2.2-ti2v-5b.")
    text = WanText(folder, hub.cache().parent / "misora-text", dtype, device)
    learned = learned_by(told, source)
    rate = 16.0 if learned == TEXT else 24.0
    learned = FORCED if _changed(source, how) else learned
    for network in wan_parts.PLACES:
        verify(part_of(folder, network).files, hub.checked(), again=False)
    autoencoder = load_pixels(folder, device=device)
    if autoencoder.channels != source.config.channels:
        both = f"{autoencoder.channels} latent channels and the transformer {source.config.channels}"
        raise CheckpointError(f"The autoencoder in {folder} has {both}: they do not belong together; fetch both from one model.")
    return WanWeights(
        autoencoder=autoencoder,
        transformer=open_transformer(source, device),
        text=text,
        source=source,
        device=device,
        dtype=dtype,
        rate=rate,
        learned=learned,
        limit=how.memory,
        strengths=source.theirs.strengths,
        **_sampled(told, sampler),
    )


def _changed(source: Source, how: Loading) -> bool:
    """Give the transformer its LoRAs; whether one of them taught it any levels at all. Raises CheckpointError, UsageError."""
    forced = False
    for path, strength in how.loras.items():
        if not math.isfinite(strength):
            raise UsageError(f"The LoRA {path} cannot work {strength:g} times; give its strength as a number, for example 0.8.")
        changes = lora.read(path, source.config)
        if how.live:
            source.theirs.beside[path], source.theirs.strengths[path] = changes, strength
        else:
            source.theirs.changes.extend((change, strength) for change in changes)
        forced = forced or bool(strength and lora.taught_fills(path))
    return forced


def is_open(model: str | Path) -> bool:
    """Whether a model is a name or an id of the hub's, or a path that holds weights which are not Misora's own."""
    if str(model) == "embedded":
        return False
    if hub.repository_of(str(model)) is not None:
        return True
    path = Path(model).expanduser()
    if path.is_file():
        return True
    ours = any((path / name).is_file() for name in OURS)
    theirs = ("model_index.json", "transformer", "*.safetensors", "*.pth", "*.bin", *EXPERTS)
    return path.is_dir() and not ours and any(any(path.glob(name)) for name in theirs)


def learned_by(told: Mapping[str, Any], source: Source) -> str:
    """What weights learned, by what their files say of them."""
    if _is_skyreels(told) or source.fps:
        return FORCED
    return FIRST if told.get("expand_timesteps", source.config.channels == 48) else TEXT


def device_of(name: str | None) -> torch.device:
    """The device of a name, or the best of this machine. Raises UsageError."""
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = {"cuda": cards, "mps": int(torch.backends.mps.is_available()), "cpu": 1}  # how many of each
    kind, _, number = (name or next(kind for kind in there if there[kind])).partition(":")
    if not there.get(kind) or (number and not (number.isascii() and number.isdecimal() and int(number) < there[kind])):
        raise UsageError(
            f"This machine has no device {name!r} that torch can use; choose {', '.join(kind for kind in there if there[kind])}."
        )
    return torch.device(name or kind)


def compute_type(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies matrices in it, else float16 on cards and float32 on processors."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device.type == "mps":
        return torch.bfloat16 if torch.backends.mps.is_macos_or_newer(14, 0) else torch.float32
    return torch.bfloat16 if torch.cpu._is_amx_tile_supported() else torch.float32


def _told(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    return read_json(path) if path.is_file() else {}


def _sampled(told: Mapping[str, Any], sampler: Mapping[str, Any]) -> dict[str, Any]:
    """How the authors of weights sample them, by what their files say: the fields of ``WanWeights`` that this decides."""
    shift = sampler.get("flow_shift", sampler.get("shift"))
    made: dict[str, Any] = {"shift": float(shift) if isinstance(shift, int | float) else 3.0}
    if "DMD" in str(told.get("_class_name")):  # FastWan, whatever its scheduler's file says
        return made | {"solver": "euler", "stops": FAST, "steps": len(FAST), "guidance": 1.0}
    return made | {"solver": "euler" if "Euler" in str(sampler.get("_class_name")) else "unipc"}


def _is_skyreels(told: Mapping[str, Any]) -> bool:
    return "DiffusionForcing" in str(told.get("_class_name"))


def refuse(folder: Path) -> None:
    """Raise CheckpointError for a pipeline of another family, and for two transformers that share the work.

    Causal ones (Self-Forcing's and the like) look back only, so they are another network under the same names.
    """
    told = _told(folder, "model_index.json")
    family = str(told.get("_class_name", "Wan"))
    if not family.startswith(("Wan", "SkyReelsV2")) or "Causal" in family:
        raise CheckpointError(f"{folder} holds {family}, which Misora does not run; give weights of {SUPPORTED}.")
    if (told.get("transformer_2") or [None])[0] is not None or any((folder / name).is_dir() for name in EXPERTS):
        raise CheckpointError(f"{folder} shares its work between two transformers, which Misora does not run; give weights of {SUPPORTED}.")
