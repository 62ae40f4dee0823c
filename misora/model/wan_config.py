"""The shape of a Wan transformer, from the ``config.json`` beside its weights or from the tensors alone; it reads no weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from misora.client.errors import CheckpointError
from misora.model.transformer import NOISE_FEATURES, TransformerConfig

HEAD = 128  # channels of a head in every published size
SUPPORTED = "Wan 2.1 and 2.2 (T2V, TI2V) and weights derived from them"
# What only the tensors of another family are called, where no config.json names it.
OTHERS = {
    "double_blocks.0.img_attn.qkv.weight": "Flux",
    "double_blocks.0.img_attn_qkv.weight": "HunyuanVideo",
    "transformer_blocks.0.attn.add_k_proj.weight": "Flux or HunyuanVideo",
    "transformer_blocks.0.norm1.linear.weight": "CogVideoX",
    "vace_blocks.0.after_proj.weight": "Wan VACE",
    "img_emb.proj.1.weight": "Wan 2.1's image-to-video with a CLIP encoder",
    "input_blocks.0.0.weight": "Stable Diffusion",
}
# What a config.json may say beside the sizes: anything else is another network.
FIXED: dict[str, tuple[Any, ...]] = {
    "patch_size": ([1, 2, 2], (1, 2, 2)),
    "qk_norm": ("rms_norm_across_heads", True),
    "cross_attn_norm": (True,),
    "eps": (1e-6,),
    "freq_dim": (NOISE_FEATURES,),
    "window_size": ([-1, -1], (-1, -1)),
    "model_type": ("t2v", "ti2v"),
    "num_frame_per_block": (1,),
}
Shapes = Mapping[str, tuple[int, ...]]


def from_json(config: Mapping[str, Any], where: str) -> TransformerConfig:
    """The shape that a ``config.json`` of diffusers or of the original files tells. Raises CheckpointError."""
    family = str(config.get("_class_name", "an unnamed network"))
    if family not in ("WanTransformer3DModel", "WanModel", "SkyReelsV2Transformer3DModel"):
        raise CheckpointError(f"{where} holds {family}, which Misora does not run; give weights of {SUPPORTED}.")
    for name, allowed in FIXED.items():
        if name in config and config[name] not in allowed:
            raise CheckpointError(f"{where} has {name} {config[name]!r}, which Misora does not run; give weights of {SUPPORTED}.")
    diffusers = "num_attention_heads" in config
    if config.get("image_dim") and config.get("in_channels") != config.get("out_channels"):
        raise CheckpointError(f"{where} holds {OTHERS['img_emb.proj.1.weight']}, which Misora does not run; give weights of {SUPPORTED}.")
    try:
        heads = int(config["num_attention_heads" if diffusers else "num_heads"])
        channels = int(config.get("out_channels" if diffusers else "out_dim") or config["in_channels"])
        return wan(
            width=heads * int(config["attention_head_dim"]) if diffusers else int(config["dim"]),
            depth=int(config["num_layers"]),
            heads=heads,
            hidden=int(config["ffn_dim"]),
            text_width=int(config.get("text_dim", 4096)),
            channels=channels,
            given_channels=int(config["in_channels" if diffusers else "in_dim"]) - channels,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"The config.json in {where} cannot be read ({error!r}); fetch it again.") from error


def from_shapes(shapes: Shapes, layout: str, where: str) -> TransformerConfig:
    """The shape that the tensors tell where there is no ``config.json``: heads have 128 channels. Raises CheckpointError."""
    original = layout == "original"
    depth = len({found[1] for name in shapes if (found := re.match(r"blocks\.(\d+)\.", name))})
    names = ("patch_embedding.weight", "head.head.weight" if original else "proj_out.weight")
    up, text = ("ffn.0", "text_embedding.0") if original else ("ffn.net.0.proj", "condition_embedder.text_embedder.linear_1")
    try:
        (width, entering, *_), (leaving, _) = (shapes[name] for name in names)
        hidden, reading = shapes[f"blocks.0.{up}.weight"][0], shapes[f"{text}.weight"][1]
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{where} lacks {error}: it is no whole Wan transformer; fetch it again.") from error
    if width % HEAD:
        raise CheckpointError(f"{where} does not tell how many heads its {width} channels make; put its config.json beside it.")
    channels = leaving // 4
    sizes = {"hidden": hidden, "text_width": reading, "channels": channels, "given_channels": entering - channels}
    return wan(width=width, depth=depth, heads=width // HEAD, **sizes)


def wan(
    *, width: int, depth: int, heads: int, hidden: int, text_width: int = 4096, channels: int, given_channels: int = 0
) -> TransformerConfig:
    """A transformer of the Wan family."""
    return TransformerConfig(
        width=width,
        depth=depth,
        heads=heads,
        hidden=hidden,
        text_width=text_width,
        channels=channels,
        given_channels=given_channels,
        prediction="velocity",
        activation="gelu",
        bias=True,
        position_grid=0,
    )
