"""What each way to save time costs in likeness: the same prompts and seeds exactly, and with it; it knows nothing of what is good.

    python -m bench.speed [--model NAME|FOLDER] [--steps 30] [--prompts 3] [--seconds 4] [--clock]

Prints, for the named trades and for each saving alone, which share of the exact run's work was done (tokens through blocks), and PSNR and
SSIM of the decoded frames beside the exact run's. All of a clip is drawn at once, without a window. ``--clock`` adds the seconds. Then what
``--pack`` costs, and products in fp8 as cards make them, played by rounding what comes in. What the named trades cost in the parser's eyes:
``python -m bench.trades``.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time

import torch
from torch import Tensor
from torch.nn import functional as F

from misora.canvas import fills
from misora.flow.generate import Sampling, generate
from misora.flow.speed import OURS, WAN, Trade, at_speed
from misora.model.packed import PackedLinear, pack, packed
from misora.model.weights import Weights, load_weights, open_weights

PROMPTS = (
    "a red ball bounces on a wooden floor",
    "a blue cube slides to the left on snow, and a white cone stands still",
    "a yellow cylinder topples over at sunset",
    "a green ball rolls to the right past a red cube",
)
ALONE = {
    "steps x .8": Trade(steps=0.8),
    "steps x .5": Trade(steps=0.5),
    "guidance every 2nd step": Trade(every=2),
    "guidance every 3rd step": Trade(every=3),
    "guidance above level .5": Trade(guided=0.5),
    "guidance above level .75": Trade(guided=0.75),
    "half the steps, every 2nd": Trade(steps=0.5, every=2),
    "first block within .25": Trade(cache=0.25),
}


def psnr(a: Tensor, b: Tensor) -> float:
    """Decibels between pixels in -1..1."""
    return float(10 * torch.log10(4 / (a - b).square().mean().clamp_min(1e-12)))


def ssim(a: Tensor, b: Tensor) -> float:
    """Structural similarity (Wang et al. 2004) of pixels [t, 3, h, w] in -1..1: luma, windows of 8x8."""
    a, b = ((clip.float().mean(1, keepdim=True) + 1) / 2 for clip in (a, b))  # t 1 h w

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 8, 1)

    at, bt = mean(a), mean(b)
    va, vb, both = mean(a * a) - at * at, mean(b * b) - bt * bt, mean(a * b) - at * bt
    return float(((2 * at * bt + 0.01**2) * (2 * both + 0.03**2) / ((at**2 + bt**2 + 0.01**2) * (va + vb + 0.03**2))).mean())


class Work:
    """Counts the tokens that go through the blocks."""

    def __init__(self, blocks: torch.nn.ModuleList) -> None:
        self.tokens = 0
        for block in blocks:
            block.register_forward_pre_hook(self._count)

    def _count(self, block: torch.nn.Module, given: tuple[Tensor, ...]) -> None:
        self.tokens += given[0].shape[:-1].numel()


@torch.inference_mode()
def drawn(weights: Weights, prompt: str, seed: int, how: Sampling, frames: int) -> Tensor:
    """A clip's pixels [t, 3, h, w]."""
    kinds = "S" + "G" * (frames - 1)
    canvas = fills.text(kinds=kinds, channels=weights.transformer.config.channels, height=12, width=22)
    told, untold = weights.text.encode([prompt]), weights.text.encode([""])
    latents = generate(weights.transformer, canvas, told, untold, dataclasses.replace(how, seed=seed))  # 1 c t h w
    return weights.autoencoder.decode(latents.to(weights.dtype), kinds)[0].transpose(0, 1).float().clamp(-1, 1)  # t 3 h w


def in_bytes(model: str, kind: str, *, products: bool = False) -> Weights:
    """A model with the matrices of its blocks packed, and with ``products`` what is multiplied with them rounded to fp8."""

    def rounded(layer: torch.nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        rows, scale = packed(given[0].flatten(0, -2), "fp8")  # n k, n 1
        return ((rows.float() * scale).to(given[0].dtype).view_as(given[0]),)

    weights = load_weights(model)  # their layers are still plain
    pack(weights.transformer.blocks, kind)
    for layer in weights.transformer.modules() if products else ():
        if isinstance(layer, PackedLinear):
            layer.register_forward_pre_hook(rounded)
    return weights


def said(name: str, work: float, clips: list[Tensor], exact: list[Tensor], took: str = "") -> None:
    """Print one row."""
    likeness = statistics.mean(psnr(a, b) for a, b in zip(clips, exact, strict=True)) if clips is not exact else float("inf")
    shape = statistics.mean(ssim(a, b) for a, b in zip(clips, exact, strict=True))
    print(f"{name:26} work {work:4.2f}  PSNR {likeness:5.1f} dB  SSIM {shape:.3f}{took}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--prompts", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--only-named", action="store_true")
    parser.add_argument("--clock", action="store_true")
    options = parser.parse_args()
    weights = open_weights(options.model)
    assert isinstance(weights, Weights), "open weights are measured with the pixels of their own size, not here"
    frames, how = 1 + round(options.seconds * 3), Sampling(steps=options.steps)
    work = Work(weights.transformer.blocks)
    named = {f"{name} (long)": trade for name, trade in WAN.items()} | {f"{name} (short)": trade for name, trade in OURS.items()}
    exact: list[Tensor] = []
    whole = 0
    for name, trade in ({"exact": Trade()} | named | ({} if options.only_named else ALONE)).items():
        if name != "exact" and trade == Trade():
            continue
        work.tokens, started = 0, time.perf_counter()
        clips = [drawn(weights, prompt, seed, at_speed(how, trade), frames) for seed, prompt in enumerate(PROMPTS[: options.prompts])]
        took = f"  {time.perf_counter() - started:6.1f} s" if options.clock else ""
        exact, whole = exact or clips, whole or work.tokens
        said(name, work.tokens / whole, clips, exact, took)
    for kind, products in () if options.only_named else (("int8", False), ("fp8", False), ("fp8", True)):
        small = in_bytes(options.model, kind, products=products)
        clips = [drawn(small, prompt, seed, how, frames) for seed, prompt in enumerate(PROMPTS[: options.prompts])]
        said(f"{kind} {'products' if products else 'matrices'}", 1.0, clips, exact)


if __name__ == "__main__":
    main()
