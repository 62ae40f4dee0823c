"""Times the autoencoder (encoding, decoding, a training step) beside the machine's own matrix product; it knows nothing of quality."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from misora.model.autoencoder import Autoencoder, AutoencoderConfig, pixel_frames
from misora.train.autoencoder import AutoencoderLearner, AutoencoderRecipe


def seconds(work: Callable[[], object], *, repeats: int = 5) -> float:
    """The best of some runs, after one to warm up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
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
    learner = AutoencoderLearner(recipe, [pixels])
    taken = seconds(lambda: learner.step(0))
    print(f"train: {recipe.batch / taken:.1f} crops of 9 x 64 x 64 a second")


if __name__ == "__main__":
    main()
