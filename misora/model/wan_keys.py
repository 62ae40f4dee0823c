"""What the Wan family's files call our transformer's weights, in two layouts, and how theirs become ours; it opens no file.

Wan (arXiv:2503.20314) rotates neighbouring channels of a head where we rotate its two halves, so the rows of queries and keys change
places; its patches are read by a convolution, ours by a matrix; the head's rows are patch by channel, ours channel by patch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import torch
from torch import Tensor

from misora.model.transformer import TransformerConfig

# ours, in diffusers' folders, in the original files; several of theirs are stacked into one of ours.
OUTER = (
    ("patch", "patch_embedding", "patch_embedding"),
    ("text.0", "condition_embedder.text_embedder.linear_1", "text_embedding.0"),
    ("text.2", "condition_embedder.text_embedder.linear_2", "text_embedding.2"),
    ("noise.0", "condition_embedder.time_embedder.linear_1", "time_embedding.0"),
    ("noise.2", "condition_embedder.time_embedder.linear_2", "time_embedding.2"),
    ("noise_table", "condition_embedder.time_proj", "time_projection.1"),
    ("head", "proj_out", "head.head"),
)
INNER = (
    ("attention.qkv", "attn1.to_q attn1.to_k attn1.to_v", "self_attn.q self_attn.k self_attn.v"),
    ("attention.out", "attn1.to_out.0", "self_attn.o"),
    ("norm2", "norm2", "norm3"),
    ("cross.q", "attn2.to_q", "cross_attn.q"),
    ("cross.kv", "attn2.to_k attn2.to_v", "cross_attn.k cross_attn.v"),
    ("cross.out", "attn2.to_out.0", "cross_attn.o"),
    ("ffn.up", "ffn.net.0.proj", "ffn.0"),
    ("ffn.down", "ffn.net.2", "ffn.2"),
)
NORMS = (
    ("attention.norm_q", "attn1.norm_q", "self_attn.norm_q"),
    ("attention.norm_k", "attn1.norm_k", "self_attn.norm_k"),
    ("cross.norm_q", "attn2.norm_q", "cross_attn.norm_q"),
    ("cross.norm_k", "attn2.norm_k", "cross_attn.norm_k"),
)
LAYOUTS = {"diffusers": 1, "original": 2}
PREFIXES = ("model.diffusion_model.", "diffusion_model.", "model.", "transformer.")  # what other programs put before every name
OURS_ALONE = ("kind", "role")  # Wan has neither: zeros, which change nothing


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """A matrix, vector or table of theirs: its rows are part ``part`` of ``parts`` of ours, ``name``."""

    name: str
    part: int = 0
    parts: int = 1

    @property
    def rotated(self) -> bool:
        """Whether its rows are channels of queries or keys that are turned by their position."""
        return ".attention.norm_" in self.name or (".attention.qkv" in self.name and self.part < 2)


def modules(depth: int, layout: str) -> dict[str, Place]:
    """Every module of theirs that is a matrix with a bias (or the second norm), by its name in ``layout``: where it stands in ours."""
    column = LAYOUTS[layout]
    rows = [*OUTER, *(tuple(_inside(i, names) for names in row) for i in range(depth) for row in INNER)]
    places: dict[str, Place] = {}
    for row in rows:
        theirs = row[column].split(" ")
        places |= {name: Place(name=row[0], part=i, parts=len(theirs)) for i, name in enumerate(theirs)}
    return places


def tensors(depth: int, layout: str) -> dict[str, Place]:
    """Every tensor of theirs, by its name in ``layout``: where it stands in ours."""
    column = LAYOUTS[layout]
    places = {
        f"{name}.{kind}": dataclasses.replace(place, name=f"{place.name}.{kind}")
        for name, place in modules(depth, layout).items()
        for kind in ("weight", "bias")
    }
    places["scale_shift_table" if layout == "diffusers" else "head.modulation"] = Place(name="head_modulation")
    for i in range(depth):
        places[f"blocks.{i}.{('scale_shift_table', 'modulation')[column - 1]}"] = Place(name=f"blocks.{i}.modulation")
        places |= {f"blocks.{i}.{row[column]}.weight": Place(name=f"blocks.{i}.{row[0]}.weight") for row in NORMS}
    return places


def layout_of(names: Iterable[str]) -> str | None:
    """Which layout these names are of, if any of the two."""
    names = set(names)
    if any(name.startswith("condition_embedder.") for name in names):
        return "diffusers"
    return "original" if any(name.startswith("time_projection.") for name in names) else None


def bare(name: str) -> str:
    """A name without what other programs put before it."""
    prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), "")
    return name[len(prefix) :]


def arrange(place: Place, tensor: Tensor, config: TransformerConfig) -> Tensor:
    """A tensor of theirs as that part of ours: rows in our order, convolution as a matrix, tables without their batch."""
    if place.name.endswith("modulation"):
        return tensor.flatten(0, -2)  # k d
    if place.name == "patch.weight":
        return tensor.flatten(1)  # d 4c
    if place.name.startswith("head."):
        return swapped(tensor, 4, config.channels)
    return swapped(tensor, config.heads, config.width // config.heads // 2, 2) if place.rotated else tensor


def restored(place: Place, tensor: Tensor, config: TransformerConfig) -> Tensor:
    """The inverse of ``arrange`` for what stands inside blocks."""
    return swapped(tensor, config.heads, 2, config.width // config.heads // 2) if place.rotated else tensor


def swapped(tensor: Tensor, *shape: int) -> Tensor:
    """Rows counted as ``shape`` (two sides, or groups of two sides) with the last two sides exchanged."""
    rows = tensor.reshape(*shape, *tensor.shape[1:])
    last = len(shape) - 1
    return rows.transpose(last - 1, last).reshape(tensor.shape)


def joined(parts: list[Tensor]) -> Tensor:
    """Parts of theirs as one tensor of ours."""
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _inside(i: int, names: str) -> str:
    return " ".join(f"blocks.{i}.{name}" for name in names.split(" "))
