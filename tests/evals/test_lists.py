"""The held-out list is the committed one, held out, inside the slice and linked to its mirror images."""

from __future__ import annotations

from pathlib import Path

import pytest

from misora.client.errors import MisoraError
from misora.evals.curve import read_curve, write_curve
from misora.evals.prompt import Row, Score
from misora.evals.prompts import HELDOUT_V1, read_items, write_items
from misora.evals.report import as_json, markdown, sheet_legend
from misora.evals.slices import SLICE_V1
from misora.words.graph import is_held_out, split_key


def test_every_prompt_is_held_out_and_in_the_slice() -> None:
    items = read_items()
    assert len(items) == 100
    for number, item in enumerate(items):
        assert is_held_out(item.graph) and item.graph in SLICE_V1 and all(item.captions[language] for language in ("en", "ja"))
        if item.mirror is not None:
            assert items[item.mirror].mirror == number and split_key(items[item.mirror].graph) == split_key(item.graph)


def test_an_altered_list_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    write_items(path, read_items())
    assert path.read_bytes() == HELDOUT_V1.read_bytes()
    assert read_items(path) == read_items()
    path.write_text(path.read_text().replace("red", "blue", 1))
    with pytest.raises(MisoraError, match="SHA-256"):
        read_items(path)


def graded(right: int) -> Row:
    return Row(name="model", scores={"colour": Score(right=right, asked=4)}, energy=1.0, takes=1.0)


def test_the_curve_is_sorted_by_samples_and_holds_each_set_of_weights_once(tmp_path: Path) -> None:
    path = tmp_path / "curve.jsonl"
    write_curve(path, [(20, "later", graded(1)), (10, "early", graded(0))])
    write_curve(path, [(20, "later", graded(2)), (30, "last", graded(3))])
    assert read_curve(path) == [(10, {"colour": 0.0}), (20, {"colour": 0.5}), (30, {"colour": 0.75})]


def test_reports_show_what_was_not_asked_as_a_dash() -> None:
    atoms = ("count", "colour", "shape", "order", "pair", "direction", "still", "action", "all")
    row = Row(name="model", scores=dict.fromkeys(atoms, Score(right=0, asked=0)), energy=float("nan"), takes=float("inf"))
    assert markdown([row]).splitlines()[-1].count("–") == len(atoms) + 2
    assert '"share": null' in as_json([row], seeds=1)
    assert "1. a red ball" in sheet_legend(["a red ball"], "sheet.png")
