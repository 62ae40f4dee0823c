"""Laws of the transformer: equal to its slow twin, blind to absolute time, one clip at a time or many."""

import pytest
import torch
from torch import Tensor

from misora.model.heard import Heard
from misora.model.sizes import SIZES
from misora.model.transformer import Transformer, patch, resample_grid, row_places, sine_grid, unpatch
from tests.reference import transformer as reference

FRAMES, HEIGHT, WIDTH = 3, 4, 6


@pytest.fixture(scope="module")
def network() -> Transformer:
    """The tiny size with every weight random, so that nothing is zero by initialisation."""
    torch.manual_seed(0)
    made = Transformer(SIZES["tiny"])
    with torch.no_grad():
        for weight in made.parameters():
            weight.normal_(std=0.1)
    return made.requires_grad_(False)


@pytest.fixture
def inputs() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "x": torch.randn(2, 16, FRAMES, HEIGHT, WIDTH, generator=generator),
        "level": torch.rand(2, FRAMES, generator=generator),
        "text": torch.randn(2, 5, 256, generator=generator),
        "kinds": torch.tensor([[0, 1, 1], [0, 1, 0]]),
        "times": torch.tensor([[0.0, 1.0, 2.0], [0.0, 0.5, 16.0]]),
        "roles": torch.tensor([[0, 0, 0], [0, 0, 1]]),
    }


