"""The process around the command: environment variables, memory settings, signals; it knows nothing of the verbs."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

# glibc hands large buffers back to the kernel after every step and asks for them again: keeping them is worth 1.7x in training.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    "MALLOC_TRIM_THRESHOLD_": "20000000000",
    "MALLOC_TOP_PAD_": "100000000",
}


def debugging() -> bool:
    """Whether ``MISORA_DEBUG=1`` asks for whole tracebacks."""
    return os.environ.get("MISORA_DEBUG", "") not in ("", "0")


def enhance_key() -> str:
    """The key for the endpoint that ``--enhance-with`` names, ``MISORA_ENHANCE_KEY``; empty where it needs none."""
    return os.environ.get("MISORA_ENHANCE_KEY", "")


def moderation_key() -> str:
    """The key for the server that ``--moderation-url`` names, ``MISORA_MODERATION_KEY``; empty where it needs none."""
    return os.environ.get("MISORA_MODERATION_KEY", "")


def keep_memory() -> None:
    """Start this very command again, once, with ``KEEP_MEMORY``; only glibc reads it, and only when a process starts."""
    if sys.platform == "linux" and not KEEP_MEMORY.keys() & os.environ.keys():
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **KEEP_MEMORY})


def terminate_politely() -> None:
    """Let SIGTERM unwind like Ctrl-C does, so that half-written files are removed."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)
