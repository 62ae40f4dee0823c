"""Laws of training in C: float32's results within bfloat16's rounding, for every shape, layout and number of threads."""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from misora.model import amx, amx_train, layers, linear

ROUNDED = 4e-3
SHAPES = [(1, 1, 1, 1, 32), (2, 33, 24, 2, 64), (1, 66, 66, 3, 96), (2, 300, 70, 2, 128), (1, 129, 300, 1, 96), (3, 24, 858, 1, 64)]


@pytest.fixture(autouse=True)
def _training() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def kernels() -> amx.Kernels:
    found = amx.kernels()
    assert found, "tests/conftest.py leaves these laws out where there is no AMX or no compiler"
    return found


def _drawn(batch: int, n: int, keys: int, heads: int, head: int) -> list[Tensor]:
    """Queries, keys, values and the gradient of what is made."""
    return [torch.randn(batch, count, heads, head).bfloat16() for count in (n, keys, keys, n)]


def _made(q: Tensor, k: Tensor, v: Tensor, g: Tensor) -> list[Tensor]:
    """What is made of bfloat16 and the three gradients."""
    given = [x.detach().requires_grad_() for x in (q, k, v)]
    out = layers.attend(*given)
    out.backward(g.flatten(2))  # type: ignore[no-untyped-call]
    return [out.detach().unflatten(2, q.shape[2:]), *(x.grad for x in given if x.grad is not None)]


def _wanted(q: Tensor, k: Tensor, v: Tensor, g: Tensor) -> list[Tensor]:
    return _made(q.float(), k.float(), v.float(), g.float())


def _distance(a: Tensor, b: Tensor) -> float:
    return float((a.float() - b).norm() / b.norm().clamp_min(1e-3))


@pytest.mark.parametrize("shape", SHAPES)
def test_as_in_float32(kernels: amx.Kernels, shape: tuple[int, int, int, int, int]) -> None:
    given = _drawn(*shape)
    for made, wanted in zip(_made(*given), _wanted(*given), strict=True):
        assert made.dtype == torch.bfloat16
        assert _distance(made, wanted) < ROUNDED


def test_scores_of_hundreds_stay_finite_and_right(kernels: amx.Kernels) -> None:
    q, k, v, g = _drawn(1, 40, 70, 2, 64)
    for sign in (1, -1):  # with -1 every score of a query is far below nothing, also beside the keys that only fill a tile
        given = (q.abs() * 10, k.abs() * 10 * sign, v, g)
        for made, wanted in zip(_made(*given), _wanted(*given), strict=True):
            assert made.isfinite().all()
            assert _distance(made, wanted) < 0.03


def test_inputs_lie_as_they_come(kernels: amx.Kernels) -> None:
    dense = _drawn(2, 40, 40, 2, 96)
    wanted = _made(*dense)
    inside = [torch.cat((x.flatten(2), x.flatten(2), x.flatten(2)), 2).chunk(3, dim=2)[1].unflatten(2, (2, 96)) for x in dense]
    turned = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in dense]
    apart = [x.permute(3, 0, 1, 2).contiguous().permute(1, 2, 3, 0) for x in dense]
    for given in (inside, turned, apart, [x[:1].expand_as(x) for x in dense]):
        expected = wanted if given[0][1, 0, 0, 0] == dense[0][1, 0, 0, 0] else _made(*[x.contiguous() for x in given])
        assert all(map(torch.equal, _made(*given), expected))


@pytest.mark.parametrize("shape", [(1, 66, 66, 3, 96), (2, 130, 24, 1, 64)])
def test_threads_change_nothing(kernels: amx.Kernels, shape: tuple[int, int, int, int, int]) -> None:
    given = _drawn(*shape)
    torch.set_num_threads(1)
    alone = _made(*given)
    torch.set_num_threads(2)
    assert all(map(torch.equal, _made(*given), alone))


def test_torch_finds_no_fault_with_the_operations(kernels: amx.Kernels) -> None:
    q, k, v, _ = _drawn(1, 5, 7, 2, 32)
    torch.library.opcheck(torch.ops.misora.attend.default, [x.requires_grad_() for x in (q, k, v)])
    torch.library.opcheck(torch.ops.misora.weight_gradient.default, (torch.randn(40, 64).bfloat16(), torch.randn(40, 32).bfloat16()))


def _learnt(layer: nn.Linear, x: Tensor, g: Tensor) -> list[Tensor]:
    """What a layer makes, and the gradients of its input and its weights."""
    x = x.detach().requires_grad_()
    layer.zero_grad()
    out = layer(x)
    out.backward(g)
    return [out.detach(), *(y.grad for y in (x, *layer.parameters()) if y.grad is not None)]


@pytest.mark.parametrize(("tokens", "d", "o"), [(256, 32, 64), (300, 96, 32), (1000, 416, 800), (777, 800, 416)])
def test_a_linear_layer_learns_as_in_float32(kernels: amx.Kernels, tokens: int, d: int, o: int) -> None:
    layer = nn.Linear(d, o)
    x, g = torch.randn(3, tokens, d).bfloat16()[:, ::3], torch.randn(3, tokens, o).bfloat16()[:, ::3]
    assert amx_train.sums(x, layer.weight.bfloat16()) == (x.numel() // d >= amx_train.FEW)
    quick = linear.learn(nn.Sequential(copy.deepcopy(layer).bfloat16()))[0]
    assert isinstance(quick, linear.Learning)
    assert quick.state_dict().keys() == layer.state_dict().keys()
    for made, wanted in zip(_learnt(quick, x, g), _learnt(layer.bfloat16().float(), x.float(), g.float()), strict=True):
        assert made.dtype == torch.bfloat16
        assert _distance(made, wanted) < ROUNDED


def test_threads_change_no_weight_gradient(kernels: amx.Kernels) -> None:
    g, x = torch.randn(700, 1536).bfloat16(), torch.randn(700, 416).bfloat16()
    torch.set_num_threads(1)
    alone = torch.ops.misora.weight_gradient(g, x)
    torch.set_num_threads(2)
    assert torch.equal(torch.ops.misora.weight_gradient(g, x), alone)
    assert torch.equal(torch.ops.misora.weight_gradient(x, g), alone.T)


def test_without_the_library_attention_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    given = _drawn(1, 5, 7, 2, 32)
    monkeypatch.setattr(amx, "kernels", lambda: None)
    for made, wanted in zip(_made(*given), _wanted(*given), strict=True):
        assert _distance(made, wanted) < 0.02
    layer, x = nn.Linear(32, 64).bfloat16(), torch.randn(300, 32).bfloat16()
    assert all(map(torch.equal, _learnt(linear.Learning(layer), x, torch.ones(300, 64)), _learnt(layer, x, torch.ones(300, 64))))


def test_other_types_and_heads_and_sampling_are_not_taken() -> None:
    q = torch.zeros(1, 4, 2, 64)
    assert not amx_train.takes(q)
    assert not amx_train.takes(q[..., :48].bfloat16())
    with torch.no_grad():
        assert not amx_train.takes(q.bfloat16())
