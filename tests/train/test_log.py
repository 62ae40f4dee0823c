"""Laws of what a person sees of a training."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from misora.train.log import Log, Look
from misora.train.loop import Budget


def test_a_figure_is_averaged_over_its_own_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = Log(tmp_path, quiet=False)
    log.write(1, {"loss": 1.0})
    log.write(2, {"loss": 2.0})
    log.shown = time.monotonic() - 11
    log.write(3, {"loss": 3.0, "loss/5": 1.0})
    log.close()
    assert "loss 2  loss/5 1\n" in capsys.readouterr().out


def test_curves_and_sheets_stand_in_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = Log(tmp_path, quiet=True)
    for number in (1, 2):
        log.write(number, {"loss": 1.0 / number})
    log.show(2, Look(figures={"held-out loss": 0.25}, sheets={"samples": torch.zeros(8, 24, 3, dtype=torch.uint8)}))
    log.close()
    board = EventAccumulator(str(tmp_path / "board")).Reload()
    curve = [(event.step, event.value) for event in board.Scalars("loss")]
    assert curve == [(1, 1.0), (2, 0.5)] and board.Scalars("held-out loss")[0].value == 0.25
    sheet = board.Images("samples")[0]
    assert (sheet.step, sheet.width, sheet.height) == (2, 24, 8)


@pytest.mark.parametrize(("budget", "percentage"), [(Budget(steps=12), 25.0), (Budget(), 0.0)])
def test_the_bar_is_what_of_the_budget_is_spent(tmp_path: Path, budget: Budget, percentage: float) -> None:
    log = Log(tmp_path, quiet=True)
    log.write(3, {"loss": 1.0}, budget.spent(3, 0.0))
    task = log.bar.tasks[0]
    log.close()
    assert (task.percentage, task.description, task.total is None) == (percentage, "3", budget.steps is None)


def test_the_sooner_end_counts() -> None:
    assert Budget(steps=10, minutes=2.0).spent(5, 90.0) == 0.75
    assert Budget(steps=10, minutes=2.0).spent(9, 90.0) == 0.9
    assert Budget(minutes=1.0).spent(7, 90.0) == 1.0
    assert Budget().spent(7, 90.0) is None
