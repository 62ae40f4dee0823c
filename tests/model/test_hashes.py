"""Laws of files against their hashes: a flipped bit is found wherever the hash is known, and what was right is not read twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from misora.client.errors import CheckpointError
from misora.model import hashes

BYTES = b"weights" * 1000
FLIPPED = BYTES[:-1] + bytes([BYTES[-1] ^ 1])


def _cached(folder: Path) -> Path:
    """A file as the hub's cache keeps it: a link to one that is named by its hash."""
    (folder / "blob").write_bytes(BYTES)
    blob = (folder / "blob").rename(folder / hashes.hashed(folder / "blob"))
    link = folder / "snapshot" / "weights.safetensors"
    link.parent.mkdir()
    link.symlink_to(blob)
    return link


def _filled(folder: Path) -> Path:
    """A file in a folder that the hub's library was told to fill, with its notes."""
    path = folder / "mine" / "vae" / "weights.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(BYTES)
    note = folder / "mine" / hashes.NOTES / "vae" / "weights.safetensors.metadata"
    note.parent.mkdir(parents=True)
    note.write_text(f"{'0' * 40}\n{hashes.hashed(path)}\n1700000000.0\n", "utf-8")
    return path


@pytest.mark.parametrize("made", [_cached, _filled])
def test_a_flipped_bit_is_found_where_the_hash_is_known(tmp_path: Path, made: object) -> None:
    path = made(tmp_path)  # type: ignore[operator]
    assert hashes.verify([path]) == 1
    path.write_bytes(FLIPPED)
    with pytest.raises(CheckpointError, match="was altered or damaged .*; delete .* and fetch it again") as told:
        hashes.verify([path])
    assert str(path.resolve()) in str(told.value)


def test_files_that_came_another_way_are_not_judged(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(BYTES)
    assert hashes.verify([tmp_path / "weights.safetensors"]) == 0


def test_what_was_right_is_read_once_unless_it_changed_or_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read, hashed = _cached(tmp_path), [], hashes.hashed
    monkeypatch.setattr(hashes, "hashed", lambda one: read.append(one) or hashed(one))
    for again, times in ((False, 1), (False, 1), (True, 2)):
        assert hashes.verify([path], tmp_path / "seen", again=again) == 1 and len(read) == times
    state = path.stat()
    path.write_bytes(FLIPPED)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    with pytest.raises(CheckpointError, match="altered or damaged"):
        hashes.verify([path], tmp_path / "seen", again=False)
