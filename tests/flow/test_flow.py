"""Laws of path, steps, solvers and guidance."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from misora.flow import path
from misora.flow.guidance import Guidance, scale_at
from misora.flow.schedule import schedule
from misora.flow.solvers import SOLVERS, adams, euler, nothing_yet, renew


def _pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 4, 3, 4, 6, generator=generator), torch.randn(2, 4, 3, 4, 6, generator=generator)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4, 6)])
def test_predictions_of_x_and_of_velocity_are_one(shape: tuple[int, ...]) -> None:
    clean, noise = _pair()
    level = 0.05 + 0.95 * torch.rand(*shape, generator=torch.Generator().manual_seed(1))
    x = path.mix(clean, noise, level)
    assert torch.allclose(path.velocity(clean, x, level, "x"), noise - clean, atol=1e-4)
    assert torch.allclose(path.clean(noise - clean, x, level, "velocity"), clean, atol=1e-5)
    assert torch.equal(path.velocity(noise - clean, x, level, "velocity"), noise - clean)
    assert torch.equal(path.clean(clean, x, level, "x"), clean)


def test_clean_latents_stay_to_the_bit_and_do_not_move() -> None:
    clean, noise = _pair()
    level = torch.zeros(2, 3)
    assert torch.equal(path.mix(clean, noise, level), clean)
    assert not path.velocity(noise, clean, level, "x").any()


@given(
    steps=st.integers(1, 30),
    frames=st.integers(1, 13),
    shift=st.floats(0.5, 8),
    lag=st.floats(0, 3),
    more=st.lists(st.floats(0, 9), max_size=13),
)
def test_schedules_only_ever_lower_noise_from_one_to_zero(steps: int, frames: int, shift: float, lag: float, more: list[float]) -> None:
    extra = torch.tensor([*more, *[0.0] * 13][:frames])
    levels = schedule(steps, torch.arange(frames), shift=shift, lag=lag, more=extra)
    assert levels.shape[1] == frames
    assert (levels[0] == 1).all()
    assert (levels[-1] == 0).all()
    assert (levels.diff(dim=0) <= 0).all()
    assert (levels.diff(dim=1) >= 0).all()  # later frames are never cleaner


def test_a_frame_with_more_steps_keeps_those_after_it_waiting_and_nobody_else() -> None:
    plain = schedule(5, torch.arange(4), shift=3.0, lag=1.0)
    more = schedule(5, torch.arange(4), shift=3.0, lag=1.0, more=torch.tensor([0, 5, 0, 0]))
    assert torch.equal(more[: len(plain), 0], plain[:, 0])
    assert torch.equal(more[5:, 2:], plain[:, 2:])
    assert int((more[:, 1].diff() < 0).sum()) == 10


@pytest.mark.parametrize("solver", list(SOLVERS))
@pytest.mark.parametrize("lag", [0.0, 0.7])
def test_a_straight_flow_is_landed_exactly(solver: str, lag: float) -> None:
    clean, noise = (part.double() for part in _pair())
    x, memory = noise, nothing_yet(solver, noise)
    levels = schedule(7, torch.arange(3), shift=3.0, lag=lag).double()
    for now, then in itertools.pairwise(levels[:, None, None, :, None, None]):
        x, memory = SOLVERS[solver](x, noise - clean, now, then, memory)
    assert torch.allclose(x, clean, atol=1e-12 if solver != "unipc" else 1e-5)  # signal is at least 1e-6 there


def test_unipc_is_diffusers_own_whatever_the_flow() -> None:
    from diffusers import UniPCMultistepScheduler

    steps, generator = 6, torch.Generator().manual_seed(4)
    x = torch.randn(1, 2, 1, 3, 3, generator=generator)
    theirs, memory = x.clone(), nothing_yet("unipc", x)
    plan = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=1.0)
    levels = schedule(steps, torch.zeros(1), shift=3.0)
    plan.set_timesteps(sigmas=levels[:-1, 0].double().numpy(), num_inference_steps=steps)
    for i in range(steps):
        now, then = (levels[i + k].view(1, 1, 1, 1, 1).expand_as(x[:, :1]) for k in (0, 1))
        flow = [torch.sin(3 * state + float(levels[i])) - state.flip(-1) for state in (x, theirs)]
        x, memory = SOLVERS["unipc"](x, flow[0], now, then, memory)
        theirs = plan.step(flow[1], plan.timesteps[i], theirs, return_dict=False)[0]
        assert (x - theirs).norm() / theirs.norm() < 1e-4, f"step {i}"


@pytest.mark.parametrize("solver, order", [("euler", 1), ("adams", 2), ("unipc", 2)])
def test_each_solver_is_of_its_order(solver: str, order: int) -> None:
    """Towards a clean picture that bends with the level, from .9 to .3, the error falls with that power of the step."""
    errors = []
    for steps in (8, 16, 256):
        levels = torch.linspace(0.9, 0.3, steps + 1, dtype=torch.float64)
        x, memory = torch.ones(1, 1, 1, 1, 1, dtype=torch.float64), nothing_yet(solver, torch.ones(1, 1, 1, 1, 1, dtype=torch.float64))
        for now, then in itertools.pairwise(levels.view(-1, 1, 1, 1, 1, 1)):
            x, memory = SOLVERS[solver](x, (x - torch.sin(3 * x)) / now, now, then, memory)
        errors.append(float(x))
    coarse, fine = (abs(error - errors[2]) for error in errors[:2])
    assert coarse / fine > 2**order * 0.75


def test_adams_is_of_second_order() -> None:
    """On dx/dl = x from 1 to 0 the error falls with the square of the step."""
    errors = []
    for steps in (20, 40):
        x, before = torch.ones(1, dtype=torch.float64), None
        for _ in range(steps):
            change = torch.full((1,), -1 / steps, dtype=torch.float64)
            velocity = x
            x = adams(x, velocity, change, before)
            before = (velocity, change)
        errors.append(abs(float(x) - torch.e**-1))
    assert errors[0] / errors[1] > 3


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_renewed_noise_leaves_the_clean_part_alone_and_keeps_its_strength(eta: float) -> None:
    generator = torch.Generator().manual_seed(0)
    clean, noise, fresh = (torch.randn(1, 16, 3, 32, 32, generator=generator) for _ in range(3))
    level, after = torch.full((1, 3), 0.8), torch.full((1, 1, 3, 1, 1), 0.5)
    x, velocity, change = path.mix(clean, noise, level), noise - clean, after - 0.8
    assert torch.allclose(path.noise(velocity, x, level), noise, atol=1e-5)
    made = renew(euler(x, velocity, change, None), noise, fresh, change, after, eta)
    left = (made - 0.5 * clean) / 0.5
    assert abs(float(left.std()) - 1) < 0.02
    assert abs(float((left * noise).mean()) - (1 - eta**2) ** 0.5) < 0.02
    assert torch.equal(renew(x, noise, fresh, change * 0, after, eta), x), "a token that waits stays"


def test_guidance_is_on_inside_its_interval_only() -> None:
    assert scale_at(torch.tensor([0.1, 0.2, 0.5, 0.8, 0.9]), 3.0, (0.2, 0.8)).tolist() == [1.0, 3.0, 3.0, 3.0, 1.0]


def test_guidance_goes_on_from_unwanted_through_wanted() -> None:
    def predict(x: torch.Tensor, level: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return x + text.mean(dim=(1, 2))[:, None, None, None, None]

    x, level = _pair()[0], torch.ones(2, 3)
    text, null = torch.ones(2, 5, 8), torch.zeros(1, 5, 8)
    assert torch.equal(Guidance(scale=1.0)(predict, x, level, text, null), x + 1)
    assert torch.allclose(Guidance(scale=3.0)(predict, x, level, text, null), x + 3)
    level[:, 1] = 0.5
    some = Guidance(scale=3.0, interval=(0.6, 1.0))(predict, x, level, text, null)
    assert torch.allclose(some[:, :, 1], x[:, :, 1] + 1) and torch.allclose(some[:, :, [0, 2]], x[:, :, [0, 2]] + 3), (
        "each frame by its own level"
    )
    wider = Guidance(scale=3.0, interval=(torch.tensor([0.6, 0.6, 0.4, 0.4]), 1.0))(predict, x, level, text, null, [1, 3, 0])
    assert torch.allclose(wider, x + 3), "and by its own interval"
