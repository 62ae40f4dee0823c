"""Laws of models by name: found where the hub keeps them, deleted whole, and every way not to get one is a sentence."""

from __future__ import annotations

import errno
import importlib
import json
import shutil
import types
from pathlib import Path

import pytest

from misora.cli.main import main
from misora.client.errors import CheckpointError
from misora.model import hub
from tests import wan


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of downloads, and no way to the hub."""
    monkeypatch.setattr(hub, "cache", lambda: tmp_path / "cache")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def _downloaded(cache: Path, repository: str = "someone/tiny-wan") -> Path:
    """A download as the hub's library leaves it."""
    home = cache / f"models--{repository.replace('/', '--')}"
    revision = "0123456789abcdef0123456789abcdef01234567"
    wan.save(wan.transformer(), home / "snapshots" / revision / "transformer")
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(revision, "utf-8")
    return home / "snapshots" / revision


def test_a_download_is_found_shown_and_removed(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _downloaded(cache)
    assert hub.folder_of("someone/tiny-wan") == folder
    assert [kept.repository for kept in hub.kept()] == ["someone/tiny-wan"]
    assert main(["models", "show", "someone/tiny-wan"]) == 0
    assert "Wan, 52 wide, 2 layers, 2 heads, 6 latent channels" in capsys.readouterr().out
    assert main(["models", "remove", "someone/tiny-wan"]) == 0
    assert not folder.exists()
    assert hub.kept() == []


def test_the_list_says_what_is_here_and_under_which_licence(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _downloaded(cache, "Wan-AI/Wan2.1-T2V-1.3B-Diffusers")
    assert main(["models", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("embedded")
    assert all("apache-2.0" in line for line in lines[1:])
    assert [name for name, line in zip(hub.NAMED, lines[1:], strict=True) if line.endswith(" here")] == ["wan2.1-t2v-1.3b"]


@pytest.mark.parametrize("name", ["wan2.1-t2v-1.3b", "someone/never-heard-of"])
def test_without_a_network_it_says_what_to_do(cache: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match=f"misora models pull {name}"):
        hub.folder_of(name)
    with pytest.raises(CheckpointError, match="go online and pull again"):
        hub.pull(name)
    with pytest.raises(CheckpointError, match="no download of this machine"):
        hub.remove(name)


def test_a_folder_is_never_looked_for_on_the_hub_nor_removed(cache: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    assert hub.folder_of(str(mine)) == mine
    with pytest.raises(CheckpointError, match="never deleted"):
        hub.remove(str(mine))
    with pytest.raises(CheckpointError, match="There is no model 'nonsense'"):
        hub.folder_of("nonsense")
    for ask in (hub.pull, hub.licence):
        with pytest.raises(CheckpointError, match="no name and no hub id"):
            ask("nonsense")


def _raising(name: str) -> object:
    """What the hub's library raises, without the answer of a server that it is usually made of."""
    from huggingface_hub import errors

    kind = getattr(errors, name)
    error = kind.__new__(kind)
    Exception.__init__(error, "the server said no.")

    def call(*args: object, **kwargs: object) -> None:
        raise error

    return call


@pytest.mark.parametrize(
    "name, says",
    [
        ("GatedRepoError", "accept them on its page, then set HF_TOKEN to your token and pull again"),
        ("RepositoryNotFoundError", "no public model someone/wan; check its name, or set HF_TOKEN"),
        ("RemoteEntryNotFoundError", "neither diffusers' layout nor the original one"),
        ("HfHubHTTPError", "pull again, it goes on where it stopped"),
    ],
)
def test_whatever_the_hub_refuses_is_a_sentence_that_says_what_to_do(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, says: str
) -> None:
    monkeypatch.setattr("huggingface_hub.hf_hub_download", _raising(name))
    with pytest.raises(CheckpointError, match=says):
        hub.pull("someone/wan")


def test_a_hub_that_does_not_answer_is_told_in_a_sentence(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As its HTTP library raises it: what the library wraps for one call it lets through for another."""
    web = importlib.import_module(type(hub.library().get_session()).__module__.partition(".")[0])

    def silent(*args: object, **kwargs: object) -> None:
        raise web.ConnectError("[Errno 111] Connection refused")

    monkeypatch.setattr("huggingface_hub.model_info", silent)
    assert main(["models", "pull", "someone/wan"]) == 1
    said = capsys.readouterr().err
    assert "the hub cannot be reached; go online and pull again" in said and said.count("\n") == 1


def test_a_disk_that_fills_on_the_way_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(hub, "check_family", full)
    with pytest.raises(CheckpointError, match="The disk was full before all of someone/wan was here; make room in .*, and pull again"):
        hub.pull("someone/wan")


def test_half_a_download_is_told_by_what_is_missing(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _downloaded(cache)
    (folder / "model_index.json").write_text(
        json.dumps({"_class_name": "WanPipeline", "transformer": ["diffusers", "x"], "vae": ["a", "b"]})
    )
    assert main(["generate", "a red ball", "--model", "someone/tiny-wan", "--quiet"]) == 1
    assert "Only half of someone/tiny-wan is on this machine (vae/ is missing); fetch the rest" in capsys.readouterr().err


def test_a_full_disk_is_told_before_anything_comes(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = types.SimpleNamespace(file_size=30 * 10**9, is_cached=False)
    monkeypatch.setattr(hub, "check_family", lambda repository: None)
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download", lambda *args, dry_run=False, **kwargs: [file] if dry_run else pytest.fail("begun")
    )
    monkeypatch.setattr("shutil.disk_usage", lambda path: types.SimpleNamespace(free=10**9))
    with pytest.raises(CheckpointError, match=r"needs 31.1 GB and 1.0 GB are free .* set HF_HOME to a folder on a larger disk"):
        hub.pull("someone/wan")


def test_another_family_is_refused_before_anything_large_comes(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = tmp_path / "config.json"
    told.write_text('{"_class_name": "HunyuanVideoTransformer3DModel"}', "utf-8")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *args, **kwargs: str(told))
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *args, **kwargs: pytest.fail("begun"))
    with pytest.raises(
        CheckpointError, match="holds HunyuanVideoTransformer3DModel, which Misora does not run; give weights of Wan 2.1 and 2.2"
    ):
        hub.pull("someone/hunyuan")


def test_an_id_in_the_original_layout_is_of_the_family_too(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _downloaded(cache, "someone/original")
    shutil.rmtree(folder / "transformer")
    wan.save(wan.transformer(), folder, "original")
    told = {"_class_name": "WanModel", "model_type": "t2v", "dim": 52, "ffn_dim": 72, "num_heads": 2, "num_layers": 2}
    (folder / "config.json").write_text(json.dumps(told | {"in_dim": 6, "out_dim": 6, "text_dim": 20}), "utf-8")

    def fetch(repository: str, name: str, **kwargs: object) -> str:
        return str(folder / name) if (folder / name).is_file() else _raising("RemoteEntryNotFoundError")()  # type: ignore[operator]

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fetch)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *args, dry_run=False, **kwargs: [] if dry_run else str(folder))
    assert hub.pull("someone/original") == folder
    assert [kept.repository for kept in hub.kept()] == ["someone/original"]
    assert main(["models", "show", "someone/original"]) == 0
    assert "Wan, 52 wide, 2 layers, 2 heads, 6 latent channels" in capsys.readouterr().out


def test_a_whole_pipeline_of_another_family_is_named(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model_index.json").write_text('{"_class_name": "CogVideoXPipeline"}', "utf-8")
    out = tmp_path / "ball.mp4"
    assert main(["generate", "a red ball", "--model", str(tmp_path / "other"), "--out", str(out), "--quiet"]) == 1
    assert "holds CogVideoXPipeline, which Misora does not run" in capsys.readouterr().err
    assert not out.exists()
