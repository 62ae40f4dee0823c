"""Laws of ``misora bench``: its figures add up, both libraries make the same, and mistakes say what to do."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from misora.cli import measure
from misora.cli.main import main
from misora.client.errors import MissingExtraError
from misora.model import hub, peer
from misora.model.wan_config import wan
from tests.tiny import write_weights


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "gemm_peak", lambda **options: 1e12)
    monkeypatch.setattr(measure, "bandwidth_peak", lambda **options: 1e10)


def _facts(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, object]:
    assert main(["bench", "--rounds", "1", *argv, "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_the_ratio_is_the_peer_s_seconds_over_ours(capsys: pytest.CaptureFixture[str]) -> None:
    facts = _facts(capsys, "--model", "tiny", "--random-weights", "--tokens", "132", "--peer", "diffusers")
    ours, theirs = facts["ours"], facts["diffusers"]
    assert isinstance(ours, dict) and isinstance(theirs, dict)
    assert facts["ratio"] == theirs["seconds"] / ours["seconds"]
    assert facts["tokens"] == 132 and ours["tflops"] == pytest.approx(ours["of_gemm"])


@pytest.mark.parametrize("per_token", [False, True])
def test_both_make_the_same_of_wan_s_weights(per_token: bool) -> None:
    config = wan(width=256, depth=2, heads=2, hidden=512, channels=16, text_width=32)
    torch.manual_seed(0)
    with torch.inference_mode():
        match = peer.paired(config, torch.bfloat16, peer.given(config, 104, per_token=per_token))
        errors = {name: match.error(call()) for name, call in match.calls.items()}
    assert all(error is not None and error < 1e-2 for error in errors.values()), errors


def test_a_request_is_split_into_its_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(write_weights(tmp_path / "model"))
    facts = _facts(capsys, "--model", model, "--seconds", ".2", "--size", "128x128", "--steps", "2")
    stages = facts["stages"]
    assert isinstance(stages, dict) and list(stages) == ["text", "denoise", "decode", "encode"]
    assert min(stages.values()) > 0 and facts["seconds"] == sum(stages.values())
    assert main(["bench", "--model", model, "--seconds", ".2", "--size", "128x128", "--steps", "2", "--rounds", "1"]) == 0
    assert "denoise" in capsys.readouterr().out


def test_each_moment_counts_once_for_the_innermost_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    monkeypatch.setattr(measure.time, "perf_counter", lambda: float(next(clock)))
    stages = measure.Stages()

    def decode() -> Iterator[int]:
        yield stages.call("denoise", lambda: 1)()
        yield 2

    assert stages.call("encode", lambda: list(stages.each("decode", decode)()))() == [1, 2]
    assert stages.under_way == [] and set(stages.spent) == {"encode", "decode", "denoise"}
    assert stages.spent["denoise"] == 1 and stages.spent["decode"] == 4 and stages.spent["encode"] == 4


def test_the_card_s_bench_runs_dry(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from bench import gpu

    monkeypatch.setattr("sys.argv", ["gpu", "--dry", "--rounds", "1", "--steps", "2"])
    gpu.main()
    said = capsys.readouterr().out
    assert "to diffusers" in said and "fast" in said


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("--model", "nonsense", "--random-weights"), "no size with a name"),
        (("--rounds", "0"), "rounds"),
        (("--random-weights", "--tokens", "0"), "--tokens"),
        (("--random-weights", "--layers", "99"), "--layers"),
        (("--peer", "another"), "--peer"),
    ],
)
def test_mistakes_say_what_to_do(argv: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *argv]) == 2
    assert says in capsys.readouterr().err


def test_without_the_peer_s_library_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def missing(name: str) -> None:
        raise MissingExtraError("no")

    monkeypatch.setattr(hub, "extra", missing)
    assert main(["bench", "--model", "tiny", "--random-weights", "--peer", "diffusers"]) == 1
    assert "misora[wan]" in capsys.readouterr().err
