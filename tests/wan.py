"""Tiny random networks of the Wan family as diffusers builds and saves them: the oracles of our own; it knows nothing of what is tested."""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from misora.model import wan_keys
from misora.model.wan_pixels_keys import MEANS, SPREADS

SHAPES = {  # in channels, out channels
    "t2v": (6, 6),
    "i2v": (11, 4),
    "ti2v": (10, 10),
    "wan2.1": (16, 16),  # as many as the real ones, whose mean and spread the original files do not tell
    "wan2.2": (48, 48),
}
RESIDUAL = ("ti2v", "wan2.2")
HEADS, HEAD, DEPTH, TEXT = 2, 26, 2, 20  # 26 channels: time has more pairs than rows and columns


def randomise(network: torch.nn.Module, seed: int = 0) -> None:
    """Fill every weight with its own random numbers, large enough that no two tensors could change places unseen."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.3 + (0.7 if weight.ndim == 1 else 0))


def transformer(kind: str = "t2v", *, heads: int = HEADS, head: int = HEAD, text: int = TEXT, **sizes: Any) -> Any:
    """diffusers' transformer of a tiny size, all random, in float32."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from diffusers import WanTransformer3DModel

        entering, leaving = SHAPES[kind]
        fixed = {"num_attention_heads": heads, "attention_head_dim": head, "text_dim": text, "num_layers": DEPTH, "ffn_dim": 72}
        made = WanTransformer3DModel(**{**fixed, "in_channels": entering, "out_channels": leaving, **sizes})
    randomise(made)
    return made.eval().requires_grad_(False)


def original_names(network: Any, depth: int = DEPTH) -> dict[str, Tensor]:
    """The state of diffusers' transformer under the names of the original files."""
    ours = {(place.name, place.part): name for name, place in wan_keys.tensors(depth, "original").items()}
    diffusers = {name: (place.name, place.part) for name, place in wan_keys.tensors(depth, "diffusers").items()}
    return {ours[diffusers[name]]: tensor.clone() for name, tensor in network.state_dict().items()}


def save(network: Any, folder: Path, layout: str = "diffusers") -> Path:
    """Save in several shards as diffusers does, or in one file as the original weights come."""
    folder.mkdir(parents=True, exist_ok=True)
    if layout == "diffusers":
        network.save_pretrained(folder, max_shard_size="100KB")
    else:
        save_file(original_names(network), folder / "diffusion_pytorch_model.safetensors")
    return folder


def original_pixel_names(config: Any) -> dict[str, str]:
    """What the original files call an autoencoder's modules, written as Wan's own code nests them, and what diffusers calls them."""
    made = {"conv1": "quant_conv", "conv2": "post_quant_conv"}
    inside = {"residual.0": "norm1", "residual.2": "conv1", "residual.3": "norm2", "residual.6": "conv2", "shortcut": "conv_shortcut"}
    repeats, nested = config.num_res_blocks, config.is_residual
    for side in ("encoder", "decoder"):
        up = side == "decoder"
        made |= {f"{side}.conv1": f"{side}.conv_in", f"{side}.head.0": f"{side}.norm_out", f"{side}.head.2": f"{side}.conv_out"}
        made |= {f"{side}.middle.1.{name}": f"{side}.mid_block.attentions.0.{name}" for name in ("norm", "to_qkv", "proj")}
        rows = {f"{side}.middle.{2 * i}": f"{side}.mid_block.resnets.{i}" for i in (0, 1)}
        flat, word = 0, "upsamples" if up else "downsamples"
        for stage in range(4):
            there = f"{side}.{'up' if up else 'down'}_blocks"
            for place in range(repeats + up):
                theirs = f"{side}.{word}.{stage}.{word}.{place}" if nested else f"{side}.{word}.{flat}"
                rows[theirs] = f"{there}.{stage}.resnets.{place}" if nested or up else f"{there}.{flat}"
                flat += 1
            theirs = f"{side}.{word}.{stage}.{word}.{repeats + up}" if nested else f"{side}.{word}.{flat}"
            last = f"{stage}.upsampler" if up else f"{stage}.downsampler"
            other = f"{stage}.upsamplers.0" if up else f"{flat}"
            made |= {f"{theirs}.{name}": f"{there}.{last if nested else other}.{name}" for name in ("resample.1", "time_conv")}
            flat += 1
        made |= {f"{a}.{theirs}": f"{b}.{ours}" for a, b in rows.items() for theirs, ours in inside.items()}
    return made


