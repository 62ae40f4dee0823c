"""What a person sees of a training: curves and sheets in TensorBoard, lines and a bar on the terminal; it knows nothing of learning."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from torch import Tensor

EVERY = 10.0  # seconds that a line averages over


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """Figures and pictures ([h, w, 3] uint8) to be logged."""

    figures: dict[str, float] = dataclasses.field(default_factory=dict)
    sheets: dict[str, Tensor] = dataclasses.field(default_factory=dict)


class Log:
    """Figures to TensorBoard and, averaged over ten seconds, one line on the terminal, above a bar where it is a real one."""

    def __init__(self, folder: Path, quiet: bool) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.board = SummaryWriter(folder / "board")
        self.console, self.quiet = Console(), quiet
        columns = (TextColumn("step {task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=self.console, transient=True, disable=quiet or not self.console.is_terminal)
        self.task = self.bar.add_task("", total=None)
        self.bar.start()
        self.shown, self.count, self.recent = time.monotonic(), 0, dict[str, list[float]]()

    def write(self, number: int, figures: dict[str, float], spent: float | None = None) -> None:
        """The figures of a step; ``spent``: the share of the whole training that is done, None where it has no end."""
        for name, value in figures.items():
            self.board.add_scalar(name, value, number)
            self.recent.setdefault(name, []).append(value)
        self.count += 1
        self.bar.update(self.task, description=str(number), completed=spent or 0, total=None if spent is None else 1.0)
        passed = time.monotonic() - self.shown
        if passed > EVERY:
            means = "  ".join(f"{name} {sum(values) / len(values):.4g}" for name, values in self.recent.items())
            self._say(f"step {number}  {self.count / passed:.2f} steps/s  {means}")
            self.shown, self.count, self.recent = time.monotonic(), 0, {}

    def show(self, number: int, look: Look) -> None:
        """What a learner can do by now."""
        for name, value in look.figures.items():
            self.board.add_scalar(name, value, number)
        for name, sheet in look.sheets.items():
            self.board.add_image(name, sheet, number, dataformats="HWC")
        if look.figures:
            self._say("  ".join([f"step {number}", *(f"{name} {value:.4g}" for name, value in look.figures.items())]))

    def close(self) -> None:
        """Take the bar away and write out what is left."""
        self.bar.stop()
        self.board.close()

    def _say(self, line: str) -> None:
        if not self.quiet:
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)
