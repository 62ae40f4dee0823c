"""Our transformer beside diffusers' on the same random Wan weights, A B A B in one process; it knows nothing of prompts or pixels.

    python -m bench.wan [--width 256] [--depth 4] [--tokens 1560] [--rounds 5] [--float32] [--per-token]

Prints both medians, their ratio, and both errors against diffusers in float32. The shapes of ``--size wan2.1-t2v-1.3b`` are the real ones.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from misora.model import wan_keys
from misora.model.hub import extra
from misora.model.sizes import SIZES
from misora.model.transformer import Transformer, TransformerConfig
from misora.model.wan import adopt
from misora.model.wan_config import HEAD, wan

GRID = (30, 52)  # tokens of a latent frame at 480p
TEXT = 512


def theirs(config: TransformerConfig) -> Any:
    """diffusers' transformer of a shape, random, in float32."""
    network = extra("diffusers").WanTransformer3DModel(
        num_attention_heads=config.heads,
        attention_head_dim=config.width // config.heads,
        in_channels=config.channels,
        out_channels=config.channels,
        text_dim=config.text_width,
        ffn_dim=config.hidden,
        num_layers=config.depth,
    )
    return network.eval().requires_grad_(False)


def inputs(config: TransformerConfig, tokens: int, *, per_token: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Latents, levels (one a clip, or one a token with a clean first frame) and a text."""
    frames = max(1, round(tokens / (GRID[0] * GRID[1])))
    rows = GRID[0] if tokens >= GRID[0] * GRID[1] else max(1, tokens // GRID[1])
    x = torch.randn(1, config.channels, frames, 2 * rows, 2 * GRID[1])
    level = torch.full((1, frames, rows, GRID[1]), 0.7)  # b t h w
    if per_token:
        level[:, 0] = 0
    return x, level if per_token else level[:, 0, 0, 0], torch.randn(1, TEXT, config.text_width)


def call_ours(network: Transformer, x: Tensor, level: Tensor, text: Tensor) -> Tensor:
    """One forward of ours."""
    frames = x.shape[2]
    marks = torch.zeros(1, frames, dtype=torch.long)
    levels = level[:, None].expand(1, frames) if level.ndim == 1 else level[:, :, 0, 0]  # a frame's tokens share theirs
    return network(x, levels, text, marks, torch.arange(float(frames))[None], marks)  # type: ignore[no-any-return]


def call_theirs(network: Any, x: Tensor, level: Tensor, text: Tensor) -> Tensor:
    """One forward of diffusers'."""
    made = network(x.to(network.dtype), level.flatten(1) * 1000 if level.ndim > 1 else level * 1000, text.to(network.dtype))
    return made.sample.float()  # type: ignore[no-any-return]


def seconds(call: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """How long one call takes, and what it makes."""
    started = time.perf_counter()
    made = call()
    return time.perf_counter() - started, made


@torch.inference_mode()
def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description="Our transformer beside diffusers' on random Wan weights.")
    parser.add_argument("--size", choices=[name for name in SIZES if name.startswith("wan")])
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=1560)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--float32", action="store_true")
    parser.add_argument("--per-token", action="store_true")
    options = parser.parse_args()
    small = wan(width=options.width, depth=options.depth, heads=options.width // HEAD, hidden=4 * options.width, channels=16)
    config = SIZES[options.size] if options.size else small
    dtype = torch.float32 if options.float32 else torch.bfloat16
    peer = theirs(config)
    names = {name: name for name in peer.state_dict()}
    ours = adopt(config, wan_keys.tensors(config.depth, "diffusers"), names, peer.state_dict(), "the peer", dtype)
    given = inputs(config, options.tokens, per_token=options.per_token)
    wanted = call_theirs(peer, *given)
    peer = peer.to(dtype)
    runs: dict[str, list[float]] = {"ours": [], "diffusers": []}
    for _ in range(options.rounds + 1):
        for name, call in (("ours", lambda: call_ours(ours, *given)), ("diffusers", lambda: call_theirs(peer, *given))):
            took, made = seconds(call)
            runs[name].append(took)
            error = float((made.float() - wanted).norm() / wanted.norm())
            print(f"{name:9} {took:7.3f} s  error {error:.1e}", flush=True)
    medians = {name: statistics.median(times[1:]) for name, times in runs.items()}
    print(f"ratio {medians['diffusers'] / medians['ours']:.2f} (diffusers {medians['diffusers']:.3f} s, ours {medians['ours']:.3f} s)")


if __name__ == "__main__":
    main()
