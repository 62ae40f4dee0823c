"""Laws of the Wan weights: our transformer is diffusers' to rounding, in both layouts; files that do not fit are named in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from misora.client.errors import CheckpointError
from misora.model.transformer import Transformer
from misora.model.wan import load_transformer, look
from misora.model.wan_keys import OURS_ALONE
from tests import wan

FRAMES, HEIGHT, WIDTH = 3, 4, 6


def _ours(network: Transformer, x: Tensor, level: Tensor, text: Tensor) -> Tensor:
    batch, frames = len(x), x.shape[2]
    marks = torch.zeros(batch, frames, dtype=torch.long)
    return network(x, level, text, marks, torch.arange(float(frames)).expand(batch, -1), marks)


def _inputs(kind: str) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, wan.SHAPES[kind][0], FRAMES, HEIGHT, WIDTH, generator=generator)
    return x, torch.tensor([0.9, 0.35]), torch.randn(2, 7, wan.TEXT, generator=generator)


def _theirs(oracle: Any, x: Tensor, level: Tensor, text: Tensor) -> Tensor:
    return oracle(x, level.flatten(1) * 1000 if level.ndim > 1 else level * 1000, text, return_dict=False)[0]


def _distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("layout", ["diffusers", "original"])
@pytest.mark.parametrize("kind", ["t2v", "i2v", "ti2v"])
def test_our_transformer_is_theirs(tmp_path: Path, kind: str, layout: str) -> None:
    oracle = wan.transformer(kind)
    folder = wan.save(oracle, tmp_path / "model", layout)
    if layout == "original":  # heads of 128 channels need no config; ours are smaller
        told = {"_class_name": "WanModel", "model_type": "t2v", "dim": wan.HEADS * wan.HEAD, "num_heads": wan.HEADS, "text_dim": wan.TEXT}
        shape = {"num_layers": wan.DEPTH, "ffn_dim": 72, "in_dim": wan.SHAPES[kind][0], "out_dim": wan.SHAPES[kind][1], "eps": 1e-6}
        (folder / "config.json").write_text(json.dumps(told | shape), "utf-8")
    ours = load_transformer(folder)
    x, level, text = _inputs(kind)
    assert _distance(_ours(ours, x, level[:, None].expand(-1, FRAMES), text), _theirs(oracle, x, level, text)) < 1e-5


def test_every_token_may_have_its_own_time(tmp_path: Path) -> None:
    oracle = wan.transformer("ti2v")
    ours = load_transformer(wan.save(oracle, tmp_path / "model"))
    x, level, text = _inputs("ti2v")
    tokens = level[:, None, None, None].repeat(1, FRAMES, HEIGHT // 2, WIDTH // 2)
    tokens[:, 0] = 0  # as TI2V-5B has it: the first frame is given
    assert _distance(_ours(ours, x, tokens, text), _theirs(oracle, x, tokens, text)) < 1e-5
    assert _distance(_ours(ours, x, tokens[..., 0, 0], text), _theirs(oracle, x, tokens, text)) < 1e-5
    tokens = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(3))
    assert _distance(_ours(ours, x, tokens, text), _theirs(oracle, x, tokens, text)) < 1e-5


def test_the_original_names_are_what_diffusers_says_they_are() -> None:
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

    oracle = wan.transformer()
    converted = convert_wan_transformer_to_diffusers(wan.original_names(oracle))
    state = oracle.state_dict()
    assert converted.keys() == state.keys()
    assert all(torch.equal(converted[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_one_file_without_a_config_tells_its_shape(tmp_path: Path, prefix: str) -> None:
    oracle = wan.transformer(heads=1, head=128)
    path = tmp_path / "wan.safetensors"
    save_file({prefix + name: tensor for name, tensor in wan.original_names(oracle).items()}, path)
    ours = load_transformer(path)
    x, level, text = _inputs("t2v")
    assert _distance(_ours(ours, x, level[:, None].expand(-1, FRAMES), text), _theirs(oracle, x, level, text)) < 1e-5


def test_what_is_summed_often_stays_exact(tmp_path: Path) -> None:
    ours = load_transformer(wan.save(wan.transformer(), tmp_path / "model"), torch.bfloat16)
    exact = {name for name, weight in ours.named_parameters() if weight.dtype == torch.float32 and name.startswith("blocks.0.")}
    assert {"blocks.0.modulation", "blocks.0.attention.norm_q.weight", "blocks.0.norm2.bias"} <= exact
    assert ours.patch.weight.dtype == ours.blocks[0].ffn.up.weight.dtype == torch.bfloat16
    x, level, text = _inputs("t2v")
    exactly = load_transformer(tmp_path / "model")
    made, wanted = (_ours(network, x, level[:, None].expand(-1, FRAMES), text) for network in (ours, exactly))
    assert _distance(made.float(), wanted) < 0.05


def _broken(folder: Path, how: str) -> None:
    config, shard = folder / "config.json", sorted(folder.glob("*.safetensors"))[0]
    told = json.loads(config.read_text("utf-8"))
    if how == "family":
        told["_class_name"] = "CogVideoXTransformer3DModel"
    elif how == "option":
        told |= {"image_dim": 1280, "out_channels": 2}
    elif how == "patch":
        told["patch_size"] = [2, 2, 2]
    elif how == "cut":
        shard.write_bytes(shard.read_bytes()[:-100])
    elif how == "half":
        shard.unlink()
    elif how in ("lacks", "unknown", "size", "gate"):
        tensors = load_file(shard)
        name = sorted(tensors)[0]
        if how == "lacks":
            del tensors[name]
        else:
            tensors[{"unknown": "extra", "gate": "blocks.0.to_gate_compress.weight"}.get(how, name)] = torch.zeros(3, 3)
        save_file(tensors, shard)
    elif how == "pickle":
        for path in folder.glob("*.safetensors*"):
            path.unlink()
        (folder / "diffusion_pytorch_model.bin").write_bytes(b"PK")
    config.write_text(json.dumps(told), "utf-8")


@pytest.mark.parametrize(
    "how, says",
    [
        ("family", "CogVideoXTransformer3DModel, which Misora does not run; give weights of Wan"),
        ("option", "image-to-video with a CLIP encoder"),
        ("patch", r"patch_size \[2, 2, 2\], which Misora does not run"),
        ("cut", "cut short"),
        ("half", "download is not complete"),
        ("lacks", "which its index promises"),
        ("unknown", "plain Wan lacks"),
        ("gate", "video sparse attention .* give those of full attention, such as FastVideo/FastWan2.2-TI2V-5B-FullAttn"),
        ("size", "instead of"),
        ("pickle", "could run code"),
    ],
)
def test_files_that_do_not_fit_are_told_in_a_sentence(tmp_path: Path, how: str, says: str) -> None:
    folder = wan.save(wan.transformer(), tmp_path / "model")
    _broken(folder, how)
    with pytest.raises(CheckpointError, match=says) as told:
        load_transformer(folder)
    assert "\n" not in str(told.value) and str(told.value).endswith(".")


def test_without_a_config_heads_that_cannot_be_told_are_asked_for(tmp_path: Path) -> None:
    folder = wan.save(wan.transformer(), tmp_path / "model")
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match="how many heads its 52 channels make; put its config.json beside it"):
        load_transformer(folder)


def test_shapes_are_compared_before_anything_is_read(tmp_path: Path) -> None:
    folder = wan.save(wan.transformer(), tmp_path / "model", "original")
    path = folder / "diffusion_pytorch_model.safetensors"
    save_file(load_file(path) | {"blocks.1.ffn.2.weight": torch.zeros(52, 3)}, path)
    told = {"_class_name": "WanModel", "dim": 52, "ffn_dim": 72, "num_heads": 2, "num_layers": 2, "in_dim": 6, "out_dim": 6, "text_dim": 20}
    (folder / "config.json").write_text(json.dumps(told), "utf-8")
    with pytest.raises(CheckpointError, match=r"'blocks.1.ffn.2.weight' .* is \(52, 3\) instead of \(52, 72\)"):
        look(folder)


def test_no_two_tensors_of_one_shape_could_change_places_unseen(tmp_path: Path) -> None:
    ours = load_transformer(wan.save(wan.transformer(), tmp_path / "model"))
    x, level, text = _inputs("t2v")
    level = level[:, None].expand(-1, FRAMES)
    wanted, last = _ours(ours, x, level, text), {}
    for name, weight in ours.named_parameters():
        other = last.get(weight.shape)
        if name.endswith("cross.norm_k.weight"):  # without rotation only its product with the queries' own counts
            continue
        if other is not None and name not in OURS_ALONE:
            weight.data, other.data = other.data, weight.data
            assert _distance(_ours(ours, x, level, text), wanted) > 1e-4, name
            weight.data, other.data = other.data, weight.data
        if name not in OURS_ALONE:
            last[weight.shape] = weight
