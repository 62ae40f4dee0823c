"""How often the mark is found again after what happens to clips, and how often where it is not; it knows nothing of the policy.

``python -m bench.watermark`` marks clips that the weights in the package draw (or every clip of a folder), changes each in every way and
looks for it. ``--unmarked N`` looks at N scenes of the world that carry no mark; ``--wrong-keys N`` tries N other keys on a marked clip.
``--first F`` begins at another one, so that many can be looked at piece by piece.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from misora.media.read import read_video
from misora.trust.coding import payload_of
from misora.trust.detect import align, detect, fold, residues
from misora.trust.watermark import CELL, TILE, marked, tile_of

DELIVERED = 17  # crf of the file before anything happens to it
KEY = bytes(range(32))
SIZES = {"704x384": (384, 704), "1280x720": (720, 1280)}


def compressed(frames: Tensor, crf: int = 28) -> Tensor:
    """The frames after x264."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=24, options={"crf": str(crf), "preset": "veryfast"})
            stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.numpy(), format="rgb24")))
            container.mux(stream.encode())
        return read_video(path)[0]


def resized(frames: Tensor, height: int, width: int) -> Tensor:
    """The frames [t, h, w, 3] at another size."""
    made = [interpolate(f.permute(2, 0, 1)[None].float(), size=(height, width), mode="bicubic", antialias=True)[0] for f in frames]
    return torch.stack(made).clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def cropped(frames: Tensor) -> Tensor:
    """A tenth of each side gone, not from the middle."""
    height, width = frames.shape[1:3]
    top, left = int(0.04 * height), int(0.07 * width)
    return frames[:, top : top + int(0.9 * height) // 4 * 4, left : left + int(0.9 * width) // 4 * 4].contiguous()


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "crf 28": lambda x: x,
    "half size": lambda x: resized(x, x.shape[1] // 2, x.shape[2] // 2),
    "10 % crop": cropped,
    "mirror": lambda x: x.flip(2),
    "dropped frames": lambda x: x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[: len(x) // 2].sort().values],
    "all of them": lambda x: resized(y := cropped(x.flip(2))[::2], y.shape[1] // 2, y.shape[2] // 2),
}


def drawn_clips(numbers: range, height: int, width: int) -> Iterator[Tensor]:
    """Clips of four seconds as the server delivers them but for the mark, [t, h, w, 3], drawn with the weights in the package."""
    import misora
    from misora.evals.prompts import read_items

    engine, items = misora.load("embedded"), read_items()
    for number in numbers:
        cut = engine.generate(items[number % len(items)].captions["en"], seed=number, size=f"{width}x{height}")
        yield torch.stack(list(cut.stream()))


def scenes(numbers: range) -> Iterator[Tensor]:
    """Four moments of scenes of the world, [4, h, w, 3], enlarged as delivered clips are."""
    from misora.world.make import make_clip
    from misora.world.scenes import CORE

    for seed in numbers:
        native = torch.from_numpy(make_clip(seed, CORE, frame_rate=2.0, held_out=True).frames)[::2][:4]
        yield resized(native, 2 * native.shape[1], 2 * native.shape[2])


def within(clips: Iterator[Tensor], seconds: float) -> Iterator[Tensor]:
    """One clip, and those after it that can be begun in so many seconds; all of them when that is 0."""
    end = time.monotonic() + seconds
    for clip in clips:
        yield clip
        if seconds and time.monotonic() >= end:
            return


def identify(clips: Iterator[Tensor], first: int) -> None:
    """The table of what is found after which change."""
    found: dict[str, list[int]] = {name: [0, 0, 0] for name in CHANGES}
    decibels = []
    for number, clip in enumerate(clips, first):
        payload = payload_of(f"video_{number}")
        start = time.process_time()
        mark = torch.stack(list(marked(clip, KEY, payload)))
        cost = 1000 * (time.process_time() - start) / len(clip)
        errors = [float((one.float() - other.float()).square().mean()) for one, other in zip(mark, clip, strict=True)]
        decibels.append(10 * math.log10(255**2 * len(errors) / sum(errors)))
        mark, missed = compressed(mark, DELIVERED), ""
        for name, change in CHANGES.items():
            seen = detect(compressed(change(mark)), KEY, thorough=False)
            counts = found[name]
            counts[0], counts[1], counts[2] = counts[0] + 1, counts[1] + seen.certain, counts[2] + (seen.payload == payload)
            missed += "" if seen.payload == payload else f", not read after {name}" if seen.certain else f", lost after {name}"
        print(f"clip {number}: {decibels[-1]:.1f} dB, {cost:.2f} ms a frame{missed}", flush=True)  # a run that is cut short tells so far
    for name, (total, certain, read) in found.items():
        print(f"{name:<16}{certain:>6} found{read:>6} read, of {total}")
    print(f"least {min(decibels):.2f} dB, mean {sum(decibels) / len(decibels):.2f} dB")


def false_alarms(clips: Iterator[Tensor]) -> None:
    """How strongly the mark is seen where there is none."""
    strengths, alarms = [], 0
    for clip in clips:
        seen = detect(clip, KEY, thorough=False)
        strengths.append(seen.strength)
        alarms += seen.certain
    strengths.sort()
    print(f"{alarms} false alarms in {len(strengths)} clips; strongest {strengths[-1]:.2f}, median {strengths[len(strengths) // 2]:.2f}")


def wrong_keys(clip: Tensor, trials: int, seed: int, batch: int = 2000) -> None:
    """Tiles of other keys against a marked clip, at every shift by whole squares from where the mark lies, and in both orientations.

    The tiles are drawn as keys draw them (so many squares on average, fair signs), by a generator that is quicker than a key's own.
    """
    folded = fold(residues(torch.stack(list(marked(clip, KEY, payload_of("video_0")))))[CELL], 1.0)
    right, (down, across) = align(folded, tile_of(KEY))
    straight = folded.roll((-down, -across), (0, 1))
    seen = [avg_pool2d(x[None], CELL)[0] for x in (straight, straight.flip(1))]  # n n each
    places = [(down, right) for down in range(TILE) for right in range(TILE)]
    shifted = torch.stack([x.roll(place, (0, 1)).flatten() for x in seen for place in places]).bfloat16()  # 2*n*n n*n
    share, strongest, draw = float((tile_of(KEY).sync != 0).float().mean()), 0.0, torch.Generator().manual_seed(seed)
    for _ in range(-(-trials // batch)):
        noise = torch.rand(batch, TILE * TILE, generator=draw)
        tiles = (noise < share / 2).bfloat16() - (noise > 1 - share / 2).bfloat16()  # batch n*n
        surface = (tiles @ shifted.T).float().view(batch, 2, -1)
        strongest = max(strongest, float(((surface.amax(2) - surface.mean(2)) / surface.std(2)).max()))
    print(f"{trials} wrong keys: strongest {strongest:.2f} deviations; the right one {right:.2f}")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--size", choices=SIZES, default="704x384")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, metavar="F")
    parser.add_argument("--unmarked", type=int, default=0)
    parser.add_argument("--wrong-keys", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.0, help="stop after so long, and say how many it were")
    args = parser.parse_args()
    torch.set_num_threads(1)
    height, width = SIZES[args.size]
    if args.unmarked:
        return false_alarms(within(scenes(range(args.first, args.first + args.unmarked)), args.seconds))
    if args.wrong_keys:
        return wrong_keys(next(scenes(range(1))), args.wrong_keys, args.first)
    if args.folder:
        return identify((read_video(path)[0] for path in sorted(args.folder.glob("*.mp4"))[: args.count]), args.first)
    return identify(within(drawn_clips(range(args.first, args.first + args.count), height, width), args.seconds), args.first)


if __name__ == "__main__":
    main()
