"""The processor's heap, as far as a plan of memory must know it; it knows no network.

glibc keeps freed pieces of up to 32 MB for what comes next. Between tensors of many sizes that leaves holes, more or fewer from run to run;
and it gives threads heaps of their own, each with holes of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator
from typing import Any

THRESHOLD = -3  # M_MMAP_THRESHOLD of mallopt(3)
ARENAS = -8  # M_ARENA_MAX
SMALL, USUAL = 1 << 20, 32 << 20  # bytes


def trim() -> None:
    """Hand back to the system what is free at the moment, where the heap is glibc's."""
    if glibc := _glibc():
        glibc.malloc_trim(0)


def share() -> None:
    """Let the threads that begin from now on share one heap: what drawing, painting and writing take stays flat over a long video."""
    if glibc := _glibc():
        glibc.mallopt(ARENAS, 1)


@contextlib.contextmanager
def tight() -> Iterator[None]:
    """Meanwhile what is freed goes back to the system at once, which costs a little time and makes what is taken what is counted."""
    glibc = _glibc()
    if not glibc:
        yield
        return
    trim()
    glibc.mallopt(THRESHOLD, SMALL)
    try:
        yield
    finally:
        glibc.mallopt(THRESHOLD, min(int(os.environ.get("MALLOC_MMAP_THRESHOLD_", USUAL)), 2**31 - 1))


def _glibc() -> Any:
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None
