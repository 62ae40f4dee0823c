"""Laws of checkpoints: what is saved comes back, and nothing else does."""

import os
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from misora.client.errors import CheckpointError
from misora.model import checkpoint


def _tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {"weight": torch.randn(6, 5, generator=generator), "bias": torch.randn(6, generator=generator).bfloat16()}


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    checkpoint.save(path, _tensors(), {"width": 5, "name": "空"})
    tensors, config = checkpoint.load(path)
    assert config == {"width": 5, "name": "空"}
    assert all(torch.equal(tensors[name], tensor) for name, tensor in _tensors().items())
    assert os.listdir(tmp_path) == ["a.safetensors"]


def test_int8_can_be_for_some_and_takes_kernels_too(tmp_path: Path) -> None:
    tensors = {"deep.kernel": torch.randn(5, 4, 3, 3), "near.kernel": torch.randn(5, 4, 3, 3)}
    checkpoint.save(tmp_path / "some.safetensors", tensors, {}, int8=("deep.",))
    loaded, _ = checkpoint.load(tmp_path / "some.safetensors")
    assert torch.equal(loaded["near.kernel"], tensors["near.kernel"])
    step = tensors["deep.kernel"].abs().amax((1, 2, 3), keepdim=True) / 127
    assert ((loaded["deep.kernel"] - tensors["deep.kernel"]).abs() <= step / 2 + 1e-6).all()


def test_int8_is_within_half_a_step_of_each_row(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    checkpoint.save(path, _tensors(), {}, int8=True)
    tensors, _ = checkpoint.load(path)
    weight = _tensors()["weight"]
    step = weight.abs().amax(dim=1, keepdim=True) / 127
    assert ((tensors["weight"] - weight).abs() <= step * 0.5001).all()
    assert torch.equal(tensors["bias"], _tensors()["bias"])


@pytest.mark.parametrize("place", [0.3, 0.6, 0.99])
def test_one_changed_byte_is_refused(tmp_path: Path, place: float) -> None:
    path = tmp_path / "a.safetensors"
    checkpoint.save(path, _tensors(), {"width": 5})
    blob = bytearray(path.read_bytes())
    blob[int(len(blob) * place)] ^= 1
    path.write_bytes(bytes(blob))
    with pytest.raises(CheckpointError):
        checkpoint.load(path)


@pytest.mark.parametrize("keep", [0, 4, 9, 60, 400, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "a.safetensors"
    checkpoint.save(path, _tensors(), {"width": 5})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError):
        checkpoint.load(path)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(pickle.dumps({"weight": 1}))
    with pytest.raises(CheckpointError, match="pickle"):
        checkpoint.load(path)


def test_a_foreign_safetensors_file_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    import safetensors.torch

    path = tmp_path / "a.safetensors"
    with pytest.raises(CheckpointError, match="no weights"):
        checkpoint.load(path)
    safetensors.torch.save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="not written by Misora"):
        checkpoint.load(path)


DEEP = b'{"a":' + b"[" * 100_000
HEADERS = [
    b"{}",
    b'{"a": 1}',
    b'{"a": {"data_offsets": [0, "x"]}}',
    b'{"a": {"data_offsets": [0, null]}}',
    b'{"__metadata__": [1]}',
    b'{"__metadata__": {"misora_version": "1"}}',
    b'{"__metadata__": {"misora_version": "1", "misora_config": 5, "misora_sha256": "0"}}',
    DEEP,
]


@pytest.mark.parametrize("header", HEADERS, ids=range(len(HEADERS)))
def test_a_header_that_says_anything_is_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(CheckpointError):
        checkpoint.load(path)


def test_a_save_that_is_stopped_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(self: Path, data: bytes) -> None:
        self.touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", stopped)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(tmp_path / "a.safetensors", _tensors(), {})
    assert os.listdir(tmp_path) == []


def test_an_unwritable_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="could not be written"):
        checkpoint.save(tmp_path / "none" / "a.safetensors", _tensors(), {})


def test_load_into_keeps_types_and_refuses_what_does_not_fit() -> None:
    layer = nn.Linear(5, 6).bfloat16()
    checkpoint.load_into(layer, _tensors())
    assert layer.weight.dtype == torch.bfloat16
    assert torch.equal(layer.weight, _tensors()["weight"].bfloat16())
    with pytest.raises(CheckpointError, match="lack"):
        checkpoint.load_into(layer, {"weight": _tensors()["weight"]})
    with pytest.raises(CheckpointError, match="lacks"):
        checkpoint.load_into(layer, _tensors() | {"more": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="instead of"):
        checkpoint.load_into(nn.Linear(4, 6), _tensors())


def test_parts_join_to_the_whole_and_mixed_ones_do_not(tmp_path: Path) -> None:
    tensors, whole, joined = (
        {str(i): torch.full((1000,), float(i)) for i in range(9)},
        tmp_path / "a.safetensors",
        tmp_path / "b.safetensors",
    )
    checkpoint.save(whole, tensors, {"width": 5})
    parts = checkpoint.save_parts(whole, tensors, {"width": 5}, 18_000)
    assert len(parts) > 3 and max(part.stat().st_size for part in parts) <= 18_000
    checkpoint.save(joined, *checkpoint.load_parts(whole))
    assert checkpoint.digest(joined) == checkpoint.digest(whole)
    kept = parts[1].read_bytes()
    checkpoint.save_parts(whole, {name: tensor + 1 for name, tensor in tensors.items()}, {"width": 5}, 18_000)
    parts[1].write_bytes(kept)
    with pytest.raises(CheckpointError, match="do not belong together"):
        checkpoint.load_parts(whole)
    parts[0].unlink()
    with pytest.raises(CheckpointError, match="that is not all"):
        checkpoint.load_parts(whole)


def test_a_later_save_in_fewer_parts_leaves_none_of_the_earlier(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    checkpoint.save_parts(path, {str(i): torch.zeros(1000) for i in range(9)}, {}, 18_000)
    checkpoint.save_parts(path, _tensors(), {})
    assert os.listdir(tmp_path) == ["a-00001-of-00001.safetensors"]
    with pytest.raises(CheckpointError, match="allow larger parts"):
        checkpoint.save_parts(path, {"large": torch.zeros(10_000)}, {}, 18_000)
