"""Whole runs: a recipe's name and a folder in, trained weights out; it knows nothing of the command line.

Every run leaves in its folder ``state.pt`` (to go on from), ``board/`` (TensorBoard: curves and sample sheets), the network as
``NAME.safetensors``, and a line in ``runs.jsonl`` with what it cost.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from misora.client.errors import UsageError
from misora.data.loader import Loader
from misora.model import checkpoint, weights
from misora.model.autoencoder import Autoencoder
from misora.model.transformer import Transformer
from misora.train.autoencoder import AutoencoderRecipe, Crops, Lessons, decoder, finish, measure_latents, train_autoencoder
from misora.train.autoencoder import tiny as tiny_autoencoder
from misora.train.cache import kinds_of, to_tensor
from misora.train.card import device_of
from misora.train.drafts import Drafts, drafts
from misora.train.log import Look
from misora.train.loop import Budget, leads, train
from misora.train.painter import PainterRecipe, sharpen, train_painter
from misora.train.painter import tiny as tiny_painter
from misora.train.painter_samples import painter_samples
from misora.train.pretrain import Pretrainer, PretrainRecipe
from misora.train.recipes import CONTINUING, HELD_OUT, RECIPES
from misora.train.samples import PROMPTS, draw_samples, sheet
from misora.train.text import ReadingConfig, accuracy, pretrain_text, save_text
from misora.words.graph import SceneGraph


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wish:
    """What the caller chose of a run. ``model``: where text encoder and autoencoder come from; ``begin``: the transformer to start from."""

    recipe: str = "tiny"
    minutes: float | None = None
    steps: int | None = None
    data: Path = Path()
    model: str = "embedded"
    begin: str | None = None
    device: str = "cpu"
    processes: int = 1
    cool: int | None = None  # the steps before the end over which the rates fall


WISHES = tuple(field.name for field in dataclasses.fields(Wish))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Footage:
    """What the autoencoder is shown: simulated clips, most of them common scenes, the others from the full mix."""

    clips: int
    frames: int
    size: tuple[int, int] = (96, 176)


AUTOENCODER_RECIPES: dict[str, tuple[Callable[[], AutoencoderRecipe], Footage]] = {
    "tiny": (tiny_autoencoder, Footage(clips=4, frames=13, size=(32, 48))),
    "night": (AutoencoderRecipe, Footage(clips=2000, frames=17)),
    "gpu": (AutoencoderRecipe, Footage(clips=4000, frames=17)),
    "decoder": (decoder, Footage(clips=2000, frames=17)),
    "finish": (finish, Footage(clips=1000, frames=49)),
}
PAINTER_RECIPES: dict[str, Callable[[], PainterRecipe]] = {"tiny": tiny_painter, "night": PainterRecipe, "sharpen": sharpen}


def autoencoder(folder: Path, wish: Wish) -> str:
    """Train an autoencoder from nothing, or go on; writes its running average with the latents' statistics. Returns a line about it.

    The recipes ``decoder`` and ``finish`` go on with the decoder of the wish's model: its latents keep their name.
    """
    if wish.recipe not in AUTOENCODER_RECIPES:
        raise UsageError(f"There is no recipe {wish.recipe!r} for the autoencoder; take one of {', '.join(AUTOENCODER_RECIPES)}.")
    wished_device(wish)  # before anything is simulated
    folder.mkdir(parents=True, exist_ok=True)
    _lessons(folder, wish)  # once, before several processes read them
    return _together(_autoencoder, folder, wish)


def _autoencoder(folder: Path, wish: Wish) -> str:
    make, footage = AUTOENCODER_RECIPES[wish.recipe]
    recipe = make() if wish.steps is None else dataclasses.replace(make(), steps=wish.steps)
    begin = weights.load_autoencoder(weights.folder_of(wish.model, ("autoencoder",)))[0] if recipe.decoder_only else None
    network = train_autoencoder(recipe, _lessons(folder, wish), folder, minutes=wish.minutes, begin=begin, device=wish.device)
    if not leads():
        return ""
    if begin is None:
        kinds = kinds_of((footage.frames - 1) / 12)
        pixels = simulated_pixels(folder / "pixels.npy", footage)
        measure_latents(network, ((to_tensor([clip]), kinds) for clip in pixels[:64]))
    path = folder / "autoencoder.safetensors"
    half = {name: tensor.to(torch.bfloat16) for name, tensor in network.state_dict().items()}
    checkpoint.save(path, half, dataclasses.asdict(network.config))
    write_record(folder, {"network": "autoencoder", "recipe": wish.recipe, "seed": recipe.seed, "hash": checkpoint.digest(path)})
    return f"{path}  hash {checkpoint.digest(path)[:12]}"


def _lessons(folder: Path, wish: Wish) -> Lessons:
    """What the recipe learns from, made anew where the folder does not hold it yet."""
    make, footage = AUTOENCODER_RECIPES[wish.recipe]
    recipe = make()
    if not recipe.drafted:
        return Crops([simulated_pixels(folder / "pixels.npy", footage)], recipe)
    model = weights.folder_of(wish.model)
    name = checkpoint.digest(model / "transformer.safetensors")[:8]
    path = folder / f"drafts-{name}.npy"
    return Drafts(drafts(path, footage.clips, model), recipe)


def simulated_pixels(path: Path, footage: Footage) -> npt.NDArray[np.uint8]:
    """Clips ``[n, t, h, w, 3]`` as a memory map; simulated when the file is not there yet."""
    if not path.exists():
        from misora.world.make import make_clip
        from misora.world.scenes import CORE, FULL

        def clip(seed: int) -> npt.NDArray[np.uint8]:
            mix = FULL if seed % 4 == 0 else CORE
            return make_clip(seed, mix, seconds=(footage.frames - 1) / 12, size=footage.size).frames

        beside = path.with_suffix(".part")
        with beside.open("wb") as file:
            np.save(file, np.stack([clip(seed) for seed in range(footage.clips)]))
        beside.replace(path)
    return np.load(path, mmap_mode="r")  # type: ignore[no-any-return]


def painter(folder: Path, wish: Wish) -> str:
    """Train a painter on what the model's autoencoder makes of simulated scenes, or go on. Returns a line about it."""
    if wish.recipe not in PAINTER_RECIPES:
        raise UsageError(f"There is no recipe {wish.recipe!r} for the painter; take one of {', '.join(PAINTER_RECIPES)}.")
    wished_device(wish)  # before anything is simulated
    recipe = PAINTER_RECIPES[wish.recipe]()
    recipe = recipe if wish.steps is None else dataclasses.replace(recipe, steps=wish.steps)
    model = weights.folder_of(wish.model, ("autoencoder",))
    begin = weights.load_painter(model) if recipe.goes_on else None
    if recipe.goes_on and begin is None:
        raise UsageError(f"{wish.model} has no painter that could go on; take --recipe night.")
    folder.mkdir(parents=True, exist_ok=True)
    autoencoder, hash = weights.load_autoencoder(model)
    servings = list(enumerate(footage for footage, _, _ in recipe.servings))
    arrays = [painter_samples(folder / f"x{one.scale:g}-{hash[:8]}.npy", one, autoencoder, seed=10_000 * n) for n, one in servings]
    network = train_painter(recipe, arrays, folder, minutes=wish.minutes, begin=begin, device=wish.device)
    path = folder / "painter.safetensors"
    half = {name: tensor.to(torch.bfloat16) for name, tensor in network.state_dict().items()}
    checkpoint.save(path, half, dataclasses.asdict(recipe.config))
    record = {"network": "painter", "recipe": wish.recipe, "seed": recipe.seed, "steps": recipe.steps, "autoencoder": hash}
    write_record(folder, record | {"hash": checkpoint.digest(path)})
    return f"{path}  hash {checkpoint.digest(path)[:12]}"


