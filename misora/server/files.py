"""The data folder: one folder a video with its inputs and results, free space, erasing; it knows nothing of the database.

videos/ID/inputs/…        what was sent along
videos/ID/previews/…      small pictures while it is drawn, FENCE-NUMBER.webp
videos/ID/FENCE/…         the finished files of the lease with that number; it appears by one rename, whole
characters/ID/…
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from misora.client.errors import MisoraError, UsageError

PREVIEW = re.compile(r"\.*(\d+)-")
VIDEO, THUMBNAIL, SPRITESHEET = "video.mp4", "thumbnail.webp", "spritesheet.webp"


class DiskFullError(MisoraError):
    """There is less room than the server keeps free."""


class Files:
    """The files of one server. Names come from the database or are made here, never from a request."""

    def __init__(self, data: Path, free_bytes: int = 0) -> None:
        self.data, self.free_bytes = data, free_bytes

    def check_room(self) -> None:
        """Raise DiskFullError unless there is room for more."""
        if shutil.disk_usage(self.data).free < self.free_bytes:
            raise DiskFullError("The server's disk is full; nothing new is taken until space is freed.")

    def path(self, name: str) -> Path:
        """Where a file that the database names lies."""
        return self.data / name

    def folder(self, video_id: str) -> Path:
        """The folder of one video."""
        return self.data / "videos" / video_id

    def preview(self, video_id: str, fence: int, number: int) -> Path:
        """Where a preview lies."""
        return self.folder(video_id) / "previews" / f"{fence}-{number}.webp"

    def erase_parts(self, video_id: str, fence: int) -> None:
        """Remove what the holder of one lease left unfinished, and whoever held the video before."""
        for part in self.folder(video_id).glob("*.part"):
            if int(part.stem) <= fence:
                shutil.rmtree(part, ignore_errors=True)

    def erase_previews(self, video_id: str, fence: int, *, folder: bool = False) -> None:
        """Remove the previews that the holder of one lease made, and whoever held the video before; with their ``folder`` at the end."""
        place = self.folder(video_id) / "previews"
        for path in place.glob("*"):  # also what a killed worker had half written, under a hidden name
            if (made := PREVIEW.match(path.name)) and int(made[1]) <= fence:
                path.unlink(missing_ok=True)
        if folder:
            with contextlib.suppress(OSError):  # another holder's are in it
                place.rmdir()

    def keep(self, name: str, file: IO[bytes]) -> Path:
        """Copy an upload to ``name`` below the data folder. Raises DiskFullError, and then leaves nothing."""
        target = self.data / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with target.open("wb") as out:
                shutil.copyfileobj(file, out, 1 << 20)
        except OSError:
            target.unlink(missing_ok=True)
            raise DiskFullError("The upload could not be stored: the server's disk is full.") from None
        return target

    def erase(self, video_id: str) -> None:
        """Remove everything of one video; what is open elsewhere goes when it is closed."""
        shutil.rmtree(self.folder(video_id), ignore_errors=True)

    def erase_folder(self, name: str) -> None:
        """Remove one folder that the database named."""
        shutil.rmtree(self.data / name, ignore_errors=True)


@contextlib.contextmanager
def in_use(data: Path, *, alone: bool = False) -> Iterator[None]:
    """Hold the data folder, together with others or ``alone``, until the block or the process ends. Raises UsageError."""
    try:
        import fcntl
    except ImportError:  # not on this system
        yield
        return
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (data / "in-use.lock").open("a") as file:
        try:
            fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except OSError:
            does = "is used by a server; stop that first" if alone else "is being restored; wait for its end"
            raise UsageError(f"The folder {data} {does}.") from None
        yield


def publish(part: Path, whole: Path) -> None:
    """Give a finished folder its name, all of it on the disk first, so that a crash leaves either nothing or everything."""
    for path in part.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    _sync(part)
    os.replace(part, whole)
    _sync(whole.parent)


def _sync(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every system lets a folder be synced
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
