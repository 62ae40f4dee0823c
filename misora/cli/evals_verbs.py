"""``misora evals verbs``: each verb on held-out scenes beside controls that must fail; it knows nothing of how figures are taken."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misora.client.errors import GenerationError, MissingExtraError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from misora.evals.prompts import Item
    from misora.evals.verbs import Row
    from misora.model.weights import Weights
    from misora.render.cut import Cut
    from misora.render.footage import Footage

GIVEN = 25  # native frames of a clip that is to be gone on from: two seconds
LONG = 28  # seconds that are added to a clip in "extend x8"
SIZE = "176x96"


def add_action(actions: Any) -> None:
    """Add the action and its flags."""
    action: argparse.ArgumentParser = actions.add_parser("verbs", help="do loops close, extensions hold, storyboards happen in order?")
    action.add_argument("--model", default="embedded", metavar="NAME|FOLDER", help="the weights to measure (default: embedded)")
    action.add_argument("--out", type=Path, default=Path("evals"), metavar="FOLDER", help="tables as JSON and Markdown (default: evals)")
    action.add_argument("--scenes", type=int, default=4, metavar="N", help="held-out scenes in which something moves (default: 4)")
    action.add_argument("--only", metavar="VERB", help="one verb alone, as the table names it")
    action.add_argument("--steps", type=int, default=5, metavar="N", help="sampling steps of a frame (default: 5)")
    action.add_argument("--guidance", type=float, default=2.0, metavar="X", help="how closely to follow the prompt (default: 2)")
    action.set_defaults(run=run, computes=True)


def run(args: argparse.Namespace) -> None:
    """Measure every verb, print the table and write it. Raises MisoraError."""
    try:
        from misora.evals import verbs
        from misora.evals.prompts import read_items
    except ModuleNotFoundError as error:
        raise MissingExtraError("Measuring needs more packages; run `pip install 'misora[train]'`.") from error
    from rich.console import Console

    from misora.model.weights import load_weights
    from misora.render.request import Request

    if args.out.exists() and not args.out.is_dir():
        raise UsageError(f"{args.out} is a file; give --out a folder.")
    Request(prompt="a ball", seed=0, steps=args.steps, guidance=args.guidance).check()
    if args.scenes < 1 or (args.only is not None and args.only not in verbs.BARS):
        raise UsageError(f"Ask for at least one scene, and --only for one of {', '.join(verbs.BARS)}.")
    items = [item for item in read_items() if any(act.direction for act in item.graph.cards[0].acts)]
    trial = Trial(load_weights(args.model), items, args.scenes, args.steps, args.guidance)
    rows: list[Row] = []
    about = {"model": args.model, "scenes": len(trial.items), "steps": args.steps, "guidance": args.guidance}
    for name in [args.only] if args.only else list(verbs.BARS):
        rows += trial.rows(name)
        verbs.write_report(args.out, rows, **about)  # what is done stays where this is stopped
        print(f"{name}: {sum(row.verb == name for row in rows)} rows", file=sys.stderr, flush=True)
    Console(width=180).print(verbs.table(rows))
    if not all(row.right() for row in rows):
        raise GenerationError(f"Some rows miss their bars, or controls meet them; see {args.out / 'verbs.md'}.")


Figures = dict[str, float]
Found = Iterator[tuple[str, Figures]]  # the verb's own under no name, then its controls'


class Trial:
    """The first ``count`` held-out scenes, their simulated clips, and what each verb makes of them."""

    def __init__(self, weights: Weights, items: list[Item], count: int, steps: int, guidance: float) -> None:
        from misora.cli.sources import simulator
        from misora.render.engine import Misora

        own = dataclasses.replace(weights, painter=None)  # figures are taken of what was drawn, not of what was painted
        self.engine, self.items, self.steps, self.guidance = Misora(own), items[:count], steps, guidance
        self.truths = [simulator(item) for item in self.items]  # t h w 3 each
        self.plain: dict[int, np.ndarray] = {}  # text to video of each scene
        self.every = items

    @functools.cached_property
    def lasting(self) -> list[tuple[Item, np.ndarray]]:
        """As many scenes whose things the parser tells apart in every piece of the simulator's own long clip, with that clip.

        Elsewhere one comes to rest before another, or leaves, and no extension, however true, could keep its cast.
        """
        found: list[tuple[Item, np.ndarray]] = []
        for item in self.every:
            if len(found) < len(self.items) and (clip := lasts(item)) is not None:
                found.append((item, clip))
        return found

    def rows(self, verb: str) -> Iterator[Row]:
        """The verb's row, then its controls'."""
        from misora.evals import verbs

        measured: dict[str, list[dict[str, float]]] = {}
        scenes = self.lasting if verb == "extend x8" else list(zip(self.items, self.truths, strict=True))
        for index, (item, truth) in enumerate(scenes):
            for name, figures in getattr(self, "_" + verb.replace(" ", "_"))(item, truth, index):
                measured.setdefault(name, []).append(figures)
        for name, found in measured.items():
            yield verbs.row(verb, found, control=name)

    def _wishes(self, index: int) -> Any:
        return {"seed": index, "steps": self.steps, "guidance": self.guidance}

    def _left(self, frames: np.ndarray) -> np.ndarray:
        from misora.cli.sources import reconstruction

        return reconstruction(self.engine.weights, frames)

    def _text_to_video(self, index: int) -> np.ndarray:
        if index not in self.plain:
            prompt = self.items[index].captions["en"]
            self.plain[index] = native(self.engine.generate(prompt, seconds=49 / 12, size=SIZE, **self._wishes(index)))
        return self.plain[index]

    def _loop(self, item: Item, truth: np.ndarray, index: int) -> Found:
        made = native(self.engine.loop(item.captions["en"], size=SIZE, **self._wishes(index)))
        yield from self._looped(made, self._text_to_video(index), truth)

    def _loop_of_a_clip(self, item: Item, truth: np.ndarray, index: int) -> Found:
        made = native(self.engine.loop(item.captions["en"], footage(truth), **self._wishes(index)))
        yield from self._looped(made, truth, truth)

    def _looped(self, made: np.ndarray, plain: np.ndarray, truth: np.ndarray) -> Found:
        from misora.evals import verbs

        doubled = verbs.joined(made, made[:1])
        clips = {"": made, "not looped": plain, "doubled end": doubled, "frozen": verbs.frozen(made), "ping-pong": verbs.ping_pong(plain)}
        for name, clip in clips.items():
            yield name, {"seam": verbs.seam(clip), **verbs.moves(clip, truth)}

    def _animate(self, item: Item, truth: np.ndarray, index: int) -> Found:
        from misora.evals import verbs

        floor = verbs.psnr(self._left(truth[:1])[0], truth[0])
        plain = verbs.told(item.graph, self._text_to_video(index))
        wishes = {"size": SIZE, **self._wishes(index)}
        made = native(self.engine.animate(footage(truth[:1]), item.captions["en"], seconds=49 / 12, **wishes))
        for name, clip in {"": made, "frozen": verbs.frozen(made), "ping-pong": verbs.ping_pong(made)}.items():
            first, points = verbs.psnr(clip[0], truth[0]) - floor, verbs.told(item.graph, clip) - plain
            yield name, {"first": first, "points": points, **verbs.moves(clip, truth)}

    def _extend(self, item: Item, truth: np.ndarray, index: int, backward: bool = False) -> Found:
        from misora.evals import verbs

        turn = slice(None, None, -1) if backward else slice(None)
        given, rest = truth[turn][:GIVEN][turn], truth[turn][GIVEN:][turn]
        video = self.engine.extend(footage(given), item.captions["en"], seconds=len(rest) / 12, backward=backward, **self._wishes(index))
        made = native(video)
        more = (made[: len(rest)] if backward else made[len(given) :])[: len(rest)]
        held = verbs.repeated(given[:1] if backward else given[-1:], len(rest))
        copy, pong = verbs.repeated(given, len(rest)), verbs.repeated(given[::-1], len(rest))
        left = self._left(truth)[turn][GIVEN:][turn]
        controls = {"simulator": rest, "autoencoder": left, "frozen": held, "copy of the source": copy, "ping-pong": pong}
        for name, span in {"": more, **controls}.items():
            whole = made if not name else verbs.joined(*((span, given) if backward else (given, span)))
            exact = verbs.same(whole[len(whole) - len(given) :] if backward else whole[: len(given)], given)
            at = len(span) if backward else len(given)
            yield name, {
                "exact": exact, "jump": verbs.jump(whole, slice(at - 2, at + 2)), "mirror": verbs.mirror(whole),
                "fresh": verbs.fresh(span, given), "energy": verbs.energy(span, rest),
            }  # fmt: skip

    def _extend_backward(self, item: Item, truth: np.ndarray, index: int) -> Found:
        yield from self._extend(item, truth, index, backward=True)

    def _connect(self, item: Item, truth: np.ndarray, index: int) -> Found:
        from misora.evals import verbs

        one, gap, other = truth[:17], truth[17:33], truth[33:]
        made = native(self.engine.connect(footage(one), footage(other), item.captions["en"], seconds=len(gap) / 12, **self._wishes(index)))
        span, pong = made[len(one) : len(made) - len(other)], verbs.repeated(one[::-1], len(gap))
        held, copy, left = verbs.repeated(one[-1:], len(gap)), verbs.repeated(one, len(gap)), self._left(truth)[len(one) : -len(other)]
        controls = {"simulator": gap, "autoencoder": left, "frozen, then cut": held, "copy of the source": copy, "ping-pong": pong}
        for name, between in {"": span, **controls}.items():
            whole = verbs.joined(one, between, other)
            exact = 1.0 if name else verbs.same(made[: len(one)], one) * verbs.same(made[-len(other) :], other)
            around = slice(len(one) - 2, len(one) + len(between) + 1)
            figures = {"exact": exact, "jump": verbs.jump(whole, around), "mirror": verbs.mirror(whole)}
            yield name, figures | {"energy": verbs.energy(between, gap)}

    def _extend_x8(self, item: Item, whole: np.ndarray, index: int) -> Found:
        from misora.evals import verbs

        truth = whole[: verbs.WINDOW]
        made = native(self.engine.extend(footage(truth), item.captions["en"], seconds=LONG, **self._wishes(index)))
        expected, rest = verbs.cast(truth), len(made) - len(truth)
        copy, pong = (verbs.joined(truth, verbs.repeated(clip, rest)) for clip in (truth, verbs.joined(truth[::-1], truth)))
        clips = {"": made, "simulator": whole, "tinted": verbs.tinted(made), "frozen": verbs.frozen(made)}
        for name, clip in (clips | {"copy of the source": copy, "ping-pong": pong}).items():
            fresh = verbs.fresh(clip[len(truth) : len(truth) + 49], truth)
            yield name, {"drift": verbs.drift(clip), "cast": verbs.survival(clip, expected), "fresh": fresh, **verbs.moves(clip, whole)}

    def _inpaint(self, item: Item, truth: np.ndarray, index: int) -> Found:
        from misora.evals import verbs

        box, prompt = (48, 32, 80, 48), "a green ball rolls to the right"
        made = native(self.engine.inpaint(footage(truth), prompt, box=box, **self._wishes(index)))
        clips = {"": made, "copy of the source": truth, "frozen": verbs.frozen(made), "ping-pong": verbs.ping_pong(made)}
        clips["whole clip anew"] = native(self.engine.remix(footage(truth), prompt, strength=1.0, **self._wishes(index)))
        for name, clip in clips.items():
            yield name, {**verbs.inside_and_out(clip, truth, box), **verbs.moves(clip, truth)}

    def _storyboard(self, item: Item, truth: np.ndarray, index: int) -> Found:
        from misora.cli.sources import staged
        from misora.evals import verbs
        from misora.words.read import read

        prompts = verbs.board(item.graph.things[0].colour, ("left", "right")[index % 2])
        graphs = [graph for prompt in prompts if (graph := read(prompt, seconds=3.0))]
        asked = staged(verbs.played(graphs), "; ".join(prompts))
        made = native(
            self.engine.storyboard({"cards": [{"prompt": prompt, "seconds": 3} for prompt in prompts]}, size=SIZE, **self._wishes(index))
        )
        clips = {"": made, "simulator": asked, "autoencoder": self._left(asked), "in the other order": verbs.joined(made[36:], made[:36])}
        clips |= {"frozen": verbs.frozen(made)}
        clips |= {"ping-pong": verbs.ping_pong(made), "the first card twice": verbs.joined(made[:36], made[:36])}
        for name, clip in clips.items():
            events = all(verbs.told(graph, half) == 100.0 for graph, half in zip(graphs, (clip[:36], clip[36:]), strict=True))
            yield name, {"events": float(events), **verbs.moves(clip, asked)}

    def _reference(self, item: Item, truth: np.ndarray, index: int) -> Found:
        from misora.cli.sources import staged
        from misora.evals import verbs

        prompt, graph = verbs.shown_again(item.graph)
        asked = staged(graph, prompt)
        shown, other = truth, self.truths[(index + 1) % len(self.truths)] if len(self.truths) > 1 else truth[:, :, ::-1, ::-1]
        made, astray = (
            native(self.engine.generate(prompt, size=SIZE, references=(footage(clip),), **self._wishes(index))) for clip in (shown, other)
        )
        clips = {"": made, "simulator": asked, "autoencoder": self._left(asked), "another scene's reference": astray}
        clips |= {"copy of the source": truth, "frozen": verbs.frozen(made)}
        for name, clip in (clips | {"ping-pong": verbs.ping_pong(made)}).items():
            same = float(verbs.cast(clip) == verbs.cast(truth))
            yield name, {"cast": same, "fresh": verbs.fresh(clip, truth), **verbs.moves(clip, asked)}


def lasts(item: Item) -> np.ndarray | None:
    """The simulator's own clip of a scene over ``LONG`` seconds more; None where its cast cannot be told in every piece of it."""
    from misora.cli.sources import staged
    from misora.evals import verbs

    try:
        clip = staged(item.graph, item.captions["en"], verbs.WINDOW / verbs.RATE + LONG)
    except GenerationError:
        return None
    expected = verbs.cast(clip[: verbs.WINDOW])
    wanted = tuple(sorted((thing.colour, thing.shape) for thing in item.graph.things))
    return clip if expected == wanted and verbs.survival(clip, expected) == 1.0 else None


def footage(frames: np.ndarray) -> Footage:
    """Native frames as a given clip."""
    import torch

    from misora.render.footage import Footage

    return Footage(frames=torch.from_numpy(frames.copy()), rate=12.0, name="the scene")


def native(video: Cut) -> np.ndarray:
    """What was delivered, at 12 frames per second."""
    import torch

    every = max(1, round(video.rate / 12))
    return torch.stack([frame for number, frame in enumerate(video.stream()) if number % every == 0]).numpy()
