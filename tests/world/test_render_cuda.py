"""The CUDA renderer, in numba's simulator, draws what the CPU draws; it knows nothing of physics."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

COMPARE = """
import dataclasses
import numpy as np
from misora.world import render, render_cuda
from tests.world.test_render import moving
whole = moving(3)
two = {name: getattr(whole, name)[3:5] for name in ("positions", "orientations", "present", "camera")}
shot = dataclasses.replace(whole, **two)
frames, ids = (array.copy_to_host() for array in render_cuda.draw(shot, height=9, width=16))
other, other_ids = render.draw(shot, height=9, width=16)
assert np.array_equal(ids, other_ids), "ids"
assert np.abs(frames.astype(int) - other).mean() < 0.2, "colours"
"""


@pytest.mark.slow
def test_the_card_draws_what_the_cpu_draws() -> None:
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.getcwd()}
    done = subprocess.run([sys.executable, "-c", COMPARE], env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
