"""A command in a process of its own and what it cost; it knows nothing of what the command does."""

from __future__ import annotations

import os
import subprocess
import sys
import time


def cold(command: list[str]) -> tuple[float, float]:
    """Wall seconds of a whole command in a new process, and its peak resident memory in GB."""
    command = [sys.executable, "-m", *command]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with exit code {process.returncode}")
    return time.perf_counter() - start, used.ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
