"""LoRA files (arXiv:2106.09685) for the Wan family: read, merged into a transformer or added while it runs; it knows no hub and no prompt.

Both namings are read: diffusers' (``transformer.blocks.0.attn1.to_q.lora_A.weight``) and that of kohya and ComfyUI
(``lora_unet_blocks_0_self_attn_q.lora_down.weight``, ``diffusion_model.blocks.0.self_attn.q.lora_A.weight``, ``….alpha``, ``….diff``,
``….diff_b``, ``….diff_m``).
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import safetensors
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from misora.client.errors import CheckpointError
from misora.model import wan_keys
from misora.model.shards import Shards, files_of
from misora.model.transformer import Transformer, TransformerConfig

FILLS = "misora_fills"
DOWN, UP = ("lora_A", "lora_down", "lora.down"), ("lora_B", "lora_up", "lora.up")
SUFFIX = re.compile(r"\.(lora_A|lora_B|lora_down|lora_up|lora\.down|lora\.up)(?:\.\w+)?\.(weight|bias)$|\.(alpha|diff|diff_b|diff_m)$")
BEFORE = ("lora_unet_", "lora_transformer_", "base_model.model.")  # what other programs put before a module's name
WHOLE = (("diff", ".weight"), ("diff", ""), ("diff_b", ".bias"), ("diff_m", ".modulation"), ("up_bias", ".bias"))  # differences of what


@dataclasses.dataclass(frozen=True, kw_only=True)
class Change:
    """What is added to one of our parameters ``name``, to part ``part`` of ``parts`` of its rows: ``up @ down``, or ``up`` alone."""

    name: str
    part: int
    parts: int
    up: Tensor  # rows by rank, scaled by alpha; or the whole difference
    down: Tensor | None = None  # rank by columns

    def whole(self) -> Tensor:
        """The difference itself, in float32."""
        return self.up.float() if self.down is None else self.up.float() @ self.down.float()


def read(where: str | Path, config: TransformerConfig) -> list[Change]:
    """The changes that a LoRA file makes to a transformer of ``config``. Raises CheckpointError."""
    path = files_of(Path(where))[0]
    shards = Shards(path)
    found: dict[str, dict[str, Tensor]] = {}  # module of theirs -> what the file has for it
    for name in shards:
        match = SUFFIX.search(name)
        if match is None:
            raise CheckpointError(f"{path} holds {name!r}, which is no part of a LoRA that Misora reads; give another file.")
        kind = match[3] or ("down" if match[1] in DOWN else "up" if match[2] == "weight" else "up_bias")
        found.setdefault(name[: match.start()], {})[kind] = shards[name]
    places = wan_keys.tensors(config.depth, "diffusers") | wan_keys.tensors(config.depth, "original")
    flat = {module.replace(".", "_"): module for name in places for module in (name, name.rpartition(".")[0])}
    told = _told_scale(path)
    changes = []
    for module, tensors in found.items():
        known = _known(module, flat)
        if known is None:
            raise CheckpointError(f"{path} changes {module!r}, which this transformer lacks; give a LoRA that was made for it.")
        changes += _changes(known, tensors, places, config, told, path)
    if not changes:
        raise CheckpointError(f"{path} changes nothing; give another file.")
    return changes


def taught_fills(where: str | Path) -> bool:
    """Whether a LoRA says that it was made by ``misora train lora --fills``: it learned clean and noisy frames side by side."""
    with safetensors.safe_open(str(files_of(Path(where))[0]), framework="pt") as file:
        return (file.metadata() or {}).get(FILLS) == "1"


def merge(network: Transformer, changes: Sequence[Change], weight: float = 1.0) -> None:
    """Add ``weight`` times the changes to the network's parameters, for good; summed in float32."""
    for change in changes:
        parameter = network.get_parameter(change.name)
        parameter.data = added(parameter.data, change, weight).to(parameter.dtype)


def added(tensor: Tensor, change: Change, weight: float) -> Tensor:
    """A parameter with ``weight`` times one of its changes, in float32."""
    made = tensor.float().clone()
    rows = made.chunk(change.parts)[change.part]
    rows.add_(change.whole().view_as(rows), alpha=weight)
    return made


