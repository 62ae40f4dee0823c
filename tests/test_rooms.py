"""The import table of the house: which room may lean on which; it reads the source and knows nothing of what the rooms do."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tree import ROOT, name, parsed, sources

ROOMS = {
    "media": set(),
    "canvas": set(),
    "model": set(),
    "client": set(),
    "words": set(),
    "flow": {"canvas", "model"},
    "trust": {"media"},
    "data": {"media", "words"},
    "world": {"media", "data", "words"},
    "evals": {"media", "canvas", "model", "flow", "data", "words"},
    "render": {"media", "canvas", "model", "flow", "trust", "client", "words"},
    "train": {"canvas", "model", "flow", "data", "evals", "words", "world"},
    "server": {"media", "trust", "client", "words", "render"},
    "cli": {"media", "canvas", "model", "client", "words", "flow", "trust", "data", "world", "evals", "render", "train", "server"},
}
EVERYONES = "misora.client.errors"
ONLY_IN_FUNCTIONS = {("train", "world"), ("server", "render")} | {("cli", room) for room in ROOMS}

# What each room may import from outside the standard library. The first rooms are the core: no numpy, no pillow, no scipy.
TORCH, ARRAYS = {"torch", "safetensors"}, {"torch", "safetensors", "numpy", "scipy"}
OUTSIDE = {
    "media": {"torch", "av"},
    "canvas": {"torch"},
    "model": TORCH | {"huggingface_hub", "transformers", "diffusers"},
    "client": set(),
    "words": set(),
    "flow": {"torch"},
    "trust": {"torch", "c2pa", "cryptography"},
    "render": TORCH,
    "cli": {"rich", "torch"},
    "data": ARRAYS,
    "world": {"numpy", "mujoco", "numba"},
    "evals": ARRAYS | {"rich", "PIL"},
    "train": ARRAYS | {"rich", "tensorboard"},
    "server": {"torch", "sqlalchemy", "alembic", "starlette", "uvicorn", "prometheus_client", "cryptography"},
}


def modules_named(node: ast.AST) -> list[str]:
    """The dotted names that one import statement brings in; for ``from misora import x`` that is ``misora.x``."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports name the whole path: from misora.room import thing"
        module = node.module or ""
        return [f"{module}.{alias.name}" for alias in node.names] if module == "misora" else [module]
    return []


def imports(path: Path, *, types: bool = True) -> Iterator[tuple[str, bool]]:
    """Each module that ``path`` imports, and whether only in a function; with ``types`` also those for the type checker alone."""

    def walk(node: ast.AST, lazy: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            yield from ((module, lazy) for module in modules_named(child))
            hidden = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            checked = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            if types or not checked:
                yield from walk(child, lazy or hidden or checked)

    return walk(parsed(path), False)


def room_of(module: str) -> str | None:
    """The room that a dotted name of ours belongs to."""
    parts = module.split(".")
    return parts[1] if parts[0] == "misora" and len(parts) > 1 and parts[1] in ROOMS else None


def test_the_table_names_every_room() -> None:
    on_disk = {path.name for path in (ROOT / "misora").iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    assert on_disk == set(ROOMS) == set(OUTSIDE)


def test_the_table_only_points_down() -> None:
    floor: dict[str, int] = {}
    while len(floor) < len(ROOMS):
        ready = [room for room in ROOMS if room not in floor and ROOMS[room] <= floor.keys()]
        assert ready, "the table holds a circle"
        floor |= {room: 1 + max((floor[below] for below in ROOMS[room]), default=-1) for room in ready}


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_what_the_table_allows(room: str) -> None:
    for path in sources(f"misora/{room}"):
        for module, lazy in imports(path):
            other = room_of(module)
            if other is None or other == room or module.startswith(EVERYONES):
                continue
            assert other in ROOMS[room], f"{name(path)} imports {module}: {room} may not lean on {other}"
            assert lazy or (room, other) not in ONLY_IN_FUNCTIONS, f"{name(path)} must import {module} inside a function"


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_keep_to_their_libraries(room: str) -> None:
    for path in sources(f"misora/{room}"):
        for module, _ in imports(path, types=False):
            library = module.split(".")[0]
            known = library == "misora" or library in sys.stdlib_module_names or library in OUTSIDE[room]
            assert known, f"{name(path)} imports {module}, which is not a library of {room}"


def test_starting_the_command_line_loads_no_library() -> None:
    for path in [*sources("misora/cli"), ROOT / "misora/__init__.py", ROOT / "misora/__main__.py"]:
        for module, lazy in imports(path) if path.exists() else ():
            heavy = module.split(".")[0] not in {"misora", *sys.stdlib_module_names}
            assert lazy or not heavy, f"{name(path)} must import {module} inside a function"
