"""Judged clips in a file, one line each as soon as it is judged, so that a killed run goes on; it knows nothing of models or scores."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from misora.evals.prompts import HELDOUT_V1
from misora.evals.tracks import Parse, Track

PARSER = ("background.py", "features.py", "segment.py", "naming.py", "naming.json", "parse.py", "tracks.py")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Take:
    """One clip that was judged: which item, in which language, from which seed, and what was seen of it."""

    index: int
    language: str
    seed: int
    parse: Parse
    energy: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One clip to be drawn and judged. ``source`` names all that it depends on beside prompt and seed: nothing else is ever reused."""

    source: str
    index: int
    language: str = "en"
    seed: int = 0


Takes = dict[str, Take]  # by the name of the row that each belongs to
Work = Callable[[Job], Takes]


class Store:
    """The takes of every job that is done, in memory and in the file at ``path``."""

    def __init__(self, path: Path) -> None:
        self.path, self.done = path, dict[Job, Takes]()
        path.parent.mkdir(parents=True, exist_ok=True)
        data = path.read_bytes() if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]  # a killed run may have left half a line
        if whole != data:
            path.write_bytes(whole)
        for raw in map(json.loads, whole.splitlines()):
            takes = {name: _read_take(take) for name, take in raw.pop("takes").items()}
            self.done[Job(**raw)] = takes

    def add(self, job: Job, takes: Takes) -> None:
        """Keep what came of a job."""
        row = dataclasses.asdict(job) | {"takes": {name: _plain(take) for name, take in takes.items()}}
        with self.path.open("a") as file:
            file.write(json.dumps(row, separators=(",", ":")) + "\n")
        self.done[job] = takes


def carry_out(
    jobs: Iterable[Job], work: Work, store: Store, workers: int = 1, progress: Callable[[int, int], None] = lambda done, total: None
) -> None:
    """Do what the store does not hold yet, in this process or in ``workers`` processes that share the cores; ``work`` must pickle then."""
    jobs = list(dict.fromkeys(jobs))
    todo = [job for job in jobs if job not in store.done]
    progress(len(jobs) - len(todo), len(jobs))

    def keep(job: Job, takes: Takes) -> None:
        store.add(job, takes)
        progress(len(jobs) - len(todo) + sum(job in store.done for job in todo), len(jobs))

    if min(workers, len(todo)) <= 1:
        for job in todo:
            keep(job, work(job))
        return
    threads = max(1, (os.cpu_count() or 1) // workers)
    pool = concurrent.futures.ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin, (threads,))
    try:
        running = {pool.submit(work, job): job for job in todo}
        for finished in concurrent.futures.as_completed(running):
            keep(running[finished], finished.result())
    finally:
        pool.shutdown(cancel_futures=True)


def keep_frames(path: Path, frames: np.ndarray) -> None:
    """Write ``frames`` to ``path``, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".half.npy")
    np.save(half, frames)
    half.rename(path)


def kept_frames(path: Path) -> np.ndarray:
    """What ``keep_frames`` wrote."""
    return np.asarray(np.load(path))


def fingerprint(*parts: Path | str) -> str:
    """A short hash of texts and of the contents of files and of a folder's own Python files."""
    total = hashlib.sha256()
    for part in parts:
        files = sorted(part.glob("*.py")) if isinstance(part, Path) and part.is_dir() else [part]
        for file in files:
            total.update(hashlib.sha256(file.encode() if isinstance(file, str) else file.read_bytes()).digest())
    return total.hexdigest()[:16]


def parser_files() -> list[Path]:
    """What a kept take depends on in this room: the list of prompts and the parser."""
    return [HELDOUT_V1, *(Path(__file__).with_name(name) for name in PARSER)]


def _begin(threads: int) -> None:
    """A worker's first act: its share of the cores, no say in Ctrl-C, and an end when the process that started it ends."""
    import torch

    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _plain(take: Take) -> dict[str, Any]:
    tracks = [{**dataclasses.asdict(track), **_lists(track)} for track in take.parse.tracks]
    return {**dataclasses.asdict(take), "parse": {"tracks": tracks, "counts": take.parse.counts.tolist()}}


def _lists(track: Track) -> dict[str, Any]:
    return {"frames": track.frames.tolist(), "centres": track.centres.tolist(), "clear": track.clear.astype(int).tolist()}


def _read_take(raw: dict[str, Any]) -> Take:
    tracks = tuple(_read_track(track) for track in raw["parse"]["tracks"])
    return Take(**{**raw, "parse": Parse(tracks=tracks, counts=np.array(raw["parse"]["counts"], np.int64))})


def _read_track(raw: dict[str, Any]) -> Track:
    arrays = {"frames": np.array(raw["frames"]), "centres": np.array(raw["centres"]), "clear": np.array(raw["clear"], bool)}
    return Track(**{**raw, **arrays})
