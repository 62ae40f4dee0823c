"""Our transformer on a card beside diffusers', eager and compiled, on the same random Wan weights; it knows nothing of prompts or pixels.

    python -m bench.gpu                 # an H100-class card: 1.3 B at 832x480x81, 5 B at 1280x704x121, about ten minutes
    python -m bench.gpu --dry           # tiny shapes on the processor: only whether everything runs

Prints for each forward its seconds, TFLOP/s, share of a bf16 matrix product (8192 a side) and of the card's nominal peak (MFU), its error
against float32, and the ratios. Then some steps of sampling, exact and fast: with random weights this tells what a reused step costs, not
how often trained weights allow one. What `fast` costs in likeness: ``python -m bench.speed``.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from misora.canvas import fills
from misora.cli import measure
from misora.flow.generate import Sampling, generate
from misora.flow.speed import WAN, Trade, at_speed
from misora.model import card, peer
from misora.model.sizes import SIZES
from misora.model.transformer import Transformer, TransformerConfig
from misora.model.wan_config import wan

SHAPES = {"wan2.1-t2v-1.3b": 32_760, "wan2.2-ti2v-5b": 27_280}  # tokens: 480p of 81 frames, 720p of 121
TINY = wan(width=256, depth=2, heads=2, hidden=512, channels=16, text_width=32)


def forwards(config: TransformerConfig, tokens: int, rounds: int, device: str, peak: float | None) -> tuple[Transformer, float]:
    """Time one forward each way, print it, and give our network and diffusers' eager seconds."""
    given = peer.given(config, tokens, device=device)
    match = peer.paired(config, torch.bfloat16, given)
    calls = dict(match.calls)
    if device != "cpu":
        calls["diffusers compiled"] = torch.compile(calls["diffusers"], dynamic=False)
    took, made = measure.alternated(calls, rounds, device)
    product = measure.gemm_peak(device=device, side=512 if device == "cpu" else 8192)
    seconds = {name: statistics.median(times) for name, times in took.items()}
    for name, each in seconds.items():
        rate = given.flops(config) / each
        print(f"  {name:18} {each:8.4f} s  {rate / 1e12:6.1f} TFLOP/s, {rate / product:.0%} of a product", end="")
        mfu = f", MFU {rate / peak:.0%}" if peak else ""
        print(f"{mfu}, error {match.error(made[name]):.1e}")
    print("  ratio " + ", ".join(f"{each / seconds['ours']:.2f} to {name}" for name, each in seconds.items() if name != "ours"))
    return match.networks[0], seconds["diffusers"]


def sampling(network: Transformer, tokens: int, steps: int, device: str, eager: float) -> None:
    """Time some steps with guidance, exact and fast, beside as many of diffusers' forwards."""
    given = peer.given(network.config, tokens, device=device)
    _, channels, frames, height, width = given.x.shape
    canvas = fills.text(kinds="S" + "G" * (frames - 1), channels=channels, height=height, width=width)
    given_there, level = canvas.given.to(device), canvas.level.to(device)
    times, roles, cards = canvas.times.to(device), canvas.roles.to(device), canvas.cards.to(device)
    canvas = dataclasses.replace(canvas, given=given_there, level=level, times=times, roles=roles, cards=cards)

    def draw(trade: Trade) -> Callable[[], Tensor]:
        def once() -> Tensor:
            with card.best_attention(given.x.device):
                return generate(network, canvas, given.text, 0 * given.text, at_speed(Sampling(steps=steps), trade))

        return once

    print(f"  attention by {'FlashAttention 3' if card.flash3() else 'torch'}")
    for name in ("exact", "fast"):
        draw(WAN[name])()
        measure.wait(device)
        started = time.perf_counter()
        draw(WAN[name])()
        measure.wait(device)
        took = time.perf_counter() - started
        print(f"  {name:18} {took / steps:8.4f} s a step; two of diffusers' forwards take {2 * eager / (took / steps):.2f} times as long")


@torch.inference_mode()
def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry", action="store_true", help="tiny shapes on the processor")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--peak", type=float, default=989e12, help="the card's nominal dense bf16 FLOP/s (default: an H100's)")
    options = parser.parse_args()
    if not options.dry and not torch.cuda.is_available():
        raise SystemExit("There is no card here; --dry runs tiny shapes on the processor.")
    device = "cpu" if options.dry else "cuda"
    shapes = {"tiny": (TINY, 104)} if options.dry else {name: (SIZES[name], tokens) for name, tokens in SHAPES.items()}
    for name, (config, tokens) in shapes.items():
        print(f"{name}, {tokens} tokens, bf16, random weights, {'processor' if options.dry else torch.cuda.get_device_name()}", flush=True)
        torch.manual_seed(0)
        network, eager = forwards(config, tokens, options.rounds, device, None if options.dry else options.peak)
        sampling(network, tokens, options.steps, device, eager)
        del network
        if not options.dry:
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
