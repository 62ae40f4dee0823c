"""``misora evals``: measured figures of a model, each beside its controls; it knows nothing of how a clip is judged."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misora.cli import evals_verbs
from misora.client.errors import GenerationError, MissingExtraError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from misora.evals.prompt import Source
    from misora.evals.prompts import Item
    from misora.model.weights import WanWeights, Weights

SIZE = (96, 176)  # native height and width
SECONDS = 4.0
TRIES = 10  # seeds after which the simulator gives a scene up


def add_parser(verbs: Any) -> None:
    """Add the verb, its action and their flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("evals", help="measure a model on prompts that training never saw")
    actions = parser.add_subparsers(dest="action", metavar="prompt|verbs", required=True)
    action = actions.add_parser("prompt", help="does the clip show what the held-out prompt says?")
    action.add_argument("--model", default="embedded", metavar="NAME|FOLDER", help="the weights to measure (default: embedded)")
    action.add_argument("--out", type=Path, default=Path("evals"), metavar="FOLDER", help="table, JSON and contact sheet (default: evals)")
    action.add_argument("--prompts", type=int, metavar="N", help="only the first N of the list (default: all)")
    action.add_argument("--seeds", type=int, default=1, metavar="N", help="seeds 0 to N-1 of each prompt, 1 to 10 (default: 1)")
    action.add_argument("--steps", type=int, default=5, metavar="N", help="sampling steps of a frame (default: 5)")
    action.add_argument("--guidance", type=float, default=3.0, metavar="X", help="how closely to follow the prompt (default: 3)")
    action.set_defaults(run=run, computes=True)
    evals_verbs.add_action(actions)


def run(args: argparse.Namespace) -> None:
    """Measure every row, print the table and write the report. Raises MisoraError."""
    try:
        from misora.evals import prompt, report
        from misora.evals.prompts import read_items
    except ModuleNotFoundError as error:
        raise MissingExtraError("Measuring needs more packages; run `pip install 'misora[train]'`.") from error
    from rich.console import Console

    from misora.model.weights import load_weights

    items = read_items()[: args.prompts]
    if not items or not 1 <= args.seeds <= 10:
        raise UsageError("Ask for at least one prompt and for 1 to 10 seeds.")
    weights = load_weights(args.model)
    model = model_source(weights, args.steps, args.guidance)
    takes = {name: list(found) for name, found in _takes(items, weights, model, range(args.seeds))}
    reference = takes["simulator"]
    takes["shuffled prompts"] = prompt.shuffled(takes["model"], len(items))
    rows = [prompt.score(name, items, found, reference) for name, found in takes.items()]
    for language in ("en", "ja"):
        rows.append(prompt.score(f"model, {language}", items, [take for take in takes["model"] if take.language == language], reference))
    Console(width=160).print(report.table(rows))
    report.write_report(args.out, rows, model=args.model, prompts=len(items), seeds=args.seeds, steps=args.steps, guidance=args.guidance)
    _write_sheet(args.out, items[:10], model)
    print(f"{args.out}  {len(items)} prompts, {args.seeds} seeds, both languages")


def _takes(items: list[Item], weights: Weights, model: Source, seeds: range) -> Iterator[tuple[str, Any]]:
    """The name of each row that is drawn, and its judged clips."""
    from misora.evals import prompt

    yield "simulator", prompt.take_all(items, simulator, ("en",), (0,))
    through: Source = lambda item, language, seed: reconstruction(weights, simulator(item, language, seed))
    yield "autoencoder", prompt.take_all(items, through, ("en",), (0,))
    yield "frozen first frame", prompt.take_all(items, prompt.frozen(model), ("en",), (0,))
    yield "model", prompt.take_all(items, model, ("en", "ja"), seeds)


def simulator(item: Item, language: str, seed: int) -> np.ndarray:
    """The world's own clip of an item: the ceiling. Needs the extra ``world``."""
    from misora.world.make import Unstageable, render_graph

    for again in range(TRIES):
        try:
            return render_graph(item.graph, seed + 10 * again, seconds=SECONDS, size=SIZE).frames
        except Unstageable:
            continue
    raise GenerationError(f"The simulator cannot stage this prompt: {item.captions[language]}")


def model_source(weights: Weights, steps: int, guidance: float) -> Source:
    """The model's clips at native size, as ``misora generate`` draws them; those of seed 0 are kept: several rows show them."""
    import torch

    from misora.render.render import render
    from misora.render.request import Request

    kept: dict[str, np.ndarray] = {}

    def draw(item: Item, language: str, seed: int) -> np.ndarray:
        prompt = item.captions[language]
        if seed == 0 and prompt in kept:
            return kept[prompt]
        video = render(Request(prompt=prompt, seed=seed, steps=steps, guidance=guidance), weights)
        frames = to_bytes(torch.stack(list(video.native)))
        if seed == 0:
            kept[prompt] = frames
        return frames

    return draw


def reconstruction(weights: Weights | WanWeights, frames: np.ndarray) -> np.ndarray:
    """What is left of a clip after the autoencoder."""
    import torch

    from misora.model.autoencoder import GROUP

    kinds = "S" + "G" * ((len(frames) - 1) // GROUP)
    pixels = torch.from_numpy(frames).permute(3, 0, 1, 2)[None].to(weights.dtype) / 127.5 - 1  # 1 3 t h w
    with torch.inference_mode():
        made = weights.autoencoder.decode(weights.autoencoder.encode(pixels, kinds).to(weights.dtype), kinds)  # 1 3 t h w
    return to_bytes(made[0].transpose(0, 1))


def to_bytes(frames: Tensor) -> np.ndarray:
    """Frames [t, 3, h, w] in -1..1 as uint8 [t, h, w, 3]."""
    import torch

    return frames.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def _write_sheet(out: Path, items: list[Item], model: Source) -> None:
    """The first ten prompts, seed 0, nothing picked: ``ten.png``, ``ten.gif`` in motion, and ``ten.md`` that says what each should show."""
    import torch

    from misora.evals.report import sheet_legend
    from misora.media.sheet import contact_sheet
    from misora.media.write import write_image, write_video

    clips = [torch.from_numpy(model(item, "en", 0)) for item in items]
    write_image(out / "ten.png", contact_sheet(clips, columns=7, gap=2))
    columns = [torch.cat(clips[start : start + 2], dim=2) for start in range(0, len(clips) - 1, 2)]  # t h 2w 3 each
    write_video(out / "ten.gif", torch.cat(columns or clips, dim=1), 12.0)
    (out / "ten.md").write_text(sheet_legend([item.captions["en"] for item in items], "ten.png"), "utf-8")
