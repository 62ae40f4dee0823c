"""One typed decorator that compiles a scalar function for the CPU (and lets CUDA kernels call it); it knows nothing of pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile on first call, keep the machine code on disk, and release the interpreter lock while running."""
    return cast(Function, njit(cache=True, fastmath=True, nogil=True, error_model="numpy", _nrt=False)(function))
