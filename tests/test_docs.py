"""The documentation cannot go stale: commands, trees, links and tables are compared with the code; it knows nothing of their prose."""

from __future__ import annotations

import argparse
import json
import math
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from docs import build
from misora.cli.main import build_parser
from misora.client import errors
from tests.tree import ROOT, name

READMES = ("README.md", "README.ja.md")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
# A command as it is written in prose or in a block: `misora verb`, with or without the folder of the environment.
COMMAND = re.compile(r"(?:^|`|bin/|&& |\$ )misora ([a-z]+)(.*?)(?=`|&&|$)", re.MULTILINE)


def text(page: str | Path) -> str:
    """The whole of one page."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[str]:
    """The fenced blocks of one page."""
    return BLOCK.findall(text(page))


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Every verb's parser by its full name, ``misora models list`` as well as ``misora models``."""
    return {verb.prog: verb for verb, _ in build.verbs_of(build_parser())}


@pytest.mark.parametrize("path", build.pages(), ids=name)
def test_written_pages_are_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == build.pages()[path], f"{name(path)} is out of date: run `make docs`"


@pytest.mark.parametrize("page", READMES)
def test_readme_opens_with_the_two_commands(page: str) -> None:
    first, second = blocks(page)[0].splitlines()
    assert first == (
        "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt . && "
        '.venv/bin/misora generate "a red ball bounces on a wooden floor" --out ball.mp4'
    )
    assert second == ".venv/bin/pip install -c constraints.txt -e '.[test]' && .venv/bin/python -m pytest"


def test_both_readmes_say_the_same_commands() -> None:
    english, japanese = ([block for block in blocks(page) if not block.startswith("misora/")] for page in READMES)
    assert english == japanese


def test_both_readmes_have_the_same_parts() -> None:
    english, japanese = (
        [re.findall(pattern, text(page), re.MULTILINE) for pattern in (r"^(#+) ", r"\]\(([^)]+)\)", r"^- ", r"^## ")] for page in READMES
    )
    assert english == japanese


def test_the_japanese_figures_are_told_in_japanese() -> None:
    table = build.FIGURES.search(text("README.ja.md"))
    assert table
    for row in table[0].splitlines()[2:]:
        _, measured, bar, _ = row.strip("|").split(" | ")
        left = set(re.findall(r"\b[a-z]{3,}\b", f"{measured} {bar}"))
        assert not left, f"README.ja.md says {left} in a figure: add the phrase to PHRASES in docs/build.py"


def test_what_misses_its_bar_is_in_bold() -> None:
    """As far as a figure and its bar are one number each: the others are marked by hand."""
    judged = 0
    for row in json.loads(text("docs/figures.json")):
        figure = re.match(r"([\d.]+)(?!.*[,;] \d)(?! and)", row["figure"])
        bar = re.fullmatch(r"(?:(?P<least>[\d.]+)–(?P<most>[\d.]+)|(?P<sign>[≥≤]) (?P<limit>[\d.]+))(?: ?[%×\w]+)?", row["bar"])
        if figure and bar:
            value, limit = float(figure[1]), float(bar["limit"] or 0)
            least = float(bar["least"] or (limit if bar["sign"] == "≥" else 0))
            most = float(bar["most"] or (limit if bar["sign"] == "≤" else math.inf))
            assert bool(row.get("missed")) == (not least <= value <= most), f"docs/figures.json: {row['en']}"
            judged += 1
    assert judged > 15


@pytest.mark.parametrize("page", READMES)
def test_the_readmes_tree_is_the_folder(page: str) -> None:
    tree = next(block for block in blocks(page) if block.startswith("misora/"))
    folders = {path.name for path in (ROOT / "misora").iterdir() if (path / "__init__.py").exists()}
    assert set(re.findall(r"── (\w+)/", tree)) == folders


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_in_the_docs_exists(page: Path) -> None:
    known = parsers()
    for verb, rest in COMMAND.findall(text(page)):
        assert f"misora {verb}" in known, f"{name(page)} names `misora {verb}`, which is no verb"
        below = [prog for prog in known if rest and prog == f"misora {verb} {rest.split()[0]}"] if rest.strip() else []
        parser = known[below[0] if below else f"misora {verb}"]
        flags = {flag for action in parser._actions for flag in action.option_strings}
        for flag in re.findall(r"(?<!\S)--[a-z][a-z-]*", rest):
            assert flag in flags, f"{name(page)} names {flag}, which `{parser.prog}` does not take"


def test_every_verb_is_written_up() -> None:
    page = (
        text("docs/quickstart.md")
        + text("docs/training.md")
        + text("docs/evals.md")
        + text("docs/world.md")
        + text("docs/serving.md")
        + text("docs/verbs.md")
        + text("docs/trust.md")
    )
    for verb in {prog.split()[1] for prog in parsers()}:
        assert f"misora {verb}" in page, f"`misora {verb}` is not explained in docs/"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text(page)):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{name(page)} links to {target}, which is not there"


def test_the_error_tree_is_drawn_as_it_is() -> None:
    drawn = re.findall(r"(?:├──|└──|^ {4})\s*(\w+Error)", errors.__doc__ or "", re.MULTILINE)
    defined = [item.__name__ for item in vars(errors).values() if isinstance(item, type) and issubclass(item, Exception)]
    assert sorted(drawn) == sorted(defined)


def test_the_import_table_stands_in_the_docs() -> None:
    from tests.test_rooms import ROOMS

    rows = re.findall(r"^\| \d \| `(\w+)` \|.*\| (.*?) \|$", text("docs/architecture.md"), re.MULTILINE)
    assert {room: set(re.findall(r"\w+", below)) for room, below in rows} == {
        room: {"all"} if room == "cli" else below for room, below in ROOMS.items()
    }


def test_help_is_quick_and_names_every_verb() -> None:
    def processor_seconds() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    times = []
    for _ in range(3):
        before = processor_seconds()  # not the clock: a busy machine must not fail this
        shown = subprocess.run([sys.executable, "-m", "misora", "--help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        times.append(processor_seconds() - before)
    assert all(re.search(rf" {prog.split()[1]}\s", shown) for prog in parsers())
    assert min(times) <= 0.3, f"misora --help took {min(times):.2f} s"


def test_the_world_page_lists_what_the_world_knows() -> None:
    from misora.words import graph

    page = text("docs/world.md")
    for label, names in {
        "shapes": graph.SHAPES,
        "colours": graph.COLOURS,
        "floors": graph.FLOORS,
        "light": graph.LIGHTS,
        "style": graph.STYLES,
    }.items():
        row = re.search(rf"^\| {label} \| (.*) \|$", page, re.MULTILINE)
        assert row, f"docs/world.md has no row of {label}"
        assert re.split(r", |; ", row[1])[: len(names)] == list(names)
