"""Laws of the way from a prompt to a file: sizes, sameness by seed, progress, and foreign weights refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import misora
from misora.client.errors import CheckpointError, GenerationError, UsageError
from misora.media.read import probe
from misora.model import checkpoint
from misora.render.engine import Misora, load
from misora.render.footage import Notice
from misora.render.parts import Part, cast
from tests.tiny import write_weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def engine(folder: Path) -> Misora:
    return load(folder)


def test_python_makes_a_file(folder: Path, tmp_path: Path) -> None:
    engine = misora.load(str(folder))
    assert engine.stage is not None
    path = engine.generate("a red ball", seed=1, steps=2, seconds=0.5).save(tmp_path / "a.mp4")
    info = probe(path)
    assert (info.width, info.height, info.frame_rate, info.seconds) == (704, 384, 24, 0.5)


def test_the_same_seed_makes_the_same_frames_and_another_does_not(engine: Misora) -> None:
    first, again, other = (engine.generate("a red ball", seed=seed, steps=2, seconds=0.3).native for seed in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_prompt_and_negative_prompt_matter(engine: Misora) -> None:
    def made(prompt: str, negative: str = "") -> torch.Tensor:
        return engine.generate(prompt, negative=negative, seed=0, steps=4, seconds=0).native

    assert not torch.equal(made("a red ball"), made("a blue cube"))
    assert not torch.equal(made("a red ball"), made("a red ball", "a blue cube"))


@pytest.mark.parametrize(("seconds", "native"), [(0.0, 1), (0.05, 1), (0.5, 7), (1.0, 13)])
def test_a_clip_is_as_long_as_asked_and_has_a_frame_to_move_towards(engine: Misora, seconds: float, native: int) -> None:
    video = engine.generate("a red ball", seconds=seconds, steps=1, aspect="1:1")
    assert video.native.shape == (native, 3, 128, 128)
    assert len(video.frames) == max(1, round(24 * seconds))


def test_kinds_cover_the_frames() -> None:
    kinds = [cast((Part(seconds=n / 12),))[0].kinds for n in (1, 2, 5, 6, 48, 49)]
    assert kinds == ["S", "SG", "SG", "SGG", "S" + 12 * "G", "S" + 12 * "G"]


def test_progress_hears_every_step_and_may_cancel(engine: Misora) -> None:
    heard: list[tuple[str, int, int]] = []
    engine.generate("a red ball", seconds=0.3, steps=3, progress=lambda *step: heard.append(step))
    assert heard == [("drawing", done, 13) for done in range(1, 14)], "the first frame's steps, four times as many, and the second's"

    def cancel(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.generate("a red ball", seconds=0.3, steps=3, progress=cancel)


def test_unknown_words_are_named_with_the_nearest_known(engine: Misora) -> None:
    with pytest.warns(Notice, match="do not know 'lion'; nearest known: egg"):
        engine.image("a red lion", steps=1, aspect="1:1")
    with pytest.raises(UsageError, match="empty"):  # and what cannot be drawn is said as ever
        engine.image("", steps=1)


def test_impossible_requests_start_nothing(engine: Misora) -> None:
    with pytest.raises(UsageError, match="empty"):
        engine.generate("", progress=lambda *step: pytest.fail("started"))


def test_weights_that_give_no_numbers_are_an_error(folder: Path) -> None:
    engine = load(folder)
    torch.nn.init.constant_(engine.weights.transformer.head.weight, torch.nan)
    with pytest.raises(GenerationError, match="no numbers"):
        engine.generate("a red ball", seconds=0, steps=1)


def test_foreign_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no autoencoder.safetensors"):
        load(tmp_path)
    mixed = shutil.copytree(folder, tmp_path / "mixed")
    shutil.copy(folder / "transformer.safetensors", mixed / "autoencoder.safetensors")
    with pytest.raises(CheckpointError, match="no autoencoder that this version knows"):
        load(mixed)
    for odd in ({"near": -1}, {"near": "16"}, {"near": 2**40}, {"frame_blocks": None}):
        checkpoint.save(mixed / "autoencoder.safetensors", {}, odd)
        with pytest.raises(CheckpointError):
            load(mixed)
    (mixed / "autoencoder.safetensors").write_bytes((folder / "autoencoder.safetensors").read_bytes()[:-100])
    with pytest.raises(CheckpointError):
        load(mixed)