def original_text_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of transformers' encoder under the names of the original file."""
    words = {"shared": "token_embedding", "encoder.final_layer_norm": "norm", "encoder.block": "blocks", "layer.0.layer_norm": "norm1"}
    words |= {"layer.1.layer_norm": "norm2", "layer.0.SelfAttention.relative_attention_bias": "pos_embedding.embedding"}
    words |= {"layer.0.SelfAttention": "attn", "layer.1.DenseReluDense.wi_0": "ffn.gate.0", "layer.1.DenseReluDense.wi_1": "ffn.fc1"}
    words |= {"layer.1.DenseReluDense.wo": "ffn.fc2"}
    made = {}
    for name, tensor in state.items():
        if name != "encoder.embed_tokens.weight":
            for theirs, original in words.items():
                name = name.replace(theirs, original)
            made[name] = tensor.clone()
    return made


def save_original(peer: Any, folder: Path) -> Path:
    """A pipeline's networks as the original folders have them, their pickles converted to safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    save(peer.transformer, folder, "original")
    config = peer.transformer.config
    told = {"_class_name": "WanModel", "model_type": "t2v", "dim": HEADS * HEAD, "num_heads": HEADS, "text_dim": TEXT, "eps": 1e-6}
    told |= {"num_layers": config.num_layers, "ffn_dim": config.ffn_dim, "in_dim": config.in_channels, "out_dim": config.out_channels}
    (folder / "config.json").write_text(json.dumps(told), "utf-8")
    names = {ours: theirs for theirs, ours in original_pixel_names(peer.vae.config).items()}
    state = {f"{names[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": tensor for name, tensor in peer.vae.state_dict().items()}
    save_file(state, folder / "Wan_VAE.safetensors")
    save_file(original_text_names(peer.text_encoder.state_dict()), folder / "models_t5_umt5-xxl-enc-bf16.safetensors")
    peer.tokenizer.save_pretrained(folder / "google" / "umt5-xxl")
    return folder


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """No warnings and no progress of other libraries."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def autoencoder(kind: str) -> Any:
    """diffusers' autoencoder of Wan 2.1, or for ``ti2v`` of Wan 2.2, tiny and random."""
    with silence():
        from diffusers import AutoencoderKLWan

        channels = SHAPES[kind][1]
        sizes: dict[str, Any] = {"base_dim": 3, "z_dim": channels, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}
        sizes |= {"temperal_downsample": [False, True, True]}
        if channels not in (16, 48):
            sizes |= {"latents_mean": [0.1 * i for i in range(channels)], "latents_std": [1 + 0.2 * i for i in range(channels)]}
        if channels == 48:
            sizes |= {"latents_mean": list(MEANS[48]), "latents_std": list(SPREADS[48]), "decoder_base_dim": 5}
        if kind in RESIDUAL:
            sizes |= {"in_channels": 12, "out_channels": 12, "is_residual": True, "patch_size": 2}
            sizes |= {"scale_factor_spatial": 16, "scale_factor_temporal": 4}
        torch.manual_seed(0)
        made = AutoencoderKLWan(**sizes).eval().requires_grad_(False)
    for name, weight in made.named_parameters():  # as they are made, all norms are ones and all biases small
        if name.endswith(("gamma", "bias")):
            weight.copy_(0.3 * torch.randn(weight.shape) + (0.7 if name.endswith("gamma") else 0.0))
    return made


def text_encoder() -> tuple[Any, Any]:
    """A tokenizer of single words and transformers' encoder, tiny and random."""
    with silence():
        from tokenizers import Tokenizer, models, pre_tokenizers, processors
        from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

        words = ["<pad>", "</s>", "<unk>", "a", "red", "ball", "&", "blue", "cube", "blurred"]
        inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
        inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        inner.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
        config = UMT5Config(vocab_size=len(words), d_model=TEXT, d_kv=8, d_ff=37, num_layers=2, num_heads=2, feed_forward_proj="gated-gelu")
        torch.manual_seed(0)
        encoder = UMT5EncoderModel(config)
    randomise(encoder)
    return tokenizer, encoder.eval().requires_grad_(False)


def pipeline(kind: str) -> Any:
    """diffusers' whole pipeline, tiny and random, with Euler's steps."""
    with silence():
        from diffusers import FlowMatchEulerDiscreteScheduler, WanPipeline

        tokenizer, encoder = text_encoder()
        made = WanPipeline(
            tokenizer=tokenizer,
            text_encoder=encoder,
            vae=autoencoder(kind),
            transformer=transformer(kind),
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
            expand_timesteps=kind in RESIDUAL,
        )
        made.set_progress_bar_config(disable=True)
        return made


def image_pipeline(peer: Any) -> Any:
    """The same networks behind diffusers' pipeline for a given first frame."""
    with silence():
        from diffusers import WanImageToVideoPipeline

        parts = {name: peer.components[name] for name in ("tokenizer", "text_encoder", "vae", "transformer", "scheduler")}
        made = WanImageToVideoPipeline(**parts, expand_timesteps=True)
        made.set_progress_bar_config(disable=True)
        return made
