"""What will fit, known before the first step: the memory that Wan's weights need for a clip, and what is free; it draws nothing.

One block and one tile of the autoencoder are tried on a few tokens and cells; what they take grows with the clip in proportion. The best
way that fits is taken: all of the transformer in memory, or its blocks brought one by one, which is slower.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from weakref import WeakKeyDictionary

import torch

from misora.client.errors import GenerationError
from misora.model.amx import kernels_for
from misora.model.footprint import peak
from misora.model.linear import Reordered
from misora.model.transformer import Transformer
from misora.model.wan_pixels import windows
from misora.model.wan_weights import WanWeights

TOKENS = 1024  # that a block is tried on: few, since what they leave behind in the heap is counted as taken
CELLS = 8  # side of the tile that the autoencoder is tried on
TEXT = 512  # vectors of a text
LIBRARIES = 90e6  # bytes of the tokenizer's library, once it is needed
FILE = 60  # frames that the video's encoder holds at a time
ENCODER = 27e6  # bytes of its library
_KNOWN: WeakKeyDictionary[Transformer, dict[bool, Cost]] = WeakKeyDictionary()  # of weights that are open


@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """What is to be made: latent frames, their height and width, and how many clips at once (two under guidance)."""

    frames: int
    height: int
    width: int
    batch: int = 2
    mixed: bool = False  # whether levels differ inside a frame
    reading: bool = True  # whether a text is new, so that the text encoder must be read


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """How it will be done. ``whole``: with all blocks in memory; ``tile`` and ``apart``: see ``WanPixels.decode_stream``; bytes."""

    whole: bool
    tile: int
    apart: bool
    needs: float
    free: float
    slower: float = 1.0
    whole_needs: float = 0.0

    def says(self) -> str | None:
        """What a person should know of it; None where everything fits."""
        if self.whole:
            return None
        how = f"using block offload, about {self.slower:.1f}x slower"
        return f"This needs {self.whole_needs / 1e9:.1f} GB, {self.free / 1e9:.1f} GB free: {how}."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """What was found by trying: bytes, and seconds where it says so."""

    block: float
    bringing: float  # seconds, a block
    token: float
    seconds: float  # of a token in a block
    cell: float  # of a tile that is decoded
    cached: float  # a cell, from one latent frame to the next


def plan(weights: WanWeights, work: Work, *, limit: float | None = None, cost: Cost | None = None) -> Plan:
    """The best way that fits, or within ``limit`` bytes. Raises GenerationError where none does."""
    cost = cost or known(weights, mixed=work.mixed)
    depth, held = weights.transformer.config.depth, _bytes(weights.blocks)
    free = min(limit or float("inf"), available(weights.device)) + held
    tokens = work.batch * work.frames * work.height * work.width / 4
    reading = LIBRARIES * ("transformers" not in sys.modules) + (3 * text_block(weights) if work.reading else 0)
    drawing = tokens * cost.token + 6 * _latents(weights, work)
    best = None
    for whole in (True, False):
        blocks = cost.block * (depth if whole else 3)
        for tile, apart in ((64, False), (32, True)):
            decoding = _decoding(weights, work, cost, tile, apart=apart) + (blocks if whole else 0)
            needs = max(reading + (held if whole else 0), blocks + drawing + (_heard(weights, work) if whole else 0), decoding)
            best = best or needs
            if needs <= free:
                slower = (
                    1 + cost.bringing / (cost.seconds * tokens) if weights.device.type == "cpu" else cost.bringing / (cost.seconds * tokens)
                )
                return Plan(whole=whole, tile=tile, apart=apart, needs=needs, free=free, slower=max(1.0, slower), whole_needs=best)
    short = f"needs {needs / 1e9:.1f} GB even with block offload, and {free / 1e9:.1f} GB are free"
    raise GenerationError(f"This {short}; ask for a smaller --size or fewer --seconds, or close other programs.")


def known(weights: WanWeights, *, mixed: bool) -> Cost:
    """What was found by trying, now or for an earlier clip with the same weights."""
    costs = _KNOWN.setdefault(weights.transformer, {})
    if mixed not in costs:
        costs[mixed] = tried(weights, mixed=mixed)
    return costs[mixed]


def tried(weights: WanWeights, *, mixed: bool = False) -> Cost:
    """Try one block and one small tile."""
    started = time.perf_counter()
    block = weights.blocks[0]
    bringing = time.perf_counter() - started
    config, device = weights.transformer.config, weights.device
    blank = torch.zeros((), device=device, dtype=weights.dtype)
    x, turn = blank.new_zeros(1, 1, TOKENS, config.width), blank.new_zeros(1, TOKENS, 1, config.width // config.heads // 2)
    x = x if kernels_for(x, config.heads) is None else x.float()
    table, text = torch.zeros(1, 6, config.width, device=device), blank.new_zeros(1, TEXT, config.width)
    index = torch.zeros(1, 1, TOKENS, dtype=torch.long, device=device) if mixed else None

    def once() -> None:
        block(x, (table, index), text, (turn, turn))

    most = peak(once)
    started = time.perf_counter()
    with torch.inference_mode():
        once()
    seconds = (time.perf_counter() - started) / TOKENS
    cell, cached = _tried_tile(weights)
    beside = 2 * x[0, 0, 0].nbytes + 2 * turn[0, 0].nbytes  # the tokens that come in and those of half depth, and their angles
    return Cost(block=_bytes(block), bringing=bringing, token=most / TOKENS + beside, seconds=seconds, cell=cell, cached=cached)


def _tried_tile(weights: WanWeights) -> tuple[float, float]:
    """Bytes for each cell of a tile while it is decoded, and of what is kept from one latent frame to the next."""
    pixels = weights.autoencoder
    cells = torch.zeros(1, pixels.channels, 1, CELLS, CELLS).to(pixels.here)
    past = pixels.fresh()

    def once() -> None:
        for first in (True, False, False):
            pixels.piece(cells, past, fresh=first)

    most = peak(once)
    kept = sum(part.nbytes for part in past if isinstance(part, torch.Tensor))
    return (most - kept) / CELLS**2, kept / CELLS**2


def _decoding(weights: WanWeights, work: Work, cost: Cost, tile: int, *, apart: bool) -> float:
    space = weights.autoencoder.space
    cells = work.height * work.width
    tiled = min(work.height, tile) * min(work.width, tile)
    frame = 3 * cells * space**2  # numbers
    rows, columns = (sum(end - start for start, end in windows(side, tile)) for side in (work.height, work.width))
    kept = tiled if apart else rows * columns  # overlaps are kept twice
    store = 2 * frame * 4 * work.frames if apart else 0
    return tiled * cost.cell + kept * cost.cached + store + 4 * frame * 4 * 2 + min(FILE, 4 * work.frames) * frame / 2 + ENCODER


def _heard(weights: WanWeights, work: Work) -> float:
    """Keys and values of the texts in all blocks, see ``heard``."""
    config = weights.transformer.config
    return 2.0 * work.batch * TEXT * config.width * config.depth * weights.dtype.itemsize


def _latents(weights: WanWeights, work: Work) -> float:
    return 4.0 * weights.autoencoder.channels * work.frames * work.height * work.width


def text_block(weights: WanWeights) -> float:
    """Bytes of a block of the text encoder."""
    config = weights.text.encoder.config
    return (4 * config.width * config.inner + 3 * config.width * config.hidden) * weights.dtype.itemsize


def _bytes(module: torch.nn.Module) -> float:
    plain = sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))
    reordered = [inner.reordered for inner in module.modules() if isinstance(inner, Reordered)]
    return float(plain + sum(tensor.numel() * tensor.element_size() for tensor in reordered))


def available(device: torch.device) -> float:
    """Bytes that can still be had on a device."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return float(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    if device.type == "mps":
        return float(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    told = Path("/proc/meminfo")
    if not told.is_file():
        import os

        return 0.7 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    rows = dict(line.split(":", 1) for line in told.read_text().splitlines())
    return min(1024.0 * int(rows["MemAvailable"].split()[0]), _of_group())


def _of_group() -> float:
    """What the group of processes that this one is in may still take, as containers limit it."""
    root = Path("/sys/fs/cgroup")
    for most, used in (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")):
        try:
            limit, now = (root / most).read_text().strip(), (root / used).read_text().strip()
            return float(int(limit) - int(now)) if limit != "max" else float("inf")
        except (OSError, ValueError):
            continue
    return float("inf")
