"""A file that appears whole or not at all; it knows nothing of what is in it."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from misora.client.errors import MediaError


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a hidden path beside ``path`` to write to; at the end it is synced to disk and renamed to ``path``.

    Whatever ends the block early (an error, Ctrl-C) removes the hidden file and leaves an older ``path`` as it was.
    Raises MediaError when the folder is missing or cannot be written.
    """
    target = Path(path)
    beside = target.with_name(f".{target.stem[:64]}.{secrets.token_hex(4)}{target.suffix}")
    try:
        beside.touch(exist_ok=False)
    except OSError as error:
        raise MediaError(f"Cannot write {target}: {error.strerror}; choose another --out folder.") from None
    try:
        yield beside
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(beside, target)
    except OSError as error:
        raise MediaError(f"Cannot write {target}: {error.strerror or error}; choose another file or free some space.") from None
    finally:
        beside.unlink(missing_ok=True)
