"""What a finished file leaves with: watermark and signature, from this user's own certificates; it knows nothing of how it was drawn."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from torch import Tensor

from misora.render.request import Request
from misora.trust import provenance
from misora.trust.provenance import Signer, Story

Mark = Callable[[Iterable[Tensor]], Iterator[Tensor]]


@functools.cache
def signer_here() -> Signer | None:
    """This user's signer, or None where ``misora[sign]`` is not installed. Raises ProvenanceError where the certificates cannot be used."""
    return Signer.open() if provenance.available() else None


@contextlib.contextmanager
def sealed(path: str | Path, request: Request) -> Iterator[tuple[Path, Mark]]:
    """Yield where to write the file and what to pass its frames through; at the end it stands under ``path``, signed.

    Without ``misora[sign]`` that is ``path`` itself and the frames as they are. Raises ProvenanceError, MediaError.
    """
    signer = signer_here()
    if signer is None:
        yield Path(path), iter
        return
    story = story_of(request)
    with signer.sealing(Path(path), story) as unsigned:
        yield unsigned, lambda frames: signer.marked(frames, story)


def story_of(request: Request) -> Story:
    """What the manifest tells of a local request: clips that it goes on from are parents, single images and references are inputs.

    The job's name follows from prompt and seed, so that the same request gives the same frames.
    """
    given = [part.clip for part in request.parts if part.clip and part.clip.path]
    job = hashlib.sha256(f"{request.prompt}\n{request.seed}\n{request.seconds}\n{request.delivered()}".encode()).hexdigest()[:16]
    parents = dict.fromkeys(clip.path for clip in given if clip.path and len(clip.frames) > 1)
    inputs = dict.fromkeys(clip.path for clip in (*given, *request.references) if clip.path and clip.path not in parents)
    return Story(job=f"local_{job}", prompt=request.prompt, parents=tuple(parents), inputs=tuple(inputs))
