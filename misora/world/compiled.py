"""One typed decorator that compiles a scalar function for the CPU (and lets CUDA kernels call it); it knows nothing of pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit


def _forget_stale() -> None:
    """Drop machine code older than any of the sources: the disk cache alone would miss a change in another file."""
    room = Path(__file__).parent
    newest = max(source.stat().st_mtime for source in (*room.glob("render*.py"), Path(__file__)))
    for index in room.glob("__pycache__/*.nbi"):
        with contextlib.suppress(FileNotFoundError):  # another process that starts now may drop it first
            if index.stat().st_mtime < newest:
                index.unlink()


_forget_stale()
Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile on first call, keep the machine code on disk, and release the interpreter lock while running."""
    return cast(Function, njit(cache=True, fastmath=True, nogil=True, error_model="numpy", _nrt=False, forceinline=True)(function))
