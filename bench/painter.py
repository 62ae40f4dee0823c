"""The painter in figures: fidelity on scenes never trained on, beside bicubic enlargement, and seconds to paint and write a clip.

    python -m bench.painter [--model NAME|FOLDER] [--clips 16] [--size 704x384] [--seconds 4] [--large] [--sheet FILE.png]

A scene is simulated once and drawn twice, at native size and, at 24 frames per second, at the size asked. What the native frames become
by way of encoder, decoder and painter is compared with the larger drawing. It knows nothing of prompts.
"""

from __future__ import annotations

import argparse
import math
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from misora.cli.measure import gemm_peak
from misora.media.write import write_image, write_video
from misora.model.painter import Painter
from misora.model.weights import fast_dtype, folder_of, load_autoencoder, load_painter
from misora.render.request import Request
from misora.render.video import deliver
from misora.train.painter_samples import through
from misora.world.make import staged_scenes
from misora.world.render import draw
from misora.world.scenes import CORE, FULL
from misora.world.takes import Picture

SECONDS = 1.0  # of each scene: as much as fits into memory twice at any size
MARGIN = 2  # native frames at either end that are not compared: the autoencoder's first, and those whose neighbours are cut off


def scenes(model: str, clips: int, size: tuple[int, int]) -> Iterator[tuple[Tensor, Tensor]]:
    """Native frames that went through the autoencoder [t 3 h w], and the true ones [2t-1 H W 3] uint8."""
    autoencoder, _ = load_autoencoder(folder_of(model, ("autoencoder",)))
    native = Request(prompt="a", size=f"{size[1]}x{size[0]}").native()
    scale = max(size[0] / native[0], size[1] / native[1])
    cover = round(native[0] * scale), round(native[1] * scale)
    top, left = ((large - side) // 2 for large, side in zip(cover, size, strict=True))
    for seed in range(clips):
        picture = Picture(seconds=SECONDS, frame_rate=24.0, size=native)
        shot, _ = next(staged_scenes(seed, FULL if seed % 2 else CORE, picture, held_out=True))
        small = through(autoencoder, draw(shot.at(slice(0, None, 2)), height=native[0], width=native[1])[0])  # t h w 3
        large = draw(shot, height=cover[0], width=cover[1])[0][:, top : top + size[0], left : left + size[1]]
        yield torch.from_numpy(small).permute(0, 3, 1, 2).float() / 127.5 - 1, torch.from_numpy(large.copy())


def decibels(made: Tensor, true: Tensor) -> float:
    """Peak signal-to-noise ratio of uint8 pictures."""
    return -10 * math.log10(float((made.float() - true.float()).square().mean()) / 255**2 + 1e-10)


def fidelity(model: str, painter: Painter | None, clips: int, size: tuple[int, int], sheet: Path | None) -> None:
    """Print means over the clips of the PSNR of whole frames, half-way frames and all; the liveliest half-way frames go on the sheet."""
    rows: list[list[float]] = []
    shown: list[tuple[float, Tensor]] = []
    for native, true in scenes(model, clips, size):
        count = len(true)
        kept = slice(2 * MARGIN, count - 2 * MARGIN)
        painted, plain = (torch.stack(list(deliver(native, by, size=size, count=count)))[kept] for by in (painter, None))
        blend = plain.clone()
        blend[1:-1:2] = ((plain[:-2:2].float() + plain[2::2].float()) / 2).round().byte()
        true = true[kept]
        rows.append([decibels(some[part], true[part]) for part in (slice(0, None, 2), slice(1, -1, 2)) for some in (painted, plain, blend)])
        rows[-1] += [decibels(some, true) for some in (painted, plain, blend)]
        shown.append(liveliest(blend, painted, true))
    means = torch.tensor(rows).mean(0)
    for name, figures in zip(("whole", "half-way", "all"), means.view(3, 3).tolist(), strict=True):
        print(
            f"{name:9} frames: painted {figures[0]:.2f} dB   bicubic, each shown twice {figures[1]:.2f}   bicubic, blended {figures[2]:.2f}"
        )
    if sheet:
        best = sorted(shown, key=lambda pair: -pair[0])[:6]
        write_image(sheet, torch.cat([picture for _, picture in best]))


def liveliest(blend: Tensor, painted: Tensor, true: Tensor, window: tuple[int, int] = (160, 256)) -> tuple[float, Tensor]:
    """Of all half-way frames the window in which the blend is furthest from the truth: how far, and blend, painted, true in a row."""
    gap = (blend[1:-1:2].float() - true[1:-1:2].float()).square().mean(-1)[:, None]  # n 1 H W
    sums = torch.nn.functional.avg_pool2d(gap, window, 16)  # n 1 y x
    frame, _, y, x = (int(place) for place in (sums == sums.max()).nonzero()[0])
    here = (2 * frame + 1, slice(16 * y, 16 * y + window[0]), slice(16 * x, 16 * x + window[1]))
    return float(sums.max()), torch.cat([some[here] for some in (blend, painted, true)], 1)


def speed(painter: Painter | None, seconds: float, size: tuple[int, int]) -> None:
    """Print wall and processor seconds of painting and writing a clip in which something crosses the picture, and the memory it took."""
    request = Request(prompt="a", size=f"{size[1]}x{size[0]}", seconds=seconds)
    h, w = request.native()

    def native() -> Iterator[Tensor]:
        ground = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 8) - 0.5, size=(h, w), mode="bicubic")[0]
        for number in range(request.native_frames() + 1):
            frame = ground + 0.02 * torch.rand(3, h, w)
            frame[:, h // 3 : h // 2, (x := 4 * number % (w - 24)) : x + 24] = 0.8
            yield frame

    with tempfile.TemporaryDirectory() as folder:
        start, worked = time.perf_counter(), time.process_time()
        write_video(Path(folder) / "a.mp4", deliver(native(), painter, size=size, count=request.frames()), 24)
        took, worked = time.perf_counter() - start, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
    print(
        f"{seconds:g} s at {size[1]}x{size[0]}, 24 frames per second: painted and written in {took:.2f} s, {worked:.2f} s of all cores, "
        f"peak memory so far {peak:.2f} GB"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--size", default="704x384")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--large", action="store_true", help="also 10 seconds of 1920x1080")
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    size = Request(prompt="a", size=options.size).delivered()
    painter = load_painter(folder_of(options.model, ("autoencoder",)), fast_dtype())
    print(f"painter: {'none' if painter is None else f'{sum(p.numel() for p in painter.parameters()):,} parameters'}")
    for seconds in (options.seconds, 4 * options.seconds):  # the second line's memory is the first's: it does not grow with the length
        speed(painter, seconds, size)
    if options.large:
        speed(painter, 10.0, (1080, 1920))
    print(f"matrix product beside it: {gemm_peak() / 1e12:.2f} TFLOP/s")
    if options.clips:
        fidelity(options.model, painter, options.clips, size, options.sheet)


if __name__ == "__main__":
    main()
