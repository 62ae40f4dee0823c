"""Laws of the savings: off they change nothing; where nothing differs from step to step they change nothing either."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor

from misora.canvas import fills
from misora.flow.generate import Sampling, generate
from misora.flow.guidance import Guidance
from misora.flow.speed import NAMES, OURS, WAN, at_speed
from misora.flow.stream import stream
from misora.model.reuse import Reuse
from misora.model.transformer import Transformer
from tests.tiny import random_transformer

TEXT = torch.randn(1, 5, 256, generator=torch.Generator().manual_seed(6))
NOTHING = torch.zeros(1, 5, 256)
CANVAS = fills.text(kinds="SGG", channels=16, height=4, width=6)


@pytest.fixture
def network() -> Transformer:
    return random_transformer()


def _counted(network: Transformer) -> list[int]:
    """Fills with a 1 for each time the last block works."""
    calls: list[int] = []
    network.blocks[-1].register_forward_pre_hook(lambda *given: calls.append(1))
    return calls


def _make(network: Transformer, **options: object) -> Tensor:
    return generate(network, CANVAS, TEXT, NOTHING, Sampling(**{"steps": 6, **options}))


def test_exact_changes_nothing_and_all_trades_have_their_names() -> None:
    assert tuple(OURS) == tuple(WAN) == NAMES
    for table in (OURS, WAN):
        assert at_speed(Sampling(), table["exact"]) == Sampling()
        assert at_speed(Sampling(), table["fast"]) != Sampling()


@pytest.mark.parametrize("name", NAMES)
def test_a_network_that_repeats_itself_is_followed_to_its_answer(network: Transformer, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = torch.randn(CANVAS.given.shape, generator=torch.Generator().manual_seed(9))
    monkeypatch.setattr(network, "forward", lambda x, *others: answer.repeat(len(x), 1, 1, 1, 1))
    for table in (OURS, WAN):
        made = generate(network, CANVAS, TEXT, NOTHING, at_speed(Sampling(steps=10), table[name]))
        assert torch.allclose(made, answer, atol=1e-5)


def test_a_threshold_of_nothing_reuses_nothing_and_a_large_one_everything(network: Transformer) -> None:
    exact, calls = _make(network), _counted(network)
    assert torch.equal(_make(network, cache=1e-9), exact) and len(calls) == 6
    calls.clear()
    assert not torch.equal(_make(network, cache=1e9), exact) and len(calls) == 1


def test_reuse_is_exact_where_the_later_blocks_do_the_same(network: Transformer) -> None:
    with torch.no_grad():
        for weight in (network.blocks[1].attention.out.weight, network.blocks[1].cross.out.weight, network.blocks[1].ffn.down.weight):
            weight.zero_()  # the block is the identity
    assert torch.allclose(_make(network, cache=1e9), _make(network), atol=1e-5)


def test_a_window_that_has_moved_reuses_nothing(network: Transformer) -> None:
    canvas, how = fills.text(kinds="S" + "G" * 7, channels=16, height=4, width=6), Sampling(steps=2, lag=1.0)
    exact = torch.stack(list(stream(network, canvas, TEXT, NOTHING, how)), 2)
    saved = torch.stack(list(stream(network, canvas, TEXT, NOTHING, dataclasses.replace(how, cache=1e9, every=9))), 2)
    assert torch.equal(saved, exact)


def test_the_negative_text_is_asked_every_so_often_and_its_difference_kept() -> None:
    rows: list[int] = []

    def predict(x: Tensor, level: Tensor, text: Tensor) -> Tensor:
        rows.append(len(x))
        return x + text.mean(dim=(1, 2))[:, None, None, None, None]

    guidance = Guidance(scale=3.0, interval=(0.5, 1.0), every=3)
    x, ones = torch.randn(1, 2, 3, 4, 4), torch.ones(1, 5, 8)
    for level in (1.0, 0.9, 0.8, 0.7, 0.6, 0.4):
        made = guidance(predict, x, torch.full((1, 3), level), ones, 0 * ones, [0, 1, 2])
        assert torch.allclose(made, x + (3 if level > 0.5 else 1), atol=1e-5)
    assert rows == [2, 1, 1, 2, 1, 1]
    rows.clear()
    guidance(predict, x, torch.ones(1, 3), ones, 0 * ones, [1, 2, 3])
    assert rows == [2], "other frames"


def test_reuse_remembers_each_shape_of_one_subject() -> None:
    reuse, one, two = Reuse(0.1), torch.ones(1, 2, 4), torch.ones(2, 2, 4)
    reuse.about("a")
    reuse.keep(one, 2 * one, 5 * one)
    assert reuse.recalled(two, 2 * two) is None
    rest = reuse.recalled(3 * one, 4.05 * one)
    assert rest is not None and torch.equal(rest, 3 * one)
    assert reuse.recalled(3 * one, 4.2 * one) is None
    reuse.about("b")
    assert reuse.recalled(one, 2 * one) is None


def test_networks_taught_a_few_levels_see_these_alone_and_noise_anew(network: Transformer, monkeypatch: pytest.MonkeyPatch) -> None:
    stops, answer = (1.0, 0.757, 0.522), torch.randn(CANVAS.given.shape, generator=torch.Generator().manual_seed(9))
    seen: list[tuple[float, Tensor]] = []

    def forward(x: Tensor, level: Tensor, *others: object) -> Tensor:
        seen.append((float(level.max()), x))
        return answer

    monkeypatch.setattr(network, "forward", forward)
    made = generate(network, CANVAS, TEXT, NOTHING, Sampling(steps=3, guidance=1.0, stops=stops, eta=1.0))
    assert torch.allclose(made, answer, atol=1e-5)
    assert [level for level, _ in seen] == pytest.approx(stops)
    noises = [(x - (1 - level) * answer) / level for level, x in seen]
    assert all(abs(float(noise.std()) - 1) < 0.1 for noise in noises)
    assert all(abs(float((a * b).mean())) < 0.1 for a, b in itertools.combinations(noises, 2)), "noise is drawn anew"


def test_the_bench_of_savings_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from bench import speed
    from tests.tiny import write_weights

    given = ["speed", "--model", str(write_weights(tmp_path)), "--steps", "3", "--prompts", "1", "--seconds", ".3", "--only-named"]
    monkeypatch.setattr("sys.argv", given)
    speed.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and "work 1.00" in lines[0] and "SSIM 1.000" in lines[0]
