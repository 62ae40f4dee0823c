"""What the original files call the weights of Wan's autoencoders, and the sizes that they tell; it opens no file and builds no network.

In Wan 2.1's file the layers of an encoder or decoder are counted in one row; in Wan 2.2's each stage has a row of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from misora.client.errors import CheckpointError

RESIDUAL = {"residual.0": "norm1", "residual.2": "conv1", "residual.3": "norm2", "residual.6": "conv2", "shortcut": "conv_shortcut"}
AROUND = {"conv1": "conv_in", "head.0": "norm_out", "head.2": "conv_out", "middle.1": "mid_block.attentions.0"}
OUTER = {"conv1": "quant_conv", "conv2": "post_quant_conv"}
STAGES = 4
# Mean and spread of each latent channel as Wan's own code states them: they are not in the files.
MEANS = {
    48: (
        -0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174, 0.1838, 0.1557, -0.1382, 0.0542, 0.2813, 0.0891, 0.1570, -0.0098, 0.0375,
        -0.1825, -0.2246, -0.1207, -0.0698, 0.5109, 0.2665, -0.2108, -0.2158, 0.2502, -0.2055, -0.0322, 0.1109, 0.1567, -0.0729, 0.0899,
        -0.2799, -0.1230, -0.0313, -0.1649, 0.0117, 0.0723, -0.2839, -0.2083, -0.0520, 0.3748, 0.0152, 0.1957, 0.1433, -0.2944, 0.3573,
        -0.0548, -0.1681, -0.0667,
    )
}  # fmt: skip
SPREADS = {
    48: (
        0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.4990, 0.4818, 0.5013, 0.8158, 1.0344, 0.5894, 1.0901, 0.6885, 0.6165, 0.8454, 0.4978,
        0.5759, 0.3523, 0.7135, 0.6804, 0.5833, 1.4146, 0.8986, 0.5659, 0.7069, 0.5338, 0.4889, 0.4917, 0.4069, 0.4999, 0.6866, 0.4093,
        0.5709, 0.6065, 0.6415, 0.4944, 0.5726, 1.2042, 0.5458, 1.6887, 0.3971, 1.0600, 0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744,
    )
}  # fmt: skip
Shapes = Mapping[str, tuple[int, ...]]


def is_original(names: Shapes) -> bool:
    """Whether these are the names of the original files."""
    return "decoder.conv1.weight" in names


def config_of(shapes: Shapes, where: str) -> dict[str, Any]:
    """What diffusers' ``config.json`` would say of the original files' tensors. Raises CheckpointError."""
    try:
        nested = "decoder.upsamples.0.upsamples.0.residual.2.weight" in shapes
        channels, entering = shapes["conv2.weight"][0], shapes["encoder.conv1.weight"][1]
        repeats = _repeats(shapes, nested)
        outs = [shapes[f"encoder.downsamples.{_stage(i, repeats, nested)}.residual.2.weight"][0] for i in range(STAGES)]
        base = shapes["encoder.conv1.weight"][0]
        inside = shapes["decoder.head.2.weight"][1]
    except KeyError as error:
        raise CheckpointError(f"{where} lacks {error}: it is no whole autoencoder of Wan; fetch it again.") from error
    made: dict[str, Any] = {"base_dim": base, "decoder_base_dim": inside * base // outs[0], "z_dim": channels, "num_res_blocks": repeats}
    made |= {"dim_mult": [out // base for out in outs], "in_channels": entering, "out_channels": entering}
    if nested:
        made |= {"is_residual": True, "patch_size": 2, "scale_factor_spatial": 16}
    if channels in MEANS:
        made |= {"latents_mean": list(MEANS[channels]), "latents_std": list(SPREADS[channels])}
    elif channels != 16:
        raise CheckpointError(f"{where} has {channels} latent channels, which no autoencoder of Wan has; give one of Wan 2.1 or 2.2.")
    return made


def renamed(name: str, repeats: int) -> str:
    """The name that diffusers has for a tensor of the original files; ``repeats``: residual blocks of a stage of the encoder."""
    path, _, last = name.rpartition(".")
    if path in OUTER:
        return f"{OUTER[path]}.{last}"
    side, _, inner = path.partition(".")
    for theirs, ours in AROUND.items():
        if inner == theirs or inner.startswith(f"{theirs}."):
            return f"{side}.{ours}{inner[len(theirs) :]}.{last}"
    if found := re.fullmatch(r"middle\.([02])\.(.*)", inner):
        return f"{side}.mid_block.resnets.{int(found[1]) // 2}.{_inside(found[2])}.{last}"
    if found := re.fullmatch(r"(?:down|up)samples\.(\d+)\.(?:down|up)samples\.(\d+)\.(.*)", inner):
        return f"{side}.{_nested(side, int(found[1]), int(found[2]), found[3], repeats)}.{last}"
    if found := re.fullmatch(r"downsamples\.(\d+)\.(.*)", inner):
        return f"{side}.down_blocks.{found[1]}.{_inside(found[2])}.{last}"
    if found := re.fullmatch(r"upsamples\.(\d+)\.(.*)", inner):
        stage, place = divmod(int(found[1]), repeats + 2)
        where = f"resnets.{place}" if place <= repeats else "upsamplers.0"
        return f"{side}.up_blocks.{stage}.{where}.{_inside(found[2])}.{last}"
    return name


def _nested(side: str, stage: int, place: int, rest: str, repeats: int) -> str:
    down = side == "encoder"
    blocks = f"{'down' if down else 'up'}_blocks.{stage}"
    if place < repeats + (0 if down else 1):
        return f"{blocks}.resnets.{place}.{_inside(rest)}"
    return f"{blocks}.{'downsampler' if down else 'upsampler'}.{rest}"


def _inside(rest: str) -> str:
    return RESIDUAL.get(rest, rest)


def _repeats(shapes: Shapes, nested: bool) -> int:
    """Residual blocks of a stage of the encoder: those before its first layer that makes the picture smaller."""
    prefix = "encoder.downsamples.0.downsamples." if nested else "encoder.downsamples."
    place = 0
    while f"{prefix}{place}.residual.2.weight" in shapes:
        place += 1
    return place


def _stage(i: int, repeats: int, nested: bool) -> str:
    return f"{i}.downsamples.0" if nested else str(i * (repeats + 1))
