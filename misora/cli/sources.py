"""Where measured clips come from: the world, what the autoencoder leaves of it, and a model; it knows nothing of scores or tables."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING

from misora.client.errors import GenerationError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from misora.evals.prompts import Item
    from misora.evals.takes import Job, Takes
    from misora.model.weights import WanWeights, Weights
    from misora.words.graph import SceneGraph

SIZE = (96, 176)  # native height and width
SECONDS = 4.0
TRIES = 10  # seeds after which the simulator gives a scene up
SHEET = 10  # prompts whose frames are kept for the contact sheet


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clips:
    """What a job of ``misora evals prompt`` asks for, drawn and judged; it travels to worker processes."""

    model: str
    steps: int
    guidance: float
    speed: str
    reference: str  # the source of jobs that the world draws
    drawing: str  # the source of jobs that the model draws
    kept: Path  # the folder for the frames of the contact sheet

    def __call__(self, job: Job) -> Takes:
        """The rows of a job: the world's clip as it is and after the autoencoder, or the model's, for the first seed also held."""
        from misora.evals.prompt import take
        from misora.evals.takes import keep_frames

        item, about = _items()[job.index], (job.index, job.language, job.seed)
        if job.source == self.reference:
            frames = simulator(item)
            return {"simulator": take(frames, *about), "autoencoder": take(reconstruction(_weights(self.model), frames), *about)}
        frames = self.draw(item, job.language, job.seed)
        if (job.language, job.seed) != ("en", 0):
            return {"model": take(frames, *about)}
        if job.index < SHEET:
            keep_frames(self._path(job.index), frames)
        return {"model": take(frames, *about), "frozen first frame": take(frames[:1], *about)}  # held or alone, it shows the same

    def draw(self, item: Item, language: str, seed: int) -> np.ndarray:
        """The model's clip at native size, as ``misora generate`` draws it: uint8 [t, h, w, 3]."""
        import torch

        from misora.render.render import render
        from misora.render.request import Request

        request = Request(prompt=item.captions[language], seed=seed, steps=self.steps, guidance=self.guidance, speed=self.speed)
        return to_bytes(torch.stack(list(render(request, _weights(self.model)).native)))

    def shown(self, index: int) -> np.ndarray:
        """The clip of one of the first prompts, seed 0, for the contact sheet; drawn again where it was not kept."""
        from misora.evals.takes import keep_frames, kept_frames

        path = self._path(index)
        if not path.exists():
            keep_frames(path, self.draw(_items()[index], "en", 0))
        return kept_frames(path)

    def _path(self, index: int) -> Path:
        return self.kept / f"{self.drawing.replace(' ', '-')}-{index:02}.npy"


def prompt_clips(model: str, steps: int, guidance: float, kept: Path, speed: str = "exact") -> Clips:
    """The clips of a model, their sources named after the weights and the code that they depend on. Raises CheckpointError."""
    import misora
    from misora.evals.takes import fingerprint, parser_files
    from misora.model.checkpoint import digest
    from misora.model.weights import folder_of

    room, folder = Path(misora.__file__).parent, folder_of(model).resolve()
    hashes = {name: digest(folder / f"{name}.safetensors") for name in ("autoencoder", "transformer", "text")}
    world = fingerprint(hashes["autoencoder"], *parser_files(), *(room / name for name in ("model", "words", "world")))
    rooms = (room / name for name in ("canvas", "flow", "model", "render", "words"))
    drawing = fingerprint(*hashes.values(), *parser_files(), *rooms)
    named = f"model {drawing} {steps} {guidance:g}" + (f" {speed}" if speed != "exact" else "")
    return Clips(model=str(folder), steps=steps, guidance=guidance, speed=speed, kept=kept, reference=f"world {world}", drawing=named)


def samples_of(model: str) -> int:
    """How many samples a model's transformer has been trained on, by the record beside it; 0 where there is none."""
    from misora.model.weights import folder_of

    folder = folder_of(model)
    packed, grown = folder / "record.json", folder / "runs.jsonl"  # of weights that were released, of a training run
    runs = json.loads(packed.read_text("utf-8"))["runs"] if packed.exists() else []
    runs += [json.loads(line) for line in grown.read_text("utf-8").splitlines()] if grown.exists() else []
    return max((int(run.get("samples", 0)) for run in runs if run.get("network") == "transformer"), default=0)


def simulator(item: Item) -> np.ndarray:
    """The world's own clip of an item: the ceiling. Needs the extra ``world``."""
    return staged(item.graph, item.captions["en"])


def staged(graph: SceneGraph, prompt: str, seconds: float | None = None) -> np.ndarray:
    """The world's own clip of a scene, as long as its cards or as asked: uint8 [t, h, w, 3]. Raises GenerationError with its ``prompt``."""
    from misora.world.make import Unstageable, render_graph

    for again in range(TRIES):
        try:
            return render_graph(graph, 10 * again, size=SIZE, seconds=seconds).frames
        except Unstageable:
            continue
    raise GenerationError(f"The simulator cannot stage this prompt: {prompt}")


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


@functools.lru_cache(maxsize=1)
def _weights(model: str) -> Weights:
    from misora.model.weights import load_weights

    return load_weights(model)


@functools.cache
def _items() -> list[Item]:
    from misora.evals.prompts import read_items

    return read_items()
