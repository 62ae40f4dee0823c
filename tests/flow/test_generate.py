"""Laws of the one sampler."""

import dataclasses

import pytest
import torch
from torch import Tensor

from misora.canvas import fills
from misora.canvas.canvas import Canvas
from misora.flow.generate import Sampling, fresh_noise, generate, seeded_noise
from misora.flow.solvers import SOLVERS
from misora.model.transformer import Transformer
from tests.tiny import random_transformer


@pytest.fixture(scope="module")
def network() -> Transformer:
    return random_transformer()


def _canvas(batch: int = 1) -> Canvas:
    canvas = fills.text(kinds="SGG", channels=16, height=4, width=6, batch=batch)
    given = torch.randn(canvas.given.shape, generator=torch.Generator().manual_seed(5))
    return dataclasses.replace(canvas, given=given)


def _make(network: Transformer, canvas: Canvas, **options: object) -> Tensor:
    text = torch.randn(1, 5, 256, generator=torch.Generator().manual_seed(6)).expand(len(canvas.given), -1, -1)
    progress = options.pop("progress", None)
    return generate(network, canvas, text, torch.zeros(1, 5, 256), Sampling(**{"steps": 4, **options}), progress)


@pytest.mark.parametrize("solver", list(SOLVERS))
@pytest.mark.parametrize("eta", [0.0, 0.7])
@pytest.mark.parametrize("lag", [0.0, 1.5])
def test_given_tokens_come_out_bit_identical(network: Transformer, solver: str, lag: float, eta: float) -> None:
    canvas = _canvas()
    level = canvas.level.clone()
    level[:, 0] = 0
    level[:, 2, :2, 2:4] = 0  # a given patch inside an invented frame
    canvas = dataclasses.replace(canvas, level=level)
    made = _make(network, canvas, solver=solver, lag=lag, eta=eta)
    kept = (level == 0)[:, None].expand_as(made)
    assert torch.equal(made[kept], canvas.given[kept])
    assert not torch.equal(made[~kept], canvas.given[~kept])
    assert made.isfinite().all()


def test_the_same_seed_makes_the_same_and_another_does_not(network: Transformer) -> None:
    made = _make(network, _canvas(), seed=2**62)
    assert torch.equal(_make(network, _canvas(), seed=2**62), made)
    assert not torch.equal(_make(network, _canvas(), seed=1), made)


@pytest.mark.parametrize("eta", [0.0, 0.7])
def test_a_clip_of_a_batch_is_that_clip_alone(network: Transformer, eta: float) -> None:
    both = _make(network, _canvas(2), seed=7, eta=eta)
    alone = _make(network, _canvas(1), seed=8, eta=eta)
    assert torch.allclose(both[1:], alone, atol=1e-4)


def test_what_opens_a_shot_is_guided_from_a_level_of_its_own(network: Transformer) -> None:
    never = {"interval": (2.0, 3.0), "lag": 4.0, "opening": 2.0}  # each frame begins when the one before it is done
    plain, wide = _make(network, _canvas(), guidance=1.0, **never), _make(network, _canvas(), **never, opened=0.0)
    assert torch.equal(_make(network, _canvas(), **never), plain), "no level lies inside"
    assert not torch.allclose(wide[:, :, 0], plain[:, :, 0], atol=1e-3)
    given = dataclasses.replace(_canvas(), level=_canvas().level * torch.tensor([0.0, 1, 1])[:, None, None])
    assert torch.equal(_make(network, given, **never, opened=0.0), _make(network, given, guidance=1.0, **never)), (
        "what is given opens nothing"
    )


def test_remix_at_strength_zero_is_the_identity_and_at_one_ignores_its_input(network: Transformer) -> None:
    canvas = _canvas()
    still = dataclasses.replace(canvas, level=canvas.level * 0)
    assert torch.equal(_make(network, still), canvas.given)
    blank = dataclasses.replace(canvas, given=torch.zeros_like(canvas.given))
    assert torch.equal(_make(network, canvas), _make(network, blank))


def test_a_perfect_network_is_followed_to_its_answer(network: Transformer, monkeypatch: pytest.MonkeyPatch) -> None:
    canvas = _canvas()
    answer = torch.randn(canvas.given.shape, generator=torch.Generator().manual_seed(9))
    monkeypatch.setattr(network, "forward", lambda x, *others: answer.repeat(len(x), 1, 1, 1, 1))
    for steps in (1, 3, 10):
        for eta in (0.0, 0.7):
            assert torch.allclose(_make(network, canvas, steps=steps, eta=eta), answer, atol=1e-5)


def test_renewed_noise_leads_elsewhere_but_to_the_same_place_each_time(network: Transformer) -> None:
    made = _make(network, _canvas(), eta=0.7)
    assert torch.equal(_make(network, _canvas(), eta=0.7), made)
    assert not torch.allclose(_make(network, _canvas()), made, atol=1e-2)


def test_progress_is_told_and_may_cancel(network: Transformer) -> None:
    heard: list[tuple[int, int]] = []
    _make(network, _canvas(), progress=lambda done, total: heard.append((done, total)))
    assert heard == [(1, 4), (2, 4), (3, 4), (4, 4)]

    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _make(network, _canvas(), progress=cancel)


def test_noise_is_seeded_by_clip() -> None:
    like = torch.zeros(3, 2, 2, 2, 2)
    assert torch.equal(seeded_noise(like, 4)[2], seeded_noise(like, 6)[0])


def test_fresh_noise_is_a_frame_s_own_and_new_at_each_step() -> None:
    like = torch.zeros(2, 2, 3, 2, 2)
    noise = fresh_noise(like, 4, 7, [0, 1, 2])
    assert torch.equal(fresh_noise(like[:, :, :2], 4, 7, [2, 0]), noise[:, :, [2, 0]]), "whatever the window shows"
    assert torch.equal(fresh_noise(like[:1], 5, 7, [0, 1, 2])[0], noise[1]), "clip i has seed + i"
    assert not torch.equal(fresh_noise(like, 4, 8, [0, 1, 2]), noise)
    assert noise.unique().numel() == noise.numel()