def text(folder: Path, wish: Wish) -> str:
    """Teach a text encoder to read; writes ``text.safetensors``. Returns a line about the result."""
    from misora.world.scenes import CORE, FULL, STILL, sample_graph

    def graphs(rng: np.random.Generator) -> SceneGraph:
        return sample_graph(rng, (CORE, FULL, STILL)[int(rng.integers(3))])

    folder.mkdir(parents=True, exist_ok=True)
    config = ReadingConfig(steps=wish.steps or ReadingConfig.steps)
    encoder, heads = pretrain_text(graphs, config, report=lambda step, loss, apart: print(f"step {step}  loss {loss:.3f}", flush=True))
    save_text(encoder, folder / "text.safetensors")
    scores = accuracy(encoder, heads, graphs, dataclasses.replace(config, seed=config.seed + 1), batches=4)
    write_record(folder, {"network": "text", "seed": config.seed, **scores})
    return f"{folder / 'text.safetensors'}  " + "  ".join(f"{name} {value:.4f}" for name, value in scores.items())


def transformer(folder: Path, wish: Wish) -> str:
    """Train, or go on training, a transformer; writes its running average. Returns a line about the result."""
    wished_device(wish)
    return _together(_transformer, folder, wish)


def wished_device(wish: Wish) -> torch.device:
    """The device to compute on. Raises UsageError where it is not there, and for several processes beside a card: they share cores."""
    device = device_of(wish.device)
    if wish.processes > 1 and device.type != "cpu":
        raise UsageError(f"Several processes share the cores of a CPU; leave --processes out beside --device {wish.device}.")
    return device