def _distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_it_equals_its_slow_twin(network: Transformer, inputs: dict[str, Tensor], grad: bool, masked: bool) -> None:
    any_level = torch.rand(2, FRAMES, HEIGHT // 2, WIDTH // 2, generator=torch.Generator().manual_seed(2))
    inputs["level"] = inputs["level"][:, :, None, None] * (any_level > 0.5) if masked else any_level
    if masked:
        inputs["text"] = torch.randn(2, FRAMES, 5, 256, generator=torch.Generator().manual_seed(3))  # each frame's own
    with torch.set_grad_enabled(grad):  # attention has a path for each
        assert _distance(network(**inputs), reference.forward(network, **inputs)) < 1e-5


def test_a_level_per_frame_equals_the_same_level_at_each_token(network: Transformer, inputs: dict[str, Tensor]) -> None:
    made = network(**inputs)
    inputs["level"] = inputs["level"][:, :, None, None].expand(-1, -1, HEIGHT // 2, WIDTH // 2)
    assert _distance(network(**inputs), made) < 1e-6


def test_one_text_for_all_frames_equals_the_same_text_at_each(network: Transformer, inputs: dict[str, Tensor]) -> None:
    made = network(**inputs)
    inputs["text"] = inputs["text"][:, None].expand(-1, FRAMES, -1, -1)
    assert _distance(network(**inputs), made) < 1e-5


def test_each_frame_hears_its_own_text_first(network: Transformer, inputs: dict[str, Tensor]) -> None:
    inputs["text"] = inputs["text"][:, None].repeat(1, FRAMES, 1, 1)
    made = network(**inputs)
    inputs["text"][:, 1] = inputs["text"][:, 1].flip(-1)
    change = (network(**inputs) - made).square().mean((0, 1, 3, 4))  # t
    assert change.argmax() == 1


def test_shifting_all_times_changes_nothing(network: Transformer, inputs: dict[str, Tensor]) -> None:
    made = network(**inputs)
    inputs["times"] = inputs["times"] + 37.25
    assert _distance(network(**inputs), made) < 1e-5


@pytest.mark.parametrize("changed", ["x", "level", "text", "times", "kinds", "roles"])
def test_every_input_matters(network: Transformer, inputs: dict[str, Tensor], changed: str) -> None:
    made = network(**inputs)
    different = {"kinds": 1 - inputs["kinds"], "roles": 1 - inputs["roles"], "times": inputs["times"] * 2}
    inputs[changed] = different.get(changed, inputs[changed].flip(-1))
    assert _distance(network(**inputs), made) > 1e-4


def test_a_clip_is_the_same_alone_and_in_a_batch(network: Transformer, inputs: dict[str, Tensor]) -> None:
    made = network(**inputs)
    for i in range(2):
        alone = network(**{name: value[i : i + 1] for name, value in inputs.items()})
        assert _distance(alone, made[i : i + 1]) < 1e-5


@pytest.mark.parametrize("size", [(12, 22), (16, 16), (22, 12), (10, 24)])
def test_every_aspect_has_its_shape(network: Transformer, inputs: dict[str, Tensor], size: tuple[int, int]) -> None:
    inputs["x"] = torch.randn(2, 16, FRAMES, *size)
    made, tapped = network.forward_tapped(**inputs)
    assert made.shape == inputs["x"].shape
    assert tapped.shape == (2, FRAMES, size[0] * size[1] // 4, network.config.width)


def test_patches_come_back() -> None:
    x = torch.randn(2, 16, FRAMES, HEIGHT, WIDTH)
    tokens, height, width = patch(x)
    assert torch.equal(unpatch(tokens, height, width), x)


def test_a_mirrored_grid_is_read_mirrored() -> None:
    grid = sine_grid(16, 64)
    assert torch.allclose(resample_grid(grid.flip(1), 6, 11), resample_grid(grid, 6, 11).flip(1), atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(11, 6), (12, 5), (9, 7)])
def test_an_upright_picture_is_a_square_one_with_more_above(height: int, width: int) -> None:
    for level in ((6, 11), (8, 8), (1, 3)):
        assert torch.equal(row_places(*level), torch.arange(level[0]).float()), "every other is read as it always was"
    steps = row_places(height, width).diff()
    assert torch.allclose(steps[-7:], torch.ones(7)) and (steps[:-7] < 0.5).all() and len(steps) == height - 1
    rows = sine_grid(16, 64)[:, :1].expand(-1, 16, -1)
    seen = resample_grid(rows, height, width)[:, 0]
    assert (seen[0] - seen[1]).norm() < 0.5 * (seen[-2] - seen[-1]).norm()


def test_it_starts_as_the_identity_with_every_weight_reached(inputs: dict[str, Tensor]) -> None:
    made = Transformer(SIZES["tiny"])
    assert not made(**inputs).any()
    for _ in range(3):  # zeros open one after another: the head, the branches, then what is behind them
        loss = (made(**inputs) - inputs["x"]).square().mean()
        loss.backward()
        if all(weight.grad is not None and weight.grad.any() for weight in made.parameters()):
            return
        with torch.no_grad():
            for weight in made.parameters():
                weight -= 0.1 * weight.grad.sign() * weight.grad.ne(0)
                weight.grad = None
    still = [name for name, weight in made.named_parameters() if not weight.grad.any()]
    raise AssertionError(f"no gradient reaches {still}")


@pytest.mark.parametrize(("name", "millions"), [("small", 15.6), ("base", 24.4)])
def test_named_sizes_have_their_weights(name: str, millions: float) -> None:
    assert sum(weight.numel() for weight in Transformer(SIZES[name]).parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "millions"), [("wan2.1-t2v-1.3b", 1419), ("wan2.1-t2v-14b", 14289), ("wan2.2-ti2v-5b", 5000)])
def test_wan_sizes_have_the_published_weights(name: str, millions: float) -> None:
    with torch.device("meta"):
        made = Transformer(SIZES[name])
    assert sum(weight.numel() for weight in made.parameters()) / 1e6 == pytest.approx(millions, rel=0.001)


def test_sampling_computes_what_training_does(network: Transformer, inputs: dict[str, Tensor]) -> None:
    with torch.no_grad():
        sampled = network(**inputs)
    with torch.enable_grad():
        assert _distance(sampled, network(**inputs)) < 1e-5


@pytest.mark.parametrize("own", [False, True])
def test_what_was_heard_once_serves_at_every_step(network: Transformer, inputs: dict[str, Tensor], own: bool) -> None:
    if own:
        inputs["text"] = torch.randn(2, FRAMES, 5, 256, generator=torch.Generator().manual_seed(4))
    heard = Heard()
    with torch.no_grad():
        first = network(**inputs)
        assert torch.equal(network(**inputs, heard=heard), first)
        inputs["x"], inputs["text"] = inputs["x"].flip(-1), inputs["text"].clone()
        assert torch.equal(network(**inputs, heard=heard), network(**inputs))
        inputs["text"] = inputs["text"].flip(-1)  # another text is heard anew
        assert torch.equal(network(**inputs, heard=heard), network(**inputs))
        assert len(heard.known) == 1
