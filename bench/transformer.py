"""Training throughput of the transformer, beside the machine's own matrix product in the same run; it knows nothing of data.

    python -m bench.transformer [--sizes small base] [--tokens 66 330 858] [--steps 8] [--processes 2] [--eager]

Each process trains on its own share of the batch with one thread (barriers between threads cost more than sharing gradients) and
runs the whole step: forward, backward, gradients averaged over processes, Muon and AdamW. Model FLOPs are those of the matrix
products and of attention, three times the forward pass.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time

import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import spawn
from torch.nn import functional

from misora.model.sizes import SIZES
from misora.model.transformer import Transformer, TransformerConfig
from misora.train.muon import Muon

HEIGHT, WIDTH, WORDS = 12, 22, 24  # latents of a native frame (66 tokens) and slots of the text encoder
SAMPLES = {66: 192, 330: 48, 858: 16}  # of a batch, by tokens
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    "MALLOC_TRIM_THRESHOLD_": "20000000000",
    "MALLOC_TOP_PAD_": "100000000",
    "GOMP_SPINCOUNT": "0",
}


def flops(config: TransformerConfig, tokens: int) -> float:
    """Model FLOPs of one training sample."""
    width = config.width
    dense = tokens * 2 * width * (6 * width + 2 * config.hidden) + WORDS * 4 * width * width  # projections and feed-forward
    attention = 4 * tokens * (tokens + WORDS) * width
    ends = tokens * 2 * width * 8 * config.channels
    return 3.0 * (config.depth * (dense + attention) + ends)


def gemm_peak(seconds: float = 1.0, side: int = 2048) -> float:
    """bf16 FLOP/s of a square matrix product in this process."""
    a = torch.randn(side, side, dtype=torch.bfloat16)  # side side
    a @ a
    started, rounds = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        a @ a
        rounds += 1
    return rounds * 2 * side**3 / (time.perf_counter() - started)


class Bench:
    """One process's share of the training of one size."""

    def __init__(self, config: TransformerConfig, tokens: int, samples: int, eager: bool) -> None:
        self.network = Transformer(config)
        self.frames, self.samples = tokens // (HEIGHT * WIDTH // 4), samples
        weights = list(self.network.named_parameters())
        matrices = [weight for name, weight in weights if weight.ndim == 2 and name.startswith("blocks.") and "modulation" not in name]
        vectors = [weight for _, weight in weights if all(weight is not matrix for matrix in matrices)]
        self.optimisers = (Muon(matrices, lr=1e-3), torch.optim.AdamW(vectors, lr=1e-3, fused=True))
        for block in () if eager else self.network.blocks:
            block.compile(dynamic=False)

    def step(self) -> None:
        """Forward, backward, share, update."""
        loss = self._loss()
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [weight.grad for weight in self.network.parameters() if weight.grad is not None]
        if dist.is_initialized():
            flat = torch.cat([gradient.flatten().bfloat16() for gradient in gradients])
            dist.all_reduce(flat)
            shared = torch.split(flat, [gradient.numel() for gradient in gradients])
            torch._foreach_copy_(gradients, [part.view_as(gradient) for part, gradient in zip(shared, gradients, strict=True)])
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad()

    def _loss(self) -> Tensor:
        b, t = self.samples, self.frames
        clean = torch.randn(b, self.network.config.channels, t, HEIGHT, WIDTH)  # b c t h w
        kinds = torch.ones(b, t, dtype=torch.long)  # b t
        times = torch.arange(t).float().expand(b, t)  # b t
        with torch.autocast("cpu", torch.bfloat16):
            made = self.network(clean, torch.rand(b, t), torch.randn(b, WORDS, 256), kinds, times, torch.zeros_like(kinds))
        return functional.mse_loss(made.float(), clean)


def measure(rank: int, options: argparse.Namespace) -> None:
    """All sizes and token counts in one of the processes; the first prints."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // options.processes))
    torch.manual_seed(rank)
    if options.processes > 1:
        dist.init_process_group("gloo", init_method=f"file://{options.meet}", rank=rank, world_size=options.processes)
    for size, tokens in itertools.product(options.sizes, options.tokens):
        bench = Bench(SIZES[size], tokens, SAMPLES[tokens] // options.processes, options.eager)
        for _ in range(2):  # compiling
            bench.step()
        started = time.perf_counter()
        for _ in range(options.steps):
            bench.step()
        rate = options.steps * SAMPLES[tokens] / (time.perf_counter() - started)  # samples/s
        done, peak = rate * flops(SIZES[size], tokens) / 1e12, gemm_peak() * options.processes / 1e12  # TFLOP/s
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
    os.environ.update(MALLOC)  # read when a process starts: the children have it
    with tempfile.TemporaryDirectory() as folder:
        options.meet = f"{folder}/meet"
        spawn(measure, (options,), nprocs=options.processes)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