def _together(job: Callable[[Path, Wish], str], folder: Path, wish: Wish) -> str:
    """Do a job in as many processes as wished for, which meet through a file; returns the line about it.

    On a CPU each core is a process of its own that computes its part of every batch: sharing gradients costs less than threads
    that wait for each other after every layer.
    """
    if wish.processes == 1:
        return job(folder, wish)
    with tempfile.TemporaryDirectory() as meet:
        spawn(_one_of_several, (job, folder, wish, f"file://{meet}/meet"), nprocs=wish.processes)  # type: ignore[no-untyped-call]
    return f"{folder}  done by {wish.processes} processes"


def _one_of_several(rank: int, job: Callable[[Path, Wish], str], folder: Path, wish: Wish, meet: str) -> None:
    take_cores(rank, wish.processes)
    dist.init_process_group("gloo", init_method=meet, rank=rank, world_size=wish.processes)
    job(folder, wish)


def take_cores(rank: int, processes: int) -> None:
    """Bind this one of several processes to its share of the cores, and give it as many threads.

    Unbound, two that must wait for each other end up on one core where other programs run (measured: LOG.md).
    """
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[rank::processes] or cores)


def recipe_of(wish: Wish) -> PretrainRecipe:
    """The transformer's recipe as wished for. Raises UsageError."""
    if wish.recipe not in RECIPES:
        raise UsageError(f"There is no recipe {wish.recipe!r} for the transformer; take one of {', '.join(RECIPES)}.")
    if wish.cool is None:
        return RECIPES[wish.recipe]()
    if wish.steps is None or not 1 <= wish.cool <= wish.steps:
        raise UsageError("Rates can fall only towards a known end; give --steps beside --cool, and not more steps to --cool than those.")
    return dataclasses.replace(RECIPES[wish.recipe](), last=wish.steps, cooldown=wish.cool)


def _transformer(folder: Path, wish: Wish) -> str:
    recipe, device = recipe_of(wish), wished_device(wish)
    model = weights.folder_of(wish.model, ("autoencoder", "text"))
    autoencoder, hash = weights.load_autoencoder(model)
    recipe = dataclasses.replace(recipe, config=dataclasses.replace(recipe.config, channels=autoencoder.config.channels))
    loader = Loader(wish.data, recipe.servings, seed=recipe.seed)
    if loader.autoencoder != hash:
        raise UsageError(f"The latents in {wish.data} were made by another autoencoder than {wish.model}'s; make them again.")
    held_out = Loader(wish.data, (HELD_OUT,), seed=0, empty=0.0) if (wish.data / HELD_OUT.folder).is_dir() else None
    learner = Pretrainer(recipe, loader, weights.load_text(model), wish.device, held_out)
    begin = wish.begin or (wish.model if wish.recipe in CONTINUING else None)
    if begin is not None and not (folder / "state.pt").exists():
        learner.begin_from(checkpoint.load(weights.folder_of(begin, ("transformer",)) / "transformer.safetensors")[0])
    learner.look_at = lambda network: _look(learner, network, autoencoder.to(device))
    started = time.monotonic()
    steps = train(learner, folder, Budget(steps=wish.steps, minutes=wish.minutes))
    if not leads():
        return ""
    path = folder / "transformer.safetensors"
    average = {name: tensor.to(torch.bfloat16) for name, tensor in learner.average.state_dict().items()}
    checkpoint.save(path, average, dataclasses.asdict(recipe.config))
    write_record(folder, _record(learner, wish, hash, steps, time.monotonic() - started))
    return f"{path}  {learner.samples} samples, {steps} steps"


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Append one line to the folder's ``runs.jsonl``."""
    with (folder / "runs.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def _record(learner: Pretrainer, wish: Wish, autoencoder: str, steps: int, seconds: float) -> dict[str, Any]:
    """What a run cost and how it stands."""
    return {
        "network": "transformer",
        "recipe": wish.recipe,
        "seed": learner.recipe.seed,
        "steps": steps,
        "samples": learner.samples,
        "flops": learner.flops,
        "seconds": round(seconds),
        "autoencoder": autoencoder,
        "held_out_loss": None if learner.held_out is None else learner.held_out_loss(),
    }


@torch.no_grad()
def _look(learner: Pretrainer, network: Transformer, autoencoder: Autoencoder) -> Look:
    """The held-out loss and a sheet of samples, short ones: while the first process draws them the others wait."""
    kinds = min(6, max(serving.frames for serving in learner.recipe.servings))
    h, w = learner.loader.batch(0).latents.shape[-2:]
    clips = draw_samples(network, autoencoder, learner.text, PROMPTS, kinds="S" + "G" * (kinds - 1), size=(8 * h, 8 * w), steps=5)
    return Look(figures={"held-out loss": learner.held_out_loss()}, sheets={"samples": sheet(clips)})
