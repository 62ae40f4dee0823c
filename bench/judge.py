"""The judge in figures: right answers on renders of fixed unseen seeds and on what the autoencoder leaves of them, and damage refused."""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from misora.cli.sources import SECONDS, SIZE, reconstruction
from misora.evals.damage import blurred, doubled, ghosted
from misora.evals.judge import ATOMS, judge
from misora.evals.parse import parse
from misora.evals.prompt import Score
from misora.evals.slices import SLICE_V1
from misora.model.weights import Weights, load_weights
from misora.words.graph import SceneGraph
from misora.world.make import Unstageable, render_graph
from misora.world.scenes import CORE, even, sample_graph

SEED = 20261122  # of the scenes that are reported; look at those of another seed when you change the judge
MIX = dataclasses.replace(  # one or two things, otherwise as the held-out prompts are drawn
    CORE, counts=(0.5, 0.5), verbs=even(SLICE_V1.verbs), shapes=even(SLICE_V1.shapes), lights=even(SLICE_V1.lights)
)
Shown = tuple[SceneGraph, np.ndarray]


def scene(seed: int, number: int) -> Shown:
    """The held-out scene that belongs to a number: its graph and its frames."""
    rng = np.random.default_rng([seed, number])
    while True:
        graph = sample_graph(rng, MIX, held_out=True)
        if graph in SLICE_V1:
            try:
                return graph, render_graph(graph, int(rng.integers(2**31)), seconds=SECONDS, size=SIZE).frames
            except Unstageable:
                continue


def scenes(seed: int, count: int, kept: Path | None = None) -> Iterator[Shown]:
    """The first ``count`` scenes of a seed; where a folder is given, each is drawn once and kept there."""
    for number in range(count):
        path = kept / f"{seed}-{number:04}.npz" if kept else None
        if path and path.exists():
            with np.load(path) as stored:
                yield SceneGraph.from_json(str(stored["graph"])), stored["frames"]
            continue
        graph, frames = scene(seed, number)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, graph=graph.to_json(), frames=frames)
        yield graph, frames


def moves(shown: Shown) -> bool:
    """Whether anything is told to move."""
    return any(act.verb != "stay" for act in shown[0].cards[0].acts)


def score(name: str, clips: Iterator[Shown]) -> None:
    """Print the share of right answers for every atom, and which clips have a wrong one."""
    answers: dict[str, list[bool]] = {atom: [] for atom in (*ATOMS, "all")}
    wrong, spent = list[str](), 0.0
    for number, (graph, frames) in enumerate(clips):
        start = time.process_time()
        verdict = judge(graph, parse(frames))
        spent += time.process_time() - start
        for atom, given in verdict.items():
            answers[atom] += given
        answers["all"].append(all(all(given) for given in verdict.values()))
        wrong += [f"{number} ({', '.join(atom for atom, given in verdict.items() if not all(given))})"] * (not answers["all"][-1])
    cells = [f"{atom} {_share(Score(right=sum(given), asked=len(given)))}" for atom, given in answers.items()]
    print(f"{name}: {', '.join(cells)}; {spent / max(1, len(answers['all'])):.2f} s of CPU a clip\n  wrong: {'; '.join(wrong) or 'none'}")


def refuse(name: str, clips: Iterator[Shown], damage: Callable[[np.ndarray], np.ndarray]) -> None:
    """Print how many damaged clips are refused: a thing is unsound or the count is wrong."""
    passed, asked = list[str](), 0
    for number, (graph, frames) in enumerate(clips):
        asked += 1
        passed += [str(number)] * judge(graph, parse(damage(frames)))["count"][0]
    print(f"{name}: refused {_share(Score(right=asked - len(passed), asked=asked))}\n  passed: {', '.join(passed) or 'none'}")


def through(weights: Weights, clips: Iterator[Shown]) -> Iterator[Shown]:
    """The same scenes after the autoencoder."""
    return ((graph, reconstruction(weights, frames)) for graph, frames in clips)


def _share(score: Score) -> str:
    low, high = score.interval
    return f"{100 * score.share:.1f} % ({score.right}/{score.asked}, {100 * low:.1f}-{100 * high:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    for name, count in (("clean", 300), ("autoencoder", 100), ("ghosted", 100), ("doubled", 100), ("blurred", 100)):
        parser.add_argument(f"--{name}", type=int, default=count, metavar="N", help=f"clips (default: {count})")
    parser.add_argument("--kept", type=Path, metavar="FOLDER", help="draw the scenes once and keep them there")
    args = parser.parse_args()

    def drawn(count: int) -> Iterator[Shown]:
        return scenes(args.seed, count, args.kept)

    if args.clean:
        score("simulator", drawn(args.clean))
    if args.autoencoder:
        score("through the autoencoder", through(load_weights(), drawn(args.autoencoder)))
    if args.ghosted:
        refuse("ghosted (those of the scenes in which something moves)", filter(moves, drawn(args.ghosted)), ghosted)
    if args.doubled:
        refuse("doubled", drawn(args.doubled), doubled)
    if args.blurred:
        refuse("blurred", drawn(args.blurred), blurred)


if __name__ == "__main__":
    main()
