"""Which files of a folder are which network of the Wan family, told by what is in them; it builds nothing.

Folders come as diffusers writes them (``transformer/``, ``vae/``, ``text_encoder/``, ``tokenizer/``), as the original ones (all in one,
the tokenizer in ``google/umt5-xxl/``), or as people collected them.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from misora.client.errors import CheckpointError
from misora.model import wan_keys
from misora.model.shards import PICKLES, files_of, names_in

PLACES = {"transformer": "transformer", "autoencoder": "vae", "text encoder": "text_encoder"}
PICKLED = {"transformer": "diffusion", "autoencoder": "vae", "text encoder": "t5"}  # what a pickle of it is called
TOKENIZERS = ("tokenizer.json", "spiece.model")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """One network's files, and the folder that they and their configuration are in."""

    folder: Path
    files: list[Path]


def part_of(where: Path, network: str) -> Part:
    """The files of ``transformer``, ``autoencoder`` or ``text encoder`` of a model. Raises CheckpointError."""
    folder = where.parent if where.is_file() else where
    if where.is_file() and network == "transformer":
        return Part(folder=where, files=files_of(where))
    inside = folder / PLACES[network]
    if inside.is_dir():
        return Part(folder=inside, files=files_of(inside))
    known = (network, None) if network == "transformer" else (network,)  # not every shard of one can be told by itself
    found = [path for path in sorted(folder.glob("*.safetensors")) if path != where and kind_of(path) in known]
    if not found and network == "transformer":
        return Part(folder=folder, files=files_of(folder))
    if not found:
        raise CheckpointError(_missing(folder, network))
    return Part(folder=folder, files=found)


def kind_of(path: Path) -> str | None:
    """Which network the tensors of a file belong to; None for none that is known here."""
    names = {wan_keys.bare(name) for name in names_in(path)}
    if any(".self_attn." in name or ".attn1." in name for name in names):
        return "transformer"
    if any(name in names for name in ("shared.weight", "token_embedding.weight", "encoder.embed_tokens.weight")):
        return "text encoder"
    return "autoencoder" if any(name.startswith(("decoder.conv1.", "decoder.conv_in.")) for name in names) else None


def tokenizer_of(where: Path) -> Path:
    """The folder of the tokenizer. Raises CheckpointError."""
    folder = where.parent if where.is_file() else where
    for place in (folder / "tokenizer", folder / "google" / "umt5-xxl", folder / "text_encoder", folder):
        if any((place / name).is_file() for name in TOKENIZERS):
            return place
    raise CheckpointError(f"{folder} has no tokenizer; put the tokenizer/ of `misora models pull wan2.1-t2v-1.3b` there.")


def _missing(folder: Path, network: str) -> str:
    like = f"put the {PLACES[network]}/ of `misora models pull wan2.1-t2v-1.3b` there, or a .safetensors conversion"
    pickles = [path.name for path in folder.iterdir() if path.suffix in PICKLES and PICKLED[network] in path.name.lower()]
    if pickles:
        return f"{folder} has its {network} only as the pickle {pickles[0]}, which could run code and is never opened; {like}."
    return f"{folder} has no {network}; {like}."
