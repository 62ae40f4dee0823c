"""Laws of the C functions between a block's products: they make what torch makes in float32, within one rounding to bfloat16."""

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from misora.model import amx, layers
from misora.model.sizes import SIZES
from misora.model.transformer import Transformer

ROUNDED = 4e-3


@pytest.fixture(autouse=True)
def _sampling() -> None:
    torch.manual_seed(0)


@pytest.fixture
def kernels() -> amx.Kernels:
    found = amx.kernels()
    assert found, "tests/conftest.py leaves these laws out where there is no AMX or no compiler"
    return found


def _distance(a: Tensor, b: Tensor) -> float:
    return float((a.float() - b.float()).norm() / b.float().norm())


@pytest.mark.parametrize("mapped", [False, True])
def test_norms_and_residuals(kernels: amx.Kernels, mapped: bool) -> None:
    x, y = torch.randn(2, 3, 11, 96), torch.randn(2, 3, 11, 96).bfloat16()
    index = torch.randint(0, 6, (2, 3, 11)) if mapped else None
    rows = amx.Rows(table=torch.randn(6, 6, 96), index=index, each=11)
    each = rows.table[index] if index is not None else rows.table.view(2, 3, 1, 6, 96).expand(-1, -1, 11, -1, -1)  # b t p 6 d
    total = x.float() + y.float() * each[..., 2, :]
    norm = F.layer_norm(total, (96,), eps=layers.EPS)
    gain, shift = torch.randn(96), torch.randn(96)
    made = kernels.add_norm(x, y, rows, 2, gain, shift)
    assert _distance(made[0], total) < ROUNDED
    assert _distance(made[1], norm * gain + shift) < ROUNDED
    assert torch.equal(kernels.add(x, y, rows, 2), made[0])
    plain = F.layer_norm(x.float(), (96,), eps=layers.EPS)
    assert _distance(kernels.norm(x, rows, 1, 0), plain * (1 + each[..., 1, :]) + each[..., 0, :]) < ROUNDED
    total, made_there = kernels.add_modulate(x, y, rows, 4, 3)
    norm = F.layer_norm(x.float() + y.float(), (96,), eps=layers.EPS)
    assert _distance(total, x.float() + y.float()) < ROUNDED
    assert _distance(made_there, norm * (1 + each[..., 4, :]) + each[..., 3, :]) < ROUNDED


@pytest.mark.parametrize("head", amx.HEADS)
@pytest.mark.parametrize("tokens", [1, 33, 64, 300])
def test_attention_over_all_tokens(kernels: amx.Kernels, head: int, tokens: int) -> None:
    heads, d = 2, 2 * head
    q, k, v = torch.randn(2, tokens, 3 * d).bfloat16().chunk(3, dim=-1)
    wq, wk, angles = torch.rand(d) + 0.5, torch.rand(d) + 0.5, 6 * torch.rand(2, tokens, 1, head // 2)
    turned = (angles.cos(), angles.sin())
    queries, keys = (
        layers.rotate(F.rms_norm(x.float(), (d,), w, layers.EPS).unflatten(-1, (heads, head)), turned) for x, w in ((q, wq), (k, wk))
    )
    wanted = layers.attend(queries, keys, v.float().unflatten(-1, (heads, head)))
    packed = kernels.pack(q, k, v, wq, wk, turned, heads)
    assert _distance(kernels.attend(packed, packed), wanted) < ROUNDED


def test_attention_to_few_words_with_large_scores(kernels: amx.Kernels) -> None:
    q, (k, v) = torch.randn(1, 40, 128).bfloat16(), torch.randn(1, 5, 256).bfloat16().chunk(2, dim=-1)
    weight = torch.full((128,), 8.0)
    queries, keys = (F.rms_norm(x.float(), (128,), weight, layers.EPS).unflatten(-1, (2, 64)) for x in (q, k))
    wanted = layers.attend(queries, keys, v.float().unflatten(-1, (2, 64)))
    made = kernels.attend(kernels.pack_queries(q, weight, 2), kernels.pack_words(k, v, weight, 2))
    assert made.isfinite().all()
    assert _distance(made, wanted) < 0.05  # a score of 100 is rounded by .2 before it is an exponent


def test_squares(kernels: amx.Kernels) -> None:
    x = torch.randn(5, 4000).bfloat16()
    assert torch.equal(kernels.square(x.clone()), x.square())


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("activation", ["relu2", "gelu"])
def test_a_network_is_nearer_to_float32_than_in_torch(
    kernels: amx.Kernels, monkeypatch: pytest.MonkeyPatch, activation: str, mapped: bool
) -> None:

    network = Transformer(dataclasses.replace(SIZES["tiny"], activation=activation)).eval().requires_grad_(False)
    for weight in network.parameters():
        weight.normal_(std=0.1)
    marks = torch.zeros(2, 3, dtype=torch.long)
    level = torch.rand(2, 3, 4, 6) if mapped else torch.rand(2, 3)
    text = torch.randn(2, 3, 5, 256) if mapped else torch.randn(2, 5, 256)
    given = (torch.randn(2, 16, 3, 8, 12), level, text, marks, torch.arange(3.0).expand(2, 3), marks)
    wanted = network(*given)
    network.bfloat16()
    with torch.inference_mode():
        made = network(*given)
        monkeypatch.setattr(amx, "kernels", lambda: None)
        assert _distance(made, wanted) < 1.05 * _distance(network(*given), wanted)
        assert _distance(made, wanted) < 3e-2


def test_training_other_types_and_odd_shapes_go_through_torch() -> None:
    x = torch.zeros(1, 4, 64)
    assert amx.kernels_for(x.bfloat16(), 2) is None  # gradients may be wanted
    with torch.no_grad():
        assert amx.kernels_for(x, 2) is None
        assert amx.kernels_for(x.bfloat16(), 4) is None


def test_without_a_compiler_or_room_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taken").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "taken"))
    assert amx._made() is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(amx, "FLAGS", "--no-such-flag")
    assert amx._made() is None
    assert not list((tmp_path / "misora").glob("*")) if (tmp_path / "misora").exists() else True
    monkeypatch.setenv("PATH", "")
    assert amx._made() is None
