"""Laws of ``misora evals prompt``: rows and intervals are printed, a second run draws nothing, several models make a curve."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import trades
from misora.cli.main import main
from misora.cli.sources import Clips
from misora.evals.takes import Store
from misora.flow.speed import NAMES
from tests.tiny import write_weights

ROWS = (
    "simulator",
    "autoencoder",
    "shuffled prompts",
    "frozen first frame",
    "model",
    "model, en",
    "model, ja",
    "model, one or two things",
    "model, three things",
)


def test_a_table_is_made_once_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    early, late = write_weights(tmp_path / "early"), write_weights(tmp_path / "late")
    for folder, samples in ((early, 10), (late, 20)):
        (folder / "runs.jsonl").write_text(json.dumps({"network": "transformer", "samples": samples}) + "\n")
    out = tmp_path / "evals"
    common = ["evals", "prompt", "--prompts", "1", "--workers", "1", "--steps", "1", "--out", str(out), "--model"]
    assert main([*common, str(early)]) == 0
    table = capsys.readouterr().out
    report = json.loads((out / "prompt.json").read_text())
    assert tuple(report["rows"]) == ROWS and all(name in table for name in ("simulator", "takes", "energy", "Wilson"))
    assert report["rows"]["simulator"]["scores"]["all"]["right"] == 1 and (out / "ten.png").exists()

    speeds = trades.rows(str(early), 1, 1, out)
    assert tuple(speeds) == NAMES and len(Store(out / "takes.jsonl").done) == 5  # the world's, two languages, two other speeds
    same = report["rows"]["model, en"]["scores"]["all"]
    assert (speeds["exact"].scores["all"].right, speeds["exact"].scores["all"].asked) == (same["right"], same["asked"])

    def drawn(*args: object) -> None:
        raise AssertionError("a clip that was judged before is drawn again")

    monkeypatch.setattr(Clips, "draw", drawn)
    assert main([*common, str(late), str(early)]) == 0  # the same weights under two names
    assert "score against training" in capsys.readouterr().out
    assert [json.loads(line)["samples"] for line in (out / "curve.jsonl").read_text().splitlines()] == [10, 20]


@pytest.mark.parametrize("flags", [["--prompts", "0"], ["--seeds", "11"], ["--workers", "0"], ["--steps", "0"], ["--speed", "x"]])
def test_what_cannot_be_meant_is_refused_before_any_work(flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evals", "prompt", "--out", str(tmp_path / "evals"), *flags]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1 and not (tmp_path / "evals").exists()
