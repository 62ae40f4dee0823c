"""The source tree as the house tests read it: files and syntax trees; it knows nothing of what they should contain."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE_FOLDERS = ("misora", "sora_api", "tests", "bench", "runs", "docs")


@functools.cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of one source file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def sources(*folders: str) -> list[Path]:
    """Every Python file under ``folders`` (all of ours when none is named), in a fixed order."""
    return sorted(path for folder in folders or CODE_FOLDERS for path in (ROOT / folder).rglob("*.py"))


def name(path: Path) -> str:
    """The file's path from the root, as messages show it."""
    return path.relative_to(ROOT).as_posix()
