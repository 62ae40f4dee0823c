"""Weights on disk, checked by hash before use; it knows nothing of which network they belong to.

A checkpoint is a safetensors file (https://github.com/huggingface/safetensors) whose metadata holds three things: the format's
version, the configuration as JSON, and a SHA-256 over that configuration and every tensor's name, type, shape and bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from misora.client.errors import CheckpointError

VERSION = "1"
_HEADER, _HEADER_ENTRY = 8192, 256  # bytes of a file beside its tensors, and of each tensor's line there: both ample
PART = 15 * 2**20  # bytes of a part, at most
_SCALE = ":scale"  # suffix of the row scales that belong to an int8 weight


def save(path: str | Path, tensors: dict[str, Tensor], config: dict[str, Any], *, int8: bool | tuple[str, ...] = False) -> None:
    """Write ``tensors`` and ``config`` to ``path``: beside it first, then renamed, so that a killed save leaves no half file.

    With ``int8``, floating-point matrices and kernels (all of them, or those whose names begin so) are kept as one signed byte a weight
    and one float32 scale a row (a quarter of float32, half of bfloat16); all other tensors stay as they are.
    """
    path = Path(path)
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    if int8:
        stored = _quantise(stored, int8 if isinstance(int8, tuple) else ("",))
    config_text = json.dumps(config, sort_keys=True)
    digest = _digest(safetensors.torch.save(stored), config_text)
    metadata = {"misora_version": VERSION, "misora_config": config_text, "misora_sha256": digest}
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(safetensors.torch.save(stored, metadata))
        os.replace(beside, path)
    except OSError as error:
        raise CheckpointError(
            f"The weights could not be written to {path} ({error.strerror}): choose a folder you may write to."
        ) from error
    finally:  # Ctrl-C as well
        beside.unlink(missing_ok=True)


def load(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the tensors and the configuration at ``path``, whose hash has then been verified; int8 weights come as float32.

    Raises ``CheckpointError`` when the file is missing, is no safetensors file of ours, was cut short or was altered.
    """
    blob = _read(Path(path))
    metadata = _metadata(blob, path)
    version = metadata.get("misora_version")
    if version != VERSION:
        found = f"has format version {version}" if version else "was not written by Misora"
        raise CheckpointError(f"{path} {found}; this Misora reads version {VERSION}: fetch matching weights with `misora models pull`.")
    config_text = metadata.get("misora_config", "")
    if _digest(blob, config_text) != metadata.get("misora_sha256"):
        raise CheckpointError(f"{path} was altered after it was written (its hash differs): fetch or copy the file again.")
    try:
        stored, config = safetensors.torch.load(blob), json.loads(config_text)
    except (safetensors.SafetensorError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read as safetensors ({error}): fetch or copy the file again.") from error
    return _dequantise(stored), config


def digest(path: str | Path) -> str:
    """The SHA-256 that a checkpoint carries; ``load`` is what verifies it. Raises ``CheckpointError`` as ``load`` does."""
    blob = _read(Path(path))
    return str(_metadata(blob, path).get("misora_sha256", ""))


def save_parts(path: str | Path, tensors: dict[str, Tensor], config: dict[str, Any], limit: int = PART) -> list[Path]:
    """Write the checkpoint ``path`` as files ``NAME-00001-of-00003.safetensors`` … of at most ``limit`` bytes; returns their paths.

    Each is a checkpoint of its own, with its own hash, and names the hash of the whole. Parts of an earlier save are removed.
    Raises ``CheckpointError`` where one tensor alone is larger.
    """
    path = Path(path)
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    whole = _digest(safetensors.torch.save(stored), json.dumps(config, sort_keys=True))
    piles: list[dict[str, Tensor]] = [{}]
    room = limit - _HEADER
    for name, tensor in stored.items():
        size = tensor.nbytes + _HEADER_ENTRY
        if size > limit - _HEADER:
            raise CheckpointError(f"The tensor {name!r} of {path.name} does not fit into a part of {limit} bytes: allow larger parts.")
        if size > room:
            piles.append({})
            room = limit - _HEADER
        piles[-1][name] = tensor
        room -= size
    parts = [path.with_name(f"{path.stem}-{number:05d}-of-{len(piles):05d}.safetensors") for number in range(1, len(piles) + 1)]
    for part, pile in zip(parts, piles, strict=True):
        save(part, pile, {"whole": whole, "config": config})
    for old in set(_parts_of(path)) - set(parts):
        old.unlink()
    return parts


def load_parts(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What ``load`` would give for the ``path`` that ``save_parts`` was given; every part and then the whole are verified.

    Raises ``CheckpointError`` when a part is missing, damaged or from another save.
    """
    path = Path(path)
    parts = _parts_of(path)
    if not parts or len(parts) != int(parts[0].stem[-5:]):
        raise CheckpointError(f"{len(parts)} parts of {path.name} are in {path.parent}, and that is not all: copy all of one save.")
    loaded = [load(part) for part in parts]
    tensors = {name: tensor for some, _ in loaded for name, tensor in some.items()}
    config: dict[str, Any] = loaded[0][1].get("config", {})
    whole = _digest(safetensors.torch.save(tensors), json.dumps(config, sort_keys=True))
    if any(told.get("whole") != whole for _, told in loaded):
        raise CheckpointError(f"The parts of {path.name} in {path.parent} do not belong together: copy all of one save.")
    return tensors, config


def _parts_of(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.stem}-[0-9][0-9][0-9][0-9][0-9]-of-[0-9][0-9][0-9][0-9][0-9].safetensors"))


def load_into(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy ``tensors`` into ``module``, keeping the module's own types; names and shapes must match one to one.

    Raises ``CheckpointError`` that names the first tensor which does not fit; the module is then unchanged.
    """
    own = module.state_dict()
    for name in sorted(own.keys() | tensors.keys()):
        if name not in tensors:
            raise CheckpointError(f"The weights lack {name!r}: they belong to another network or version.")
        if name not in own:
            raise CheckpointError(f"The weights hold {name!r}, which this network lacks: they belong to another network or version.")
        if own[name].shape != tensors[name].shape:
            shapes = f"{tuple(tensors[name].shape)} instead of {tuple(own[name].shape)}"
            raise CheckpointError(f"The weights' {name!r} is {shapes}: they belong to another size of this network.")
    module.load_state_dict(tensors)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise CheckpointError(f"There are no weights at {path}: check the path, or run `misora models list`.") from error
    except OSError as error:
        raise CheckpointError(f"The weights at {path} cannot be read ({error.strerror}): check the path and its permissions.") from error


def _header(blob: bytes, path: str | Path) -> dict[str, Any]:
    """The JSON header of a whole safetensors file: 8 bytes of little-endian length, the JSON, then exactly the tensors' bytes."""
    length = int.from_bytes(blob[:8], "little")
    if blob[8:9] != b"{":
        kind = "a pickle, which could run code and is never opened" if blob[:1] == b"\x80" or blob[:2] == b"PK" else "no safetensors file"
        raise CheckpointError(f"{path} is {kind}: give a .safetensors checkpoint written by Misora.")
    try:
        header = json.loads(blob[8 : 8 + length])
        whole = 8 + length + max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path} is cut short or damaged (its header cannot be read): fetch or copy the file again.") from error
    if len(blob) != whole:
        raise CheckpointError(f"{path} has {len(blob)} bytes instead of {whole}: fetch or copy the file again.")
    return dict(header)


def _metadata(blob: bytes, path: str | Path) -> dict[str, Any]:
    """What the header says beside the tensors; nothing where that is no mapping."""
    metadata = _header(blob, path).get("__metadata__")
    return metadata if isinstance(metadata, dict) else {}


def _digest(blob: bytes, config_text: str) -> str:
    """SHA-256 over the configuration, the tensors' part of the header and their bytes; the metadata itself is left out."""
    length = int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8 : 8 + length])
    header.pop("__metadata__", None)
    state = hashlib.sha256(json.dumps([config_text, header], sort_keys=True).encode())
    state.update(memoryview(blob)[8 + length :])
    return state.hexdigest()


def rows_of_bytes(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix, or a kernel, as signed bytes [rows, columns ...] and a scale for each of its rows [rows, 1 ...], float32."""
    scale = matrix.float().abs().amax(dim=tuple(range(1, matrix.ndim)), keepdim=True).clamp_min(1e-12) / 127  # rows 1 ...
    return (matrix.float() / scale).round().to(torch.int8), scale


def _quantise(tensors: dict[str, Tensor], begins: tuple[str, ...]) -> dict[str, Tensor]:
    stored = {}
    for name, tensor in tensors.items():
        if tensor.ndim >= 2 and tensor.is_floating_point() and name.startswith(begins):
            stored[name], stored[name + _SCALE] = rows_of_bytes(tensor)
        else:
            stored[name] = tensor
    return stored


def _dequantise(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    scales = {name.removesuffix(_SCALE): tensor for name, tensor in stored.items() if name.endswith(_SCALE)}
    weights = {name: tensor for name, tensor in stored.items() if not name.endswith(_SCALE)}
    return {name: tensor.float() * scales[name] if name in scales else tensor for name, tensor in weights.items()}
