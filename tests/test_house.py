"""The budgets of the house: lines per file and function, opening sentences, nothing unfinished, no machine named; it knows no room."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
from pathlib import Path

import pytest

from tests.tree import ROOT, name, parsed, sources

FILE_LINES, FUNCTION_LINES, MEDIAN_LINES = 400, 50, 12
WEIGHTS_BYTES = 48_000_000
SAMPLER_LINES = 40  # of generate() and of the loop in which it does its work
FILES_THAT_MAY_BE_LONGER: dict[str, str] = {}
FUNCTIONS_THAT_MAY_BE_LONGER: dict[str, str] = {}

UNFINISHED = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error")))
MACHINE_PATH = re.compile(r"(?<![\w.\-\"'/}])/(?:work|tmp|root|farm|home/\w+|opt)/")
TEXT = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".sh", ".json", ".jsonl", ""}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> list[Function]:
    """Every function of one file, methods and inner ones too."""
    return [node for node in ast.walk(parsed(path)) if isinstance(node, Function)]


def length(function: Function) -> int:
    """Lines from ``def`` to the end, less the docstring: prose is never a reason to split."""
    first = function.body[0]
    prose = first.end_lineno - first.lineno + 1 if ast.get_docstring(function) and first.end_lineno else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - prose


def our_files() -> list[Path]:
    """Every text file that the repository tracks, or that lies in the tree where there is no git."""
    listing = (
        subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False) if (ROOT / ".git").exists() else None
    )
    if listing and listing.returncode == 0:
        paths = [ROOT / line for line in listing.stdout.splitlines()]
    else:
        paths = [*sources(), *ROOT.glob("*.*"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".ci").rglob("*")]
    return [path for path in paths if path.is_file() and path.suffix in TEXT]


@pytest.mark.parametrize("path", sources(), ids=name)
def test_files_and_functions_keep_to_their_budget(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= FILE_LINES or name(path) in FILES_THAT_MAY_BE_LONGER, f"{name(path)} has {lines} lines"
    for function in functions(path):
        allowed = f"{name(path)}:{function.name}" in FUNCTIONS_THAT_MAY_BE_LONGER
        assert length(function) <= FUNCTION_LINES or allowed, f"{name(path)}: {function.name} has {length(function)} lines"


def test_the_sampler_reads_like_its_algorithm() -> None:
    found = {one.name: length(one) for one in functions(ROOT / "misora/flow/generate.py")}
    assert max(found[name] for name in ("generate", "sample")) <= SAMPLER_LINES


def test_functions_are_short_in_the_median() -> None:
    assert statistics.median(length(function) for path in sources("misora") for function in functions(path)) <= MEDIAN_LINES


def test_the_weights_in_the_package_keep_to_their_budget() -> None:
    assert sum(path.stat().st_size for path in (ROOT / "misora/weights").rglob("*") if path.is_file()) <= WEIGHTS_BYTES


@pytest.mark.parametrize("path", sources(), ids=name)
def test_every_file_opens_with_a_sentence(path: Path) -> None:
    docstring = ast.get_docstring(parsed(path))
    assert docstring, f"{name(path)} does not say what it is"
    assert docstring.split("\n\n")[0].rstrip().endswith((".", ":")), f"{name(path)}: the opening is not a sentence"


def test_public_functions_of_the_package_say_what_they_do() -> None:
    for path in sources("misora"):
        for node in parsed(path).body:
            if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{name(path)}: {node.name} has no docstring"


def test_exceptions_are_still_needed() -> None:
    for listed, reason in (FILES_THAT_MAY_BE_LONGER | FUNCTIONS_THAT_MAY_BE_LONGER).items():
        assert (ROOT / listed.split(":")[0]).exists(), f"{listed} is gone: strike it from the list"
        assert reason, f"{listed} needs a written reason"


def test_nothing_is_left_unfinished_and_no_machine_is_named() -> None:
    for path in our_files():
        text = path.read_text(encoding="utf-8", errors="replace")
        if name(path) != "LICENSE":
            assert not UNFINISHED.search(text), f"{name(path)} holds {UNFINISHED.search(text)}"
            assert not MACHINE_PATH.search(text), f"{name(path)} names a machine's path: {MACHINE_PATH.search(text)}"
