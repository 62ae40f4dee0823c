"""Other people's safetensors files, one or several, mapped into memory and read tensor by tensor; it knows no network's names.

Nothing is ever unpickled, and nothing is copied before a tensor is asked for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import safetensors
import torch
from torch import Tensor

from misora.client.errors import CheckpointError

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


class Shards:
    """The tensors of a safetensors file, of all those in a folder, or of the ``files`` of it, by name. Raises CheckpointError."""

    def __init__(self, where: str | Path, files: Sequence[Path] = ()) -> None:
        self.where = Path(where)
        self.files: dict[str, Path] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.bytes = 0
        self._open: dict[Path, safetensors.safe_open] = {}
        for path in files or files_of(self.where):
            for name, shape in _header(path).items():
                self.files[name], self.shapes[name] = path, shape
            self.bytes += path.stat().st_size
        for index in [] if self.where.is_file() else sorted(self.where.glob("*.safetensors.index.json")):
            self._check(index)

    def __getitem__(self, name: str) -> Tensor:
        path = self.files[name]
        if path not in self._open:
            self._open[path] = _opened(path)
        return self._open[path].get_tensor(name)  # type: ignore[no-any-return]

    def rows(self, name: str, wanted: Sequence[int]) -> Tensor:
        """Some rows of a matrix; the others are not read."""
        with _opened(self.files[name]) as file:
            matrix = file.get_slice(name)
            return torch.stack([matrix[row : row + 1][0] for row in wanted])

    def close(self) -> None:
        """Let go of the maps of all files: what was read of them no longer counts as this process's memory."""
        self._open.clear()

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def parameters(self) -> int:
        """How many numbers all tensors hold."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def _check(self, index: Path) -> None:
        """Every file that the index names must be here with the tensors that it should hold."""
        try:
            places = dict(json.loads(index.read_text("utf-8"))["weight_map"])
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{index} cannot be read as an index of weights; fetch it again.") from error
        if not {index.parent / file for file in places.values()} & set(self.files.values()):
            return  # the index of something else in this folder
        for name, file in places.items():
            if not (index.parent / file).is_file():
                raise CheckpointError(f"{file} is missing from {index.parent}: the download is not complete; run it again.")
            if name not in self.files:
                raise CheckpointError(f"{file} in {index.parent} lacks {name!r}, which its index promises; fetch it again.")


def names_in(path: Path) -> list[str]:
    """The names of a file's tensors. Raises CheckpointError."""
    with _opened(path) as file:
        return list(file.keys())


def files_of(where: Path) -> list[Path]:
    """The safetensors files of a folder, or the one file itself. Raises CheckpointError."""
    if where.is_file():
        if where.suffix in PICKLES:
            raise CheckpointError(f"{where} is a pickle, which could run code and is never opened; give the .safetensors file.")
        if where.suffix == ".gguf":
            raise CheckpointError(
                f"{where} is a GGUF file, which Misora does not read; give a .safetensors file, and --pack int8 to halve it."
            )
        return [where]
    if not where.is_dir():
        raise CheckpointError(f"There are no weights at {where}; check the path, or run `misora models list`.")
    found = sorted(where.glob("*.safetensors"))
    if found:
        return found
    halves = [path for path in where.iterdir() if path.suffix in (".incomplete", ".part")]
    if halves:
        raise CheckpointError(f"{where} holds half a download ({halves[0].name}); run the download again, it goes on where it stopped.")
    if any(path.suffix in PICKLES for path in where.iterdir()):
        raise CheckpointError(f"{where} holds only pickles, which could run code and are never opened; give .safetensors files.")
    raise CheckpointError(f"There is no .safetensors file in {where}; give the folder of a model's weights.")


def _opened(path: Path) -> safetensors.safe_open:
    try:
        return safetensors.safe_open(str(path), framework="pt")
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is cut short, damaged or no safetensors file ({error}); fetch it again.") from error


def _header(path: Path) -> dict[str, tuple[int, ...]]:
    with _opened(path) as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
