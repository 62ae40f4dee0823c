"""What was judged is kept line by line: a killed run goes on, and several workers do the work of one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from misora.evals.takes import Job, Store, Take, Takes, carry_out, fingerprint
from misora.evals.tracks import Parse, Track

JOBS = [Job(source="model 1", index=index, language=language) for index in range(3) for language in ("en", "ja")]


def work(job: Job) -> Takes:
    """One take with one track, different for every job."""
    centres = np.linspace([job.index, 1 / 3], [job.index + 1, len(job.language) / 7], 5)
    track = Track(
        colour="red", shape="ball", sound=True, width=30.5, frames=np.arange(5), centres=centres, clear=np.array([1, 1, 0, 1, 1], bool)
    )
    seen = Parse(tracks=(track,), counts=np.full(5, 1))
    return {"model": Take(index=job.index, language=job.language, seed=job.seed, parse=seen, energy=0.1 * job.index)}


def same(one: Takes, other: Takes) -> bool:
    """Whether two results are the same to the last bit: arrays are compared by their text."""
    return repr(one) == repr(other) and all(np.array_equal(a.centres, b.centres) for a, b in zip(tracks(one), tracks(other), strict=True))


def tracks(takes: Takes) -> list[Track]:
    return [track for take in takes.values() for track in take.parse.tracks]


def test_what_is_read_back_is_what_was_written(tmp_path: Path) -> None:
    store = Store(tmp_path / "takes.jsonl")
    carry_out(JOBS, work, store)
    again = Store(tmp_path / "takes.jsonl")
    assert list(again.done) == JOBS and all(same(again.done[job], work(job)) for job in JOBS)


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "takes.jsonl"

    def killed(job: Job) -> Takes:
        if job == JOBS[3]:
            raise KeyboardInterrupt
        return work(job)

    with pytest.raises(KeyboardInterrupt):
        carry_out(JOBS, killed, Store(path))
    path.write_text(path.read_text()[:-20])  # and the last line only half written
    done = list[Job]()
    carry_out(JOBS, lambda job: done.append(job) or work(job), Store(path))  # type: ignore[func-returns-value]
    assert done == JOBS[2:] and list(Store(path).done) == JOBS


def test_nothing_is_done_twice_nor_taken_from_another_source(tmp_path: Path) -> None:
    store, calls = Store(tmp_path / "takes.jsonl"), list[tuple[int, int]]()
    carry_out([*JOBS, *JOBS], work, store, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 6) for done in range(7)]
    assert Job(source="model 2", index=0) not in store.done


def test_workers_do_what_one_process_does(tmp_path: Path) -> None:
    store = Store(tmp_path / "takes.jsonl")
    carry_out(JOBS[:2], work, store, workers=2)
    assert all(same(store.done[job], work(job)) for job in JOBS[:2])


def test_a_fingerprint_changes_with_every_part(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("one")
    first = fingerprint(tmp_path, "x")
    assert first == fingerprint(tmp_path, "x") != fingerprint(tmp_path, "y")
    (tmp_path / "a.py").write_text("two")
    assert fingerprint(tmp_path, "x") != first
