"""A command in a process of its own and what it cost; it knows nothing of what the command does."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """What a whole command took: seconds by the clock, seconds of all cores, and the peak of its resident memory in GB."""

    wall: float
    cores: float
    memory: float


def cold(command: list[str]) -> Cost:
    """The cost of a command in a new process, from a cold start; ends this one where it fails."""
    command = [sys.executable, "-m", *command]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with exit code {process.returncode}")
    memory = used.ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
    return Cost(wall=time.perf_counter() - start, cores=used.ru_utime + used.ru_stime, memory=memory)
