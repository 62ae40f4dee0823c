"""Laws of models by name: found where the hub keeps them, deleted whole, and every way not to get one is a sentence."""

from __future__ import annotations

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
    with pytest.raises(CheckpointError, match="no name and no hub id"):
        hub.pull("nonsense")