class Live(nn.Module):
    """A linear layer with low-rank changes beside it, each as strong as ``weights`` says at the moment."""

    def __init__(self, linear: nn.Module, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.linear, self.weights = linear, weights
        self.changes: list[tuple[str, int, int]] = []  # whose, which part of how many; the matrices are buffers: they move with the layer

    def add(self, lora: str, change: Change) -> None:
        """One more change."""
        i = len(self.changes)
        self.register_buffer(f"up{i}", change.up)
        self.register_buffer(f"down{i}", change.down)
        self.changes.append((lora, change.part, change.parts))

    @property
    def weight(self) -> Tensor:
        """The layer's own weight, without the changes."""
        return self.linear.weight  # type: ignore[return-value]

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.linear(x)  # ... d
        for i, (lora, part, parts) in enumerate(self.changes):
            if strength := self.weights[lora]:
                up, down = (self.get_buffer(f"{name}{i}").to(x) for name in ("up", "down"))
                rows = made.chunk(parts, -1)[part]  # ... d/parts
                rows += strength * F.linear(F.linear(x, down), up)
        return made


def attach(network: nn.Module, name: str, changes: Iterable[Change], weights: Mapping[str, float], prefix: str = "") -> None:
    """Let ``changes`` work as strongly as ``weights[name]`` says, now and whenever it changes. Raises CheckpointError.

    ``network`` is the part of ours whose names begin with ``prefix``; changes of other parts are left out.
    """
    for change in changes:
        if change.down is None:
            raise CheckpointError(f"The LoRA {name} changes more than matrices of low rank; merge it instead.")
        if not change.name.startswith(prefix):
            continue
        path = change.name.removeprefix(prefix).removesuffix(".weight")
        holder, _, last = path.rpartition(".")
        layer = network.get_submodule(path)
        if not isinstance(layer, Live):
            layer = Live(layer, weights)
            setattr(network.get_submodule(holder), last, layer)
        layer.add(name, change)


def _known(module: str, flat: dict[str, str]) -> str | None:
    """The module's name in one of the two layouts, whatever stands before it and whether its dots became underscores."""
    name = wan_keys.bare(module)
    for prefix in BEFORE:
        name = wan_keys.bare(name.removeprefix(prefix))
    return flat.get(name.replace(".", "_"))


def _changes(
    module: str, tensors: dict[str, Tensor], places: dict[str, wan_keys.Place], config: TransformerConfig, told: float, path: Path
) -> list[Change]:
    changes = []
    if ("down" in tensors) != ("up" in tensors):
        raise CheckpointError(f"{path} has only one half of {module!r}; fetch it again.")
    if "down" in tensors:
        if not _fit(tensors) or f"{module}.weight" not in places:
            raise CheckpointError(f"{path} has two halves of {module!r} that do not belong together; fetch it again.")
        down, up = tensors["down"].flatten(1), tensors["up"].flatten(1)
        scale = float(tensors["alpha"]) / len(down) if "alpha" in tensors else told
        changes.append(_change(places[f"{module}.weight"], up * scale, down, config))
    for kind, suffix in WHOLE:
        if kind in tensors and f"{module}{suffix}" in places:
            changes.append(_change(places[f"{module}{suffix}"], tensors[kind], None, config))
    sizes = _sizes(config)
    for change in changes:
        rows, columns = sizes[change.name.split(".", 2)[-1] if change.name.startswith("blocks.") else change.name]
        given = len(change.up), (*change.up.shape[1:], 0)[0] if change.down is None else change.down.shape[1]
        if given != (rows // change.parts, columns):
            wanted = f"{rows // change.parts}x{columns}"
            raise CheckpointError(
                f"{path} is for another size: {module!r} is {given[0]}x{given[1]} there and {wanted} here; give a matching one."
            )
    return changes


def _fit(tensors: dict[str, Tensor]) -> bool:
    """Whether the two halves are matrices (or convolutions) of one rank."""
    up, down = tensors["up"], tensors["down"]
    whole = up.ndim > 1 and down.ndim > 1 and up[0].numel() == len(down) > 0
    return whole and tensors.get("alpha", torch.ones(())).numel() == 1


def _change(place: wan_keys.Place, up: Tensor, down: Tensor | None, config: TransformerConfig) -> Change:
    try:
        up = wan_keys.arrange(place, up, config)
    except (RuntimeError, IndexError):
        up = up.flatten(1) if up.ndim > 1 else up  # of another size: refused by who asked
    return Change(name=place.name, part=place.part, parts=place.parts, up=up, down=down)


def _sizes(config: TransformerConfig) -> dict[str, tuple[int, int]]:
    """Rows and columns of each parameter, of one block for all; vectors have no columns."""
    with torch.device("meta"):
        network = Transformer(dataclasses.replace(config, depth=1))
    names = {name.removeprefix("blocks.0."): weight.shape for name, weight in network.named_parameters()}
    return {name: (shape[0], shape[1] if len(shape) > 1 else 0) for name, shape in names.items()}


def _told_scale(path: Path) -> float:
    """Alpha over rank as diffusers writes it beside the tensors; 1 where it does not."""
    with safetensors.safe_open(str(path), framework="pt") as file:
        told = (file.metadata() or {}).get("lora_adapter_metadata")
    try:
        found = json.loads(told) if told else {}
        return float(found["transformer.lora_alpha"]) / float(found["transformer.r"]) if found else 1.0
    except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise CheckpointError(f"{path} tells its scale in a way that cannot be read ({error!r}); save it again.") from error
