"""``misora evals verbs``: each verb on held-out scenes beside controls that must fail; it knows nothing of how figures are taken."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misora.client.errors import GenerationError, MissingExtraError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from misora.evals.prompts import Item
    from misora.evals.verbs import Row
    from misora.render.cut import Cut
    from misora.render.engine import Misora
    from misora.render.footage import Footage

GIVEN = 25  # native frames of a clip that is to be gone on from: two seconds
SIZE = "176x96"


def add_action(actions: Any) -> None:
    """Add the action and its flags."""
    action: argparse.ArgumentParser = actions.add_parser("verbs", help="do loops close, extensions hold, storyboards happen in order?")
    action.add_argument("--model", default="embedded", metavar="NAME|FOLDER", help="the weights to measure (default: embedded)")
    action.add_argument("--out", type=Path, default=Path("evals"), metavar="FOLDER", help="table as JSON (default: evals)")
    action.add_argument("--scenes", type=int, default=8, metavar="N", help="held-out scenes in which something moves (default: 8)")
    action.add_argument("--only", metavar="VERB", help="one verb alone, as the table names it")
    action.add_argument("--steps", type=int, default=5, metavar="N", help="sampling steps of a frame (default: 5)")
    action.add_argument("--guidance", type=float, default=3.0, metavar="X", help="how closely to follow the prompt (default: 3)")
    action.set_defaults(run=run, computes=True)


def run(args: argparse.Namespace) -> None:
    """Measure every verb, print the table and write it. Raises MisoraError."""
    try:
        from misora.evals import verbs
        from misora.evals.prompts import read_items
    except ModuleNotFoundError as error:
        raise MissingExtraError("Measuring needs more packages; run `pip install 'misora[train]'`.") from error
    from rich.console import Console

    from misora.render.engine import load

    if args.scenes < 1 or (args.only is not None and args.only not in verbs.BARS):
        raise UsageError(f"Ask for at least one scene, and --only for one of {', '.join(verbs.BARS)}.")
    items = [item for item in read_items() if any(act.direction for act in item.graph.cards[0].acts)][: args.scenes]
    trial = Trial(load(args.model), items, args.steps, args.guidance)
    rows: list[Row] = []
    for name in [args.only] if args.only else list(verbs.BARS):
        found = list(trial.rows(name))
        rows += found
        print(f"{name}: {len(found)} rows", flush=True)
    Console(width=180).print(verbs.table(rows))
    args.out.mkdir(parents=True, exist_ok=True)
    about = {"model": args.model, "scenes": len(items), "steps": args.steps, "guidance": args.guidance}
    (args.out / "verbs.json").write_text(verbs.as_json(rows, **about), "utf-8")
    if not all(row.right() for row in rows):
        raise GenerationError(f"Some rows miss their bars, or controls meet them; see {args.out / 'verbs.json'}.")


class Trial:
    """Held-out scenes, their simulated clips, and what each verb makes of them."""

    def __init__(self, engine: Misora, items: list[Item], steps: int, guidance: float) -> None:
        from misora.cli.sources import simulator

        self.engine, self.items, self.steps, self.guidance = engine, items, steps, guidance
        self.truths = [simulator(item) for item in items]  # t h w 3 each

    def rows(self, verb: str) -> Iterator[Row]:
        """The verb's row, then its controls'."""
        from misora.evals import verbs

        measured: dict[str, list[dict[str, float]]] = {}
        for index, (item, truth) in enumerate(zip(self.items, self.truths, strict=True)):
            for name, figures in getattr(self, "_" + verb.replace(" ", "_"))(item, truth, index):
                measured.setdefault(name, []).append(figures)
        for name, found in measured.items():
            yield verbs.row(verb, found, control=name)

    def _wishes(self, index: int) -> Any:
        return {"seed": index, "steps": self.steps, "guidance": self.guidance}

    def _loop(self, item: Item, truth: np.ndarray, index: int) -> Iterator[tuple[str, dict[str, float]]]:
        prompt = item.captions["en"]
        made = native(self.engine.loop(prompt, size=SIZE, **self._wishes(index)))
        plain = native(self.engine.generate(prompt, size=SIZE, **self._wishes(index)))
        yield from self._looped(made, plain, truth)

    def _loop_of_a_clip(self, item: Item, truth: np.ndarray, index: int) -> Iterator[tuple[str, dict[str, float]]]:
        made = native(self.engine.loop(item.captions["en"], footage(truth), **self._wishes(index)))
        yield from self._looped(made, truth, truth)

    def _looped(self, made: np.ndarray, plain: np.ndarray, truth: np.ndarray) -> Iterator[tuple[str, dict[str, float]]]:
        from misora.evals import verbs

        doubled = verbs.joined(made, made[:1])
        clips = {"": made, "not looped": plain, "doubled end": doubled, "frozen": verbs.frozen(made), "ping-pong": verbs.ping_pong(plain)}
        for name, clip in clips.items():
            yield name, {"seam": verbs.seam(clip), "mirror": verbs.mirror(clip), "energy": verbs.energy(clip, truth)}

    def _animate(self, item: Item, truth: np.ndarray, index: int) -> Iterator[tuple[str, dict[str, float]]]:
        from misora.cli.sources import reconstruction
        from misora.evals import verbs

        floor = verbs.psnr(reconstruction(self.engine.weights, truth[:1])[0], truth[0])
        made = native(self.engine.animate(footage(truth[:1]), item.captions["en"], size=SIZE, **self._wishes(index)))
        for name, clip in {"": made, "frozen": verbs.frozen(made), "ping-pong": verbs.ping_pong(made)}.items():
            first = verbs.psnr(clip[0], truth[0]) - floor
            yield name, {"first": first, "mirror": verbs.mirror(clip), "energy": verbs.energy(clip, truth)}

    def _extend(self, item: Item, truth: np.ndarray, index: int, backward: bool = False) -> Iterator[tuple[str, dict[str, float]]]:
        from misora.evals import verbs

        turn = slice(None, None, -1) if backward else slice(None)
        given, rest = truth[turn][:GIVEN][turn], truth[turn][GIVEN:][turn]
        video = self.engine.extend(footage(given), item.captions["en"], seconds=len(rest) / 12, backward=backward, **self._wishes(index))
        made = native(video)
        more = (made[: len(rest)] if backward else made[len(given) :])[: len(rest)]
        held = verbs.repeated(given[:1] if backward else given[-1:], len(rest))
        copy = verbs.repeated(given, len(rest))
        pong = verbs.repeated(given[::-1], len(rest))
        for name, span in {"": more, "frozen": held, "copy of the source": copy, "ping-pong": pong}.items():
            whole = made if not name else verbs.joined(*((span, given) if backward else (given, span)))
            exact = verbs.same(whole[len(whole) - len(given) :] if backward else whole[: len(given)], given)
            at = len(span) if backward else len(given)
            yield name, {
                "exact": exact, "jump": verbs.jump(whole, slice(at - 2, at + 2)), "mirror": verbs.mirror(whole),
                "fresh": verbs.fresh(span, given), "energy": verbs.energy(span, rest),
            }  # fmt: skip

    def _extend_backward(self, item: Item, truth: np.ndarray, index: int) -> Iterator[tuple[str, dict[str, float]]]:
        yield from self._extend(item, truth, index, backward=True)

    def _connect(self, item: Item, truth: np.ndarray, index: int) -> Iterator[tuple[str, dict[str, float]]]:
        from misora.evals import verbs

        one, gap, other = truth[:17], truth[17:33], truth[33:]
        made = native(self.engine.connect(footage(one), footage(other), item.captions["en"], seconds=len(gap) / 12, **self._wishes(index)))
        span = made[len(one) : len(made) - len(other)]
        held = verbs.repeated(one[-1:], len(gap))
        for name, between in {"": span, "frozen, then cut": held, "copy of the source": verbs.repeated(one, len(gap))}.items():
            whole = verbs.joined(one, between, other)
            exact = 1.0 if name else verbs.same(made[: len(one)], one) * verbs.same(made[-len(other) :], other)
            around = slice(len(one) - 2, len(one) + len(between) + 1)
            figures = {"exact": exact, "jump": verbs.jump(whole, around), "mirror": verbs.mirror(whole)}
            yield name, figures | {"energy": verbs.energy(between, gap)}

    def _extend_x8(self, item: Item, truth: np.ndarray, index: int) -> Iterator[tuple[str, dict[str, float]]]:
        from misora.evals import verbs

        made = native(self.engine.extend(footage(truth), item.captions["en"], seconds=28, **self._wishes(index)))
        expected, rest = verbs.cast(truth), len(made) - len(truth)
        copy = verbs.joined(truth, verbs.repeated(truth, rest))
        for name, clip in {"": made, "tinted": verbs.tinted(made), "copy of the source": copy}.items():
            fresh = verbs.fresh(clip[len(truth) : len(truth) + 49], truth)
            yield name, {"drift": verbs.drift(clip), "cast": verbs.survival(clip, expected), "fresh": fresh}

    def _inpaint(self, item: Item, truth: np.ndarray, index: int) -> Iterator[tuple[str, dict[str, float]]]:
        from misora.evals import verbs

        box = (48, 32, 80, 48)
        made = native(self.engine.inpaint(footage(truth), "a green cone stands still", box=box, **self._wishes(index)))
        other = native(self.engine.remix(footage(truth), "a green cone stands still", strength=1.0, **self._wishes(index)))
        for name, clip in {"": made, "copy of the source": truth, "whole clip anew": other}.items():
            yield name, verbs.inside_and_out(clip, truth, box)

    def _storyboard(self, item: Item, truth: np.ndarray, index: int) -> Iterator[tuple[str, dict[str, float]]]:
        from misora.evals import verbs
        from misora.evals.judge import judge
        from misora.evals.parse import parse
        from misora.words.read import read

        colour = item.graph.things[0].colour
        sides = ("left", "right") if index % 2 else ("right", "left")
        prompts = [f"a {colour} ball rolls to the {side} on a wooden floor" for side in sides]
        board = {"cards": [{"prompt": prompt, "seconds": 3} for prompt in prompts]}
        made = native(self.engine.storyboard(board, size=SIZE, **self._wishes(index)))
        halves = (made[:36], made[36:])
        clips = {"": halves, "in the other order": halves[::-1], "frozen": tuple(verbs.frozen(half) for half in halves)}
        for name, shown in clips.items():
            right = []
            for prompt, half in zip(prompts, shown, strict=True):
                graph = read(prompt)
                assert graph
                right += judge(graph, parse(half))["direction"]
            yield name, {"events": float(all(right)), "energy": verbs.energy(verbs.joined(*shown), truth)}

    def _reference(self, item: Item, truth: np.ndarray, index: int) -> Iterator[tuple[str, dict[str, float]]]:
        from misora.evals import verbs

        other = self.truths[(index + 1) % len(self.truths)]
        prompt = "the same things again, on grass"
        for name, shown in {"": truth, "another scene's reference": other}.items():
            made = native(self.engine.generate(prompt, size=SIZE, references=(footage(shown),), **self._wishes(index)))
            yield name, {"cast": float(verbs.cast(made) == verbs.cast(truth)), "energy": verbs.energy(made, truth)}


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
