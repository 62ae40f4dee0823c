"""Laws of LoRA files: every naming changes the network as adding the products by hand does, merged or live, one or several."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from misora.client.errors import CheckpointError
from misora.model import lora
from misora.model.transformer import Transformer
from misora.model.wan import load_transformer
from tests import wan
from tests.model.test_wan import _distance, _inputs, _ours, _theirs

RANK, ALPHA = 3, 2.0
MODULES = {  # diffusers' name -> the original one
    "blocks.0.attn1.to_q": "blocks.0.self_attn.q",
    "blocks.0.attn1.to_k": "blocks.0.self_attn.k",
    "blocks.1.attn1.to_v": "blocks.1.self_attn.v",
    "blocks.1.attn1.to_out.0": "blocks.1.self_attn.o",
    "blocks.0.attn2.to_q": "blocks.0.cross_attn.q",
    "blocks.1.attn2.to_v": "blocks.1.cross_attn.v",
    "blocks.0.ffn.net.0.proj": "blocks.0.ffn.0",
    "blocks.1.ffn.net.2": "blocks.1.ffn.2",
    "proj_out": "head.head",
    "condition_embedder.time_proj": "time_projection.1",
}
NAMINGS = {
    "diffusers": "transformer.{0}.lora_{2}.weight",
    "comfy": "diffusion_model.{1}.lora_{2}.weight",
    "kohya": "lora_unet_{1}.lora_{2}.weight",
    "peft": "base_model.model.{0}.lora_{2}.weight",
}


def _pairs(network: torch.nn.Module, seed: int) -> dict[str, tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {name: network.get_submodule(name).weight.shape for name in MODULES}
    return {
        name: (torch.randn(RANK, columns, generator=generator) * 0.3, torch.randn(rows, RANK, generator=generator) * 0.3)
        for name, (rows, columns) in shapes.items()
    }


def _write(pairs: dict[str, tuple[Tensor, Tensor]], naming: str, path: Path) -> Path:
    made = {}
    for name, halves in pairs.items():
        original = MODULES[name].replace(".", "_") if naming == "kohya" else MODULES[name]
        for half, tensor in zip(("down", "up") if naming == "kohya" else ("A", "B"), halves, strict=True):
            made[NAMINGS[naming].format(name, original, half)] = tensor
        if naming == "kohya":
            made[f"lora_unet_{original}.alpha"] = torch.tensor(ALPHA)
    save_file(made, path)
    return path


def _made(network: Transformer) -> Tensor:
    x, level, text = _inputs("t2v")
    return _ours(network, x, level[:, None].expand(-1, x.shape[2]), text)


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("naming", list(NAMINGS))
def test_a_lora_is_the_product_added(tmp_path: Path, naming: str, live: bool) -> None:
    oracle = wan.transformer()
    ours = load_transformer(wan.save(oracle, tmp_path / "model"))
    before, weights = _made(ours), {"one": 0.8, "other": -0.5}
    for seed, (name, weight) in enumerate(weights.items()):
        pairs = _pairs(oracle, seed)
        changes = lora.read(_write(pairs, naming, tmp_path / f"{name}.safetensors"), ours.config)
        lora.attach(ours, name, changes, weights) if live else lora.merge(ours, changes, weight)
        scale = weight * (ALPHA / RANK if naming == "kohya" else 1)
        for module, (down, up) in pairs.items():
            oracle.get_submodule(module).weight.data += scale * up @ down
    x, level, text = _inputs("t2v")
    assert _distance(_made(ours), _theirs(oracle, x, level, text)) < 1e-5
    if live:
        weights.update(one=0.0, other=0.0)
        assert torch.equal(_made(ours), before)


def test_whole_differences_are_added_too(tmp_path: Path) -> None:
    oracle = wan.transformer()
    ours = load_transformer(wan.save(oracle, tmp_path / "model"))
    bias, norm = torch.randn(wan.HEADS * wan.HEAD), torch.randn(wan.HEADS * wan.HEAD)
    table, last = torch.randn(1, 6, wan.HEADS * wan.HEAD), torch.randn(1, 2, wan.HEADS * wan.HEAD)
    told = {
        "blocks.0.self_attn.q.diff_b": bias,
        "blocks.0.self_attn.norm_k.diff": norm,
        "blocks.1.diff_m": table,
        "head.modulation.diff": last,
    }
    save_file({f"diffusion_model.{name}": tensor for name, tensor in told.items()}, tmp_path / "difference.safetensors")
    lora.merge(ours, lora.read(tmp_path / "difference.safetensors", ours.config))
    oracle.blocks[0].attn1.to_q.bias.data += bias
    oracle.blocks[0].attn1.norm_k.weight.data += norm
    oracle.blocks[1].scale_shift_table.data += table
    oracle.scale_shift_table.data += last
    x, level, text = _inputs("t2v")
    assert _distance(_made(ours), _theirs(oracle, x, level, text)) < 1e-5


@pytest.mark.parametrize(
    "tensors, says",
    [
        ({"transformer.blocks.0.attn1.to_q.lora_A.weight": (3, 52)}, "only one half"),
        ({"transformer.blocks.7.attn1.to_q.lora_A.weight": (3, 52), "transformer.blocks.7.attn1.to_q.lora_B.weight": (52, 3)}, "lacks"),
        (
            {"transformer.blocks.0.attn1.to_q.lora_A.weight": (3, 64), "transformer.blocks.0.attn1.to_q.lora_B.weight": (64, 3)},
            "another size",
        ),
        (
            {"transformer.blocks.0.attn1.to_q.lora_A.weight": (3, 52), "transformer.blocks.0.attn1.to_q.lora_B.weight": (52, 5)},
            "do not belong together",
        ),
        (
            {"transformer.blocks.0.attn1.to_q.lora_A.weight": (3,), "transformer.blocks.0.attn1.to_q.lora_B.weight": (3,)},
            "do not belong together",
        ),
        ({"diffusion_model.blocks.0.self_attn.q.diff": (52, 5)}, "another size"),
        ({}, "changes nothing"),
        ({"blocks.0.attn1.to_q.weight": (52, 52)}, "no part of a LoRA"),
    ],
)
def test_a_lora_for_another_network_is_refused_in_a_sentence(tmp_path: Path, tensors: dict[str, tuple[int, int]], says: str) -> None:
    config = load_transformer(wan.save(wan.transformer(), tmp_path / "model")).config
    save_file({name: torch.zeros(shape) for name, shape in tensors.items()}, tmp_path / "lora.safetensors")
    with pytest.raises(CheckpointError, match=says):
        lora.read(tmp_path / "lora.safetensors", config)
