"""A whole clip, prompt to pixels, on a small random Wan: ours and diffusers' pipeline in turn; it knows nothing of what is in the picture.

    python -m bench.pipeline [--rounds 2] [--steps 4]

Each run is a process of its own that reads the same folder, draws once to warm up and once on the clock, each time a new prompt and the
same number of frames. Prints the medians of both clocks and of the processors' time, the ratios, and the fullest moment of each process.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from bench.memory import SHAPES, most, write
from misora.model.hub import extra
from misora.model.weights import WanWeights, fast_dtype, open_weights
from misora.render.request import FRAME_RATE, Request

SHAPE = SHAPES[1]
FRAMES, GUIDANCE = SHAPE["frames"], 5.0
PROMPTS = ("a red ball", "a ball a red")


def ours(folder: str, steps: int) -> Callable[[str], int]:
    """Draws a prompt's clip with Misora and says how many frames it has."""
    from misora.render.wan import render_wan

    weights = open_weights(folder)
    assert isinstance(weights, WanWeights)
    size = f"{SHAPE['w']}x{SHAPE['h']}"
    seconds = math.floor(FRAMES / weights.rate * FRAME_RATE) / FRAME_RATE  # no more than so many drawn frames

    def draw(prompt: str) -> int:
        request = Request(prompt=prompt, negative="ball", seconds=seconds, size=size, steps=steps, guidance=GUIDANCE, seed=1)
        return sum(1 for _ in render_wan(request, weights, lambda stage, done, of: None).native)

    return draw


def theirs(folder: str, steps: int) -> Callable[[str], int]:
    """Draws it with diffusers, transformer in bfloat16 where the processor multiplies in it."""
    diffusers = extra("diffusers")
    parts = {"tokenizer": extra("transformers").AutoTokenizer.from_pretrained(f"{folder}/tokenizer")}
    parts["text_encoder"] = extra("transformers").UMT5EncoderModel.from_pretrained(f"{folder}/text_encoder", dtype=fast_dtype())
    parts["vae"] = diffusers.AutoencoderKLWan.from_pretrained(f"{folder}/vae")
    parts["transformer"] = _transformer(diffusers, Path(folder) / "transformer")
    parts["scheduler"] = diffusers.UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    pipeline = diffusers.WanPipeline(**parts)
    pipeline.set_progress_bar_config(disable=True)
    sizes = {"height": SHAPE["h"], "width": SHAPE["w"], "num_frames": FRAMES, "num_inference_steps": steps}

    def draw(prompt: str) -> int:
        with torch.no_grad():
            made = pipeline(prompt=prompt, negative_prompt="ball", guidance_scale=GUIDANCE, output_type="pt", **sizes)
        return int(made.frames.shape[1])

    return draw


def _transformer(diffusers: Any, folder: Path) -> Any:
    """As its own loader makes it with accelerate installed: bfloat16 as it lies in the files, its exact parts in float32."""
    with torch.device("meta"):
        network = diffusers.WanTransformer3DModel.from_config(diffusers.WanTransformer3DModel.load_config(folder))
        ropes = diffusers.models.transformers.transformer_wan.WanRotaryPosEmbed
    config = network.config
    network.rope = ropes(config.attention_head_dim, config.patch_size, config.rope_max_seq_len)
    state = {name: tensor for path in folder.glob("*.safetensors") for name, tensor in load_file(path).items()}
    network.load_state_dict(state, assign=True)
    for name, weight in network.named_parameters():
        exact = any(word in name for word in network._keep_in_fp32_modules)
        weight.data = weight.data.to(torch.float32 if exact else fast_dtype())
    return network.eval()


def child(who: str, folder: str, steps: int) -> None:
    """One run; prints its seconds and the fullest moment in bytes."""
    warnings.simplefilter("ignore")
    draw = {"ours": ours, "diffusers": theirs}[who](folder, steps)
    draw(PROMPTS[0])
    began, worked = time.perf_counter(), time.process_time()
    drawn = draw(PROMPTS[1])
    took = {"seconds": time.perf_counter() - began, "processor": time.process_time() - worked}
    assert drawn == FRAMES, f"{who} drew {drawn} frames"
    print(json.dumps(took | {"bytes": most()}))


def measure(who: str, folder: Path, steps: int) -> dict[str, float]:
    """A run in a process of its own."""
    order = [sys.executable, "-m", "bench.pipeline", "--child", who, "--folder", str(folder / "model"), "--steps", str(steps)]
    environment = {**os.environ, "HF_HOME": tempfile.mkdtemp(dir=folder), "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(order, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--child", choices=["ours", "diffusers"])
    parser.add_argument("--folder")
    options = parser.parse_args()
    if options.child:
        child(options.child, options.folder, options.steps)
        return
    with tempfile.TemporaryDirectory() as folder:
        write(SHAPE, Path(folder) / "model")
        runs = [{who: measure(who, Path(folder), options.steps) for who in ("ours", "diffusers")} for _ in range(options.rounds)]
    middle = {who: {clock: statistics.median(run[who][clock] for run in runs) for clock in ("seconds", "processor")} for who in runs[0]}
    for who, took in middle.items():
        fullest = max(run[who]["bytes"] for run in runs) / 1e9
        print(f"{who:10} {took['seconds']:6.2f} s   processor {took['processor']:6.2f} s   peak memory {fullest:.2f} GB")
    ratios = {clock: middle["diffusers"][clock] / middle["ours"][clock] for clock in middle["ours"]}
    print(f"ratio {ratios['seconds']:.2f}   of the processor's time {ratios['processor']:.2f}")


if __name__ == "__main__":
    main()
