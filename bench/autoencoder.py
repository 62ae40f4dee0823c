"""The autoencoder in figures: fidelity on held-out clips, and times beside the machine's own matrix product.

python -m bench.autoencoder [MODEL]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from misora.model.autoencoder import Autoencoder, AutoencoderConfig, pixel_frames
from misora.model.weights import load_weights
from misora.train.autoencoder import AutoencoderLearner, AutoencoderRecipe, Crops, signal_to_noise
from misora.world.make import make_clip
from misora.world.scenes import CORE


def seconds(work: Callable[[], object], *, repeats: int = 5) -> float:
    """The best of some runs, after one to warm up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def fidelity(model: str, clips: int = 16) -> None:
    """Print a model's PSNR on scenes that training never draws, as means over the clips."""
    weights, kinds = load_weights(model), "S" + "G" * 12
    found = []
    for seed in range(clips):
        frames = torch.from_numpy(make_clip(seed, CORE, held_out=True).frames)[None].float() / 127.5 - 1  # 1 t h w 3
        with torch.inference_mode():
            latents = weights.autoencoder.encode(frames.movedim(-1, 1).to(weights.dtype), kinds)  # 1 c t h w
            made = weights.autoencoder.decode(latents.to(weights.dtype), kinds).movedim(1, -1).float()  # 1 t h w 3
        found.append(signal_to_noise(made, frames))
    moved = [there for _, there in found if there < 99]  # where nothing moves there is no such figure
    print(f"held-out clips: {sum(all_ for all_, _ in found) / clips:.1f} dB, where it moves {sum(moved) / len(moved):.1f} dB")


def main() -> None:
    fidelity(sys.argv[1] if len(sys.argv) > 1 else "embedded")
    matrix = torch.randn(2048, 2048, dtype=torch.bfloat16)
    print(f"bf16 matrix product: {2 * 2048**3 / seconds(lambda: matrix @ matrix) / 1e12:.2f} TFLOP/s on {torch.get_num_threads()} threads")
    network, kinds = Autoencoder(AutoencoderConfig()), "S" + "G" * 12
    print(f"parameters: {sum(p.numel() for p in network.parameters()) / 1e6:.2f} M")
    frames = torch.rand(1, 3, pixel_frames(kinds), 96, 176) * 2 - 1
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        latents = network.encode(frames, kinds)
        print(f"encode 49 x 96 x 176: {1e3 * seconds(lambda: network.encode(frames, kinds)):.0f} ms")
        print(f"decode 49 x 96 x 176: {1e3 * seconds(lambda: network.decode(latents, kinds)):.0f} ms")
        print(f"the same, streamed: {1e3 * seconds(lambda: list(network.decode_stream(latents, kinds))):.0f} ms")
    pixels = np.random.default_rng(0).integers(0, 255, (4, 17, 96, 176, 3), dtype=np.uint8)
    recipe = AutoencoderRecipe(kinds=("SGG",), crops=((64, 64),))
    learner = AutoencoderLearner(recipe, Crops([pixels], recipe))
    taken = seconds(lambda: learner.step(0))
    print(f"train: {recipe.batch / taken:.1f} crops of 9 x 64 x 64 a second")


if __name__ == "__main__":
    main()
