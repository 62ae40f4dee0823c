"""Clips in a folder, each with its caption in a text file of the same name; it knows nothing of what they are for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from misora.client.errors import UsageError
from misora.media.read import read_untrusted

ENDINGS = (".mp4", ".mov", ".webm", ".mkv", ".gif")


def captioned(folder: Path) -> Iterator[tuple[Tensor, float, str]]:
    """Frames [t, h, w, 3] uint8, frames per second and caption of each clip. Raises UsageError, MediaError."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS) if folder.is_dir() else []
    if not paths:
        raise UsageError(f"There is no clip in {folder}; give a folder of clips ({', '.join(ENDINGS)}), each with its caption in a .txt.")
    if lacking := [path.name for path in paths if not path.with_suffix(".txt").is_file()]:
        raise UsageError(f"{lacking[0]} has no caption; write what it shows in {Path(lacking[0]).stem}.txt beside it.")
    for path in paths:
        frames, rate = read_untrusted(path)
        yield frames, rate, path.with_suffix(".txt").read_text("utf-8").strip()
