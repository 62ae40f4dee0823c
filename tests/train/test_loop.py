"""The loop's log tells means over the steps that a figure occurred in; resuming itself is tested with the transformer."""

from __future__ import annotations

from pathlib import Path

import pytest

from misora.train.loop import _Log


def test_a_figure_is_averaged_over_its_own_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = _Log(tmp_path, quiet=False)
    log.write(1, {"loss": 1.0, "loss/5": 1.0})
    log.write(2, {"loss": 2.0})
    log.shown -= 11  # seconds: time for a line
    log.write(3, {"loss": 3.0})
    log.close()
    assert "loss 2  loss/5 1\n" in capsys.readouterr().out
