"""What stands between the matrix products of a block, in C for processors with AMX, compiled once on the machine that runs it.

The sources lie beside this file; the machine's own C compiler makes a library of them in two seconds, which is kept in the user's cache.
Where there is no AMX or no compiler everything runs in torch. It knows nothing of blocks: tensors in, tensors out.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

SOURCES = tuple(Path(__file__).with_name(name) for name in ("amx.h", "amx.c", "amx_train.c", "amx_gradient.c"))
FLAGS = "-O3 -shared -fPIC -mfma -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512bf16 -mamx-tile -mamx-bf16"
PATIENCE = 60  # seconds for the compiler
LONGEST = 16384  # channels of a token
HEADS = (32, 64, 96, 128)  # channels of a head


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rows:
    """Which row of ``table`` [u, k, d], float32, each token has: ``index`` [b, t, p], or the row of its frame."""

    table: Tensor
    index: Tensor | None
    each: int  # tokens of a frame


@dataclasses.dataclass(frozen=True, kw_only=True)
class Packed:
    """Queries, keys or values as the tiles read them, and how many tokens they are of."""

    parts: tuple[Tensor, ...]  # b heads n d/heads each, n rounded up to 32
    tokens: int


class Kernels:
    """The library's functions over tensors in bfloat16 on the processor; the sum x that goes from layer to layer is in float32."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library
        # torch's own team of threads: another one would wait beside it on the same cores
        whole = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        self.team = ctypes.cast(whole.GOMP_parallel, ctypes.c_void_p) if hasattr(whole, "GOMP_parallel") else None

    def norm(self, x: Tensor, rows: Rows, gain: int, shift: int) -> Tensor:
        """Layer norm of x [b, t, p, d] times 1 + row ``gain`` plus row ``shift``."""
        made = torch.empty_like(x, dtype=torch.bfloat16)
        self._norm(x, None, None, made, None, rows, rows.table[:, gain], rows.table[:, shift], plus=1)
        return made

    def add(self, x: Tensor, y: Tensor, rows: Rows, gate: int) -> Tensor:
        """x plus y times row ``gate``."""
        total = torch.empty_like(x)
        self._norm(x, y, total, None, rows.table[:, gate], rows, None, None)
        return total

    def add_norm(self, x: Tensor, y: Tensor, rows: Rows, gate: int, gain: Tensor, shift: Tensor | None) -> tuple[Tensor, Tensor]:
        """x plus y times row ``gate``, and the layer norm of that times ``gain`` [d] plus ``shift`` [d]."""
        total, made = torch.empty_like(x), torch.empty_like(x, dtype=torch.bfloat16)
        self._norm(x, y, total, made, rows.table[:, gate], rows, gain, shift)
        return total, made

    def add_modulate(self, x: Tensor, y: Tensor, rows: Rows, gain: int, shift: int) -> tuple[Tensor, Tensor]:
        """x plus y, and the layer norm of that times 1 + row ``gain`` plus row ``shift``."""
        total, made = torch.empty_like(x), torch.empty_like(x, dtype=torch.bfloat16)
        self._norm(x, y, total, made, None, rows, rows.table[:, gain], rows.table[:, shift], plus=1)
        return total, made

    def square(self, x: Tensor) -> Tensor:
        """x of whole tokens, contiguous, each number times itself, in its place."""
        self.call("misora_square", (x,), (x.numel(),))
        return x

    def _norm(
        self,
        x: Tensor,
        y: Tensor | None,
        total: Tensor | None,
        made: Tensor | None,
        gate: Tensor | None,
        rows: Rows,
        gain: Tensor | None,
        shift: Tensor | None,
        plus: int = 0,
    ) -> None:
        step, stride = rows.table.stride(0), gain.stride(0) if gain is not None and gain.ndim > 1 else 0
        counts = (x.numel() // x.shape[-1], x.shape[-1], rows.each, step, stride)
        tensors = (x, y, total, made, gate, gain, shift, rows.index)
        self.call("misora_norm", tensors, counts, ctypes.c_int(plus))

    def pack(self, q: Tensor, k: Tensor, v: Tensor, wq: Tensor, wk: Tensor, turned: tuple[Tensor, Tensor] | None, heads: int) -> Packed:
        """Queries, keys and values [b, n, d], normed, weighted, and rotated by cosines and sines [b, n, 1, d/heads/2] float32."""
        parts = tuple(self._space(q, heads) for _ in range(3))
        self._pack((q, k, v, *parts, wq, wk, *(turned or (None, None))), heads)
        return Packed(parts=parts, tokens=q.shape[1])

    def pack_queries(self, q: Tensor, wq: Tensor, heads: int) -> Packed:
        """Queries alone, not rotated."""
        part = self._space(q, heads)
        self._pack((q, None, None, part, None, None, wq, None, None, None), heads)
        return Packed(parts=(part,), tokens=q.shape[1])

    def pack_words(self, k: Tensor, v: Tensor, wk: Tensor, heads: int) -> Packed:
        """Keys and values alone, not rotated."""
        parts = tuple(self._space(k, heads) for _ in range(2))
        self._pack((None, k, v, None, *parts, None, wk, None, None), heads)
        return Packed(parts=parts, tokens=k.shape[1])

    def attend(self, queries: Packed, words: Packed) -> Tensor:
        """Softmax attention of packed queries over packed keys and values, [b, n, d]."""
        q, (k, v) = queries.parts[0], words.parts[-2:]
        batch, heads, _, head = q.shape
        made = q.new_empty(batch, queries.tokens, heads * head)  # b n d
        self.call("misora_attend", (q, k, v, made), (batch, queries.tokens, words.tokens, heads, head))
        return made

    def _space(self, x: Tensor, heads: int) -> Tensor:
        return x.new_empty(x.shape[0], heads, (x.shape[1] + 31) // 32 * 32, x.shape[2] // heads)  # b heads n head

    def _pack(self, tensors: tuple[Tensor | None, ...], heads: int) -> None:
        one = next(tensor for tensor in tensors if tensor is not None)
        steps = [tensor.stride(1) if tensor is not None else 0 for tensor in tensors[:2]]
        self.call("misora_pack", tensors, (one.shape[0], one.shape[1], heads, one.shape[2] // heads, *steps))

    def call(self, name: str, tensors: tuple[Tensor | None, ...], counts: tuple[int, ...], *others: ctypes.c_int) -> None:
        """A function of the library, over the places of tensors and some counts."""
        places = (ctypes.c_void_p(None if tensor is None else tensor.data_ptr()) for tensor in tensors)
        getattr(self.library, name)(self.team, torch.get_num_threads(), *places, *map(ctypes.c_long, counts), *others)


def kernels_for(x: Tensor, heads: int = 0) -> Kernels | None:
    """The functions, where they can take tokens like ``x`` [..., d], for attention of so many ``heads``; None: use torch."""
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or x.device.type != "cpu" or x.dtype != torch.bfloat16:
        return None
    fits = x.shape[-1] <= LONGEST and x.shape[-1] % 16 == 0 and (not heads or x.shape[-1] // heads in HEADS)
    return kernels() if fits else None


def prepare() -> None:
    """Let the compiler begin, if it must, while something else is done."""
    _coming()


@functools.cache
def kernels() -> Kernels | None:
    """The functions of this machine, waited for if they are being made; None where there are none."""
    place = _coming().result()
    try:
        library = ctypes.CDLL(str(place)) if place else None
        return Kernels(library) if library and library.misora_allowed() else None
    except (OSError, AttributeError):
        return None


@functools.cache
def _coming() -> Future[Path | None]:
    pool = ThreadPoolExecutor(1, "compiler")
    coming = pool.submit(_made)
    pool.shutdown(wait=False)
    return coming


def _made() -> Path | None:
    """The library for this source and this compiler, from the cache or made now; None where it cannot be."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if sys.platform != "linux" or not torch.cpu._is_amx_tile_supported() or compiler is None:
        return None
    code = hashlib.sha256(b"".join(source.read_bytes() for source in SOURCES) + FLAGS.encode()).hexdigest()[:16]
    place = _cache() / f"amx-{code}.so"
    return place if place.is_file() else _compiled(compiler, place)


def _compiled(compiler: str, place: Path) -> Path | None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=place.parent) as folder:
            fresh = Path(folder) / place.name
            command = [compiler, *FLAGS.split(), "-o", str(fresh), *map(str, SOURCES[1:]), "-lm"]
            subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
            fresh.replace(place)
    except (OSError, subprocess.SubprocessError):
        return None
    return place


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "misora"
