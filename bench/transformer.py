"""Training throughput of the transformer, beside the machine's own matrix product in the same run; it knows nothing of real data.

    python -m bench.transformer [--sizes small base] [--tokens 66 330 858] [--steps 8] [--processes 2] [--eager]

It runs the trainer's own steps on random latents and one caption: text, forward, backward, gradients averaged over processes, Muon and
AdamW. Model FLOPs are those of the matrix products and of attention, as the trainer counts them. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from misora.canvas.canvas import PATCH
from misora.cli.measure import gemm_peak
from misora.data.loader import Batch, Loader
from misora.model.sizes import SIZES
from misora.model.text import TextConfig, TextEncoder
from misora.train.pretrain import Pretrainer, PretrainRecipe, flops
from misora.train.runs import take_cores

HEIGHT, WIDTH = 12, 22  # latents of a native frame: 66 tokens
SAMPLES = {66: 192, 330: 48, 858: 16}  # in a batch, by tokens
CAPTION = "a red ball bounces on a wooden floor, and a blue cube stands still to the right of it"
# Read when a process starts, so that its children have them: big buffers stay with the process, and threads do not spin.
KEEP = {
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    "MALLOC_TRIM_THRESHOLD_": "20000000000",
    "MALLOC_TOP_PAD_": "100000000",
    "GOMP_SPINCOUNT": "0",
}


class RandomLatents(Loader):
    """Batches of one shape without any data behind them."""

    def __init__(self, channels: int, tokens: int) -> None:
        self.whole, frames = SAMPLES[tokens], tokens * PATCH**2 // (HEIGHT * WIDTH)
        self.latents = torch.randn(self.whole, channels, frames, HEIGHT, WIDTH).bfloat16()  # b c t h w
        self.labels = torch.zeros(self.whole, 2, frames, HEIGHT // PATCH, WIDTH // PATCH, dtype=torch.uint8)  # b 2 t h/2 w/2
        self.kinds = "S" + "G" * (frames - 1)

    def batch(self, step: int, part: slice = slice(None)) -> Batch:
        """The same latents at every step."""
        captions = [CAPTION] * len(range(self.whole)[part])
        return Batch(latents=self.latents[part], labels=self.labels[part], kinds=self.kinds, captions=captions, part=part, whole=self.whole)


def measure(rank: int, options: argparse.Namespace) -> None:
    """All sizes and token counts in one of the processes; the first prints."""
    if options.processes > 1:
        take_cores(rank, options.processes)
        dist.init_process_group("gloo", init_method=f"file://{options.meet}", rank=rank, world_size=options.processes)
    for size, tokens in itertools.product(options.sizes, options.tokens):
        recipe = PretrainRecipe(config=SIZES[size], servings=(), compiled=not options.eager)
        text = TextEncoder(TextConfig(vocabulary=tuple(sorted(set(CAPTION)))))
        trainer = Pretrainer(recipe, RandomLatents(recipe.config.channels, tokens), text)
        trainer.step(0)
        trainer.step(1)  # compiled by now
        started = time.perf_counter()
        for number in range(options.steps):
            trainer.step(2 + number)
        rate = options.steps * SAMPLES[tokens] / (time.perf_counter() - started)  # samples/s
        done, peak = rate * flops(recipe.config, tokens) / 1e12, gemm_peak() * options.processes / 1e12  # TFLOP/s
        if rank == 0:
            line = f"{size:5} {tokens:4} tokens: {rate:6.1f} samples/s  {done:5.2f} TFLOP/s  {done / peak:4.0%} of the GEMM peak {peak:.2f}"
            print(line, flush=True)


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description="Training throughput of the transformer.")
    parser.add_argument("--sizes", nargs="+", default=["small", "base"], choices=list(SIZES))
    parser.add_argument("--tokens", nargs="+", type=int, default=list(SAMPLES), choices=list(SAMPLES))
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--eager", action="store_true")
    options = parser.parse_args()
    os.environ.update(KEEP)
    with tempfile.TemporaryDirectory() as folder:
        options.meet = f"{folder}/meet"
        spawn(measure, (options,), nprocs=options.processes)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
