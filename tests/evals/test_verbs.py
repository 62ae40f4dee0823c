"""Laws of the verbs' figures: what a person would call right meets the bars, and every control misses one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from misora.cli.evals_verbs import lasts
from misora.cli.main import main
from misora.cli.sources import staged
from misora.evals import verbs
from misora.evals.prompts import read_items
from misora.evals.slices import SLICE_V1
from misora.words.graph import COLOURS
from misora.words.known import unknown_words
from misora.words.read import read
from misora.world.scenes import CLASHES
from tests.tiny import write_weights


def moving(count: int, *, turns: float = 0.0) -> np.ndarray:
    """A soft red blob on a textured floor; with ``turns`` it goes around so often, else to the right."""
    floor = np.random.default_rng(0).integers(90, 130, (48, 88, 3)).astype(np.float32)
    rows, columns = np.mgrid[:48, :88]
    frames = []
    for i in range(count):
        angle = 2 * np.pi * turns * i / count
        x, y = (44 + 14 * np.sin(angle), 24 + 14 * np.cos(angle)) if turns else (16 + 1.2 * i, 24)
        blob = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 50)[..., None]
        frames.append(floor * (1 - blob) + np.array((220, 30, 30)) * blob)
    return np.stack(frames).round().astype(np.uint8)


def looped(frames: np.ndarray) -> dict[str, float]:
    return {"seam": verbs.seam(frames), "mirror": verbs.mirror(frames), "energy": verbs.energy(frames, moving(48, turns=1))}


def test_a_loop_meets_its_bars_and_every_control_misses_one() -> None:
    closed, line = moving(48, turns=1), moving(48)
    assert not verbs.row("loop", [looped(closed)]).missed()
    controls = {"not looped": line, "doubled end": np.concatenate((closed, closed[:1])), "frozen": verbs.frozen(closed),
                "ping-pong": verbs.ping_pong(line)}  # fmt: skip
    for name, clip in controls.items():
        row = verbs.row("loop", [looped(clip)], control=name)
        assert row.missed() and row.right(), name


def test_a_cut_jumps_and_a_copy_is_not_fresh() -> None:
    whole = moving(48)
    assert verbs.jump(whole, slice(20, 28)) < 2
    cut = np.concatenate((whole[:24], whole[:24]))
    assert verbs.jump(cut, slice(20, 28)) > 2
    assert verbs.fresh(whole[:24], whole[:24]) == 0 and verbs.fresh(whole[24:], whole[:12]) > 0.25


def test_drift_is_counted_per_ten_seconds() -> None:
    still = moving(240, turns=3)
    assert verbs.drift(still) < 0.2
    tinted = np.clip(still + np.linspace(0, 10, 240)[:, None, None, None], 0, 255).astype(np.uint8)
    assert verbs.drift(tinted) == pytest.approx(5, abs=1.5)


def test_rows_are_told_and_written() -> None:
    rows = [verbs.row("inpaint", [{"exact": 1.0, "changed": 9.0}]), verbs.row("inpaint", [{"exact": 1.0, "changed": 0.0}], "copy")]
    assert [row.right() for row in rows] == [True, True] and rows[1].missed() == ["changed"]
    assert verbs.table(rows).row_count == 2
    told = json.loads(verbs.as_json(rows, model="embedded"))
    assert told["model"] == "embedded" and told["rows"][1]["missed"] == ["changed"]
    assert verbs.row("inpaint", [{"exact": float("nan"), "changed": 9.0}]).missed() == ["exact"]


@pytest.mark.parametrize("colour", COLOURS)
def test_a_measured_storyboard_asks_for_what_the_world_draws(colour: str) -> None:
    for prompt, verb in zip(verbs.board(colour, "left"), ("bounce", "roll"), strict=True):
        graph = read(prompt)
        assert graph and graph in SLICE_V1 and graph.things[0].colour == colour and graph.cards[0].acts[0].verb == verb
        assert colour not in CLASHES[graph.floor], "or it cannot be told apart"


def test_a_storyboard_is_held_against_a_scene_of_its_own_cards() -> None:
    prompts = verbs.board("red", "left")
    graph = verbs.played([card for prompt in prompts if (card := read(prompt, seconds=3.0))])
    assert [(card.start, card.end, card.acts[0].verb, card.acts[0].direction) for card in graph.cards] == [
        (0.0, 3.0, "bounce", None), (3.0, 6.0, "roll", "left"),
    ]  # fmt: skip
    clip = staged(graph, "")
    told = [verbs.told(one, half) for prompt, half in zip(prompts, (clip[:36], clip[36:]), strict=True) if (one := read(prompt))]
    assert len(clip) == 73 and told == [100.0, 100.0]
    assert verbs.motion_energy(clip[:36]) > 0.3 < verbs.motion_energy(clip[36:])


def test_a_reference_is_asked_to_move_what_it_shows_without_naming_a_colour() -> None:
    for item in (item for item in read_items() if any(act.direction for act in item.graph.cards[0].acts)):
        prompt, graph = verbs.shown_again(item.graph)
        (act,) = graph.cards[0].acts
        assert act in item.graph.cards[0].acts and act.direction and act.direction in prompt and graph.things == item.graph.things
        assert not set(prompt.replace(",", "").split()) & set(COLOURS) and not unknown_words(prompt)
        assert not {thing.colour for thing in graph.things} & set(CLASHES[graph.floor]), "or it cannot be told apart"


def test_pictures_and_survival() -> None:
    frames = moving(12)
    assert verbs.psnr(frames[0], frames[0]) > 100 > verbs.psnr(frames[0], frames[5])
    assert verbs.survival(np.full((49, 48, 88, 3), 110, np.uint8), ()) == 1.0


def test_every_verb_is_measured_beside_controls_and_written_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(write_weights(tmp_path / "weights"))
    flags = ["evals", "verbs", "--scenes", "1", "--steps", "1", "--guidance", "1", "--model", model, "--out", str(tmp_path / "out")]
    for verb in ("connect", "inpaint", "storyboard"):
        assert main([*flags, "--only", verb]) == 1, "weights that never learned anything miss their bars"
        rows = json.loads((tmp_path / "out" / "verbs.json").read_text())["rows"]
        assert {"energy", "mirror"} <= rows[0]["figures"].keys() and rows[0]["control"] == ""
        controls = [row for row in rows[1:] if row["control"] not in verbs.CEILINGS]
        assert all(row["missed"] and row["right"] for row in controls), [row["control"] for row in controls if not row["right"]]
        assert [row["missed"] for row in rows if row["control"] == "simulator"] == ([] if verb == "inpaint" else [[]]), "it can be done"
        assert {"frozen", "ping-pong"} <= {row["control"].split(",")[0] for row in rows}
    assert "verbs.md" in capsys.readouterr().err and (tmp_path / "out" / "verbs.md").read_text().count("storyboard") == 7


@pytest.mark.slow
def test_all_verbs_can_be_measured(tmp_path: Path) -> None:
    model = str(write_weights(tmp_path / "weights"))
    assert main(["evals", "verbs", "--scenes", "1", "--steps", "1", "--model", model, "--out", str(tmp_path / "out")]) == 1
    rows = json.loads((tmp_path / "out" / "verbs.json").read_text())["rows"]
    assert {row["verb"] for row in rows} == set(verbs.BARS)


@pytest.mark.slow
def test_only_what_can_keep_its_cast_is_asked_to() -> None:
    hidden, alone = [item for item in read_items() if any(act.direction for act in item.graph.cards[0].acts)][:2]
    assert lasts(hidden) is None, "the cube comes to rest behind the ball"
    clip = lasts(alone)
    assert clip is not None and len(clip) >= 32 * 12
    assert verbs.survival(clip, verbs.cast(clip[: verbs.WINDOW])) == 1.0


@pytest.mark.parametrize("flags", [["--scenes", "0"], ["--only", "dance"], ["--steps", "0"]])
def test_what_cannot_be_measured_is_refused(flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evals", "verbs", "--out", str(tmp_path / "evals"), *flags]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1 and not (tmp_path / "evals").exists()
