"""Files against the SHA-256 that whoever fetched them wrote down; it knows nothing of what is in them.

The hub's library names a download's files by their hashes, or writes these beside a folder that it was told to fill. Nothing else tells
them, so files that came another way are not checked.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from misora.client.errors import CheckpointError

PIECE = 2**24  # bytes hashed at once
NOTES = Path(".cache/huggingface/download")  # inside a folder that the hub's library filled
HASH = "[0-9a-f]{64}"


def verify(files: Iterable[Path], seen: Path | None = None, *, again: bool = True) -> int:
    """Hash every file whose hash is known; returns how many these are. Raises CheckpointError.

    ``seen`` is a folder that remembers what was right: without ``again`` a file that has not changed since is not read once more.
    """
    known = [(path, wanted) for path in files if (wanted := told(path))]
    for path, wanted in known:
        state = path.stat()
        mark = seen / f"{wanted}-{state.st_size}-{state.st_mtime_ns}" if seen else None
        if mark and not again and mark.is_file():
            continue
        if hashed(path) != wanted:
            raise CheckpointError(f"{path} was altered or damaged (its hash differs); delete {path.resolve()} and fetch it again.")
        if mark:
            with contextlib.suppress(OSError):  # it will be read once more, that is all
                mark.parent.mkdir(parents=True, exist_ok=True)
                mark.touch()
    return len(known)


def told(path: Path) -> str | None:
    """The hash that a file should have, by the name of what it is a link to or by the notes in a folder above it."""
    if re.fullmatch(HASH, path.resolve().name):
        return path.resolve().name
    for folder in list(path.parents)[:3]:
        note = folder / NOTES / f"{path.relative_to(folder)}.metadata"
        if note.is_file():
            lines = note.read_text("utf-8", "replace").splitlines()  # the commit, the hash, when it was fetched
            return lines[1] if len(lines) > 1 and re.fullmatch(HASH, lines[1]) else None
    return None


def hashed(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            state.update(piece)
    return state.hexdigest()
