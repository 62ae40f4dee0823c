"""The memory planner's word against the memory that a clip then took, on random Wan weights of five shapes; it knows no real weights.

    python -m bench.memory [--shape 0] [--blocks]

Each shape is drawn by a process of its own, whose fullest moment the system tells. ``--blocks`` allows too little for the whole network.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch

from misora.model.hub import extra

HEAD = 128
SHAPES: list[dict[str, int]] = [  # width, depth, sides and frames of the clip, first channels of the autoencoder
    {"width": 512, "depth": 4, "w": 832, "h": 480, "frames": 9, "base": 16},
    {"width": 768, "depth": 8, "w": 416, "h": 240, "frames": 17, "base": 16},
    {"width": 1024, "depth": 6, "w": 256, "h": 256, "frames": 5, "base": 16},
    {"width": 256, "depth": 2, "w": 832, "h": 480, "frames": 5, "base": 32},
    {"width": 1536, "depth": 4, "w": 320, "h": 192, "frames": 5, "base": 16},
]
WORDS = ["<pad>", "</s>", "<unk>", "a", "red", "ball"]


def write(shape: dict[str, int], folder: Path) -> Path:
    """Random weights of a shape in diffusers' layout."""
    heads = shape["width"] // HEAD
    sizes = {"num_attention_heads": heads, "attention_head_dim": HEAD, "text_dim": 256, "ffn_dim": 4 * shape["width"]}
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        diffusers, transformers, tokenizers = (extra(name) for name in ("diffusers", "transformers", "tokenizers"))
        transformer = diffusers.WanTransformer3DModel(num_layers=shape["depth"], in_channels=16, out_channels=16, **sizes)
        transformer.to(torch.bfloat16).save_pretrained(folder / "transformer")
        diffusers.AutoencoderKLWan(base_dim=shape["base"]).save_pretrained(folder / "vae")
        config = transformers.UMT5Config(vocab_size=len(WORDS), d_model=256, d_kv=32, d_ff=512, num_layers=2, num_heads=8)
        transformers.UMT5EncoderModel(config).save_pretrained(folder / "text_encoder")
        inner = tokenizers.Tokenizer(tokenizers.models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
        inner.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
        made = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
        made.save_pretrained(folder / "tokenizer")
    return folder


def most() -> int:
    """The fullest moment of this process so far, in bytes."""
    rows = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return 1024 * int(rows["VmHWM"].split()[0])


def now() -> int:
    """What this process has in memory, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def child(shape: dict[str, int], folder: str, blocks: bool) -> None:
    """Open, plan, draw one step, deliver; print what was said and what was taken."""
    from misora.model import memory, weights
    from misora.render import wan as drawing
    from misora.render.request import FRAME_RATE, Request

    opened = weights.open_weights(folder)
    assert isinstance(opened, weights.WanWeights)
    request = Request(prompt="a red ball", seconds=shape["frames"] / FRAME_RATE, size=f"{shape['w']}x{shape['h']}", steps=1, seed=1)
    told: list[Any] = []
    real = memory.plan

    def plan(*args: Any, **kwargs: Any) -> memory.Plan:
        cost = memory.tried(opened)
        began = now()
        made = real(*args, **kwargs, cost=cost)
        if blocks:
            limit = made.needs - 2 * cost.block
            made = real(*args, **kwargs | {"limit": limit}, cost=cost)
        told.append((made, began))
        return made

    memory.plan = plan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        film = drawing.render_wan(request, opened, lambda stage, done, of: None)
        with tempfile.TemporaryDirectory() as out:
            film.save(Path(out) / "clip.mp4")
    made, began = told[0]
    print(json.dumps({"before": began, "planned": began + made.needs, "taken": most(), "whole": made.whole, "slower": made.slower}))


def measure(shape: dict[str, int], *, blocks: bool = False) -> dict[str, float]:
    """What a process of its own planned and took for a shape, in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        write(shape, Path(folder) / "model")
        order = [sys.executable, "-m", "bench.memory", "--child", json.dumps(shape), "--folder", f"{folder}/model"]
        environment = {**os.environ, "HF_HOME": folder, "PYTHONPATH": str(Path(__file__).parents[1])}
        done = subprocess.run([*order, *(["--blocks"] if blocks else [])], capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            raise SystemExit(done.stderr)
        return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description="The memory planner's word against what was taken.")
    parser.add_argument("--shape", type=int, choices=range(len(SHAPES)))
    parser.add_argument("--blocks", action="store_true")
    parser.add_argument("--child")
    parser.add_argument("--folder")
    options = parser.parse_args()
    if options.child:
        child(json.loads(options.child), options.folder, options.blocks)
        return
    for shape in SHAPES if options.shape is None else [SHAPES[options.shape]]:
        found = measure(shape, blocks=options.blocks)
        planned, taken, before = (found[name] / 1e6 for name in ("planned", "taken", "before"))
        print(f"{shape}  before {before:.0f} MB  planned {planned:.0f} MB  taken {taken:.0f} MB  {planned / taken - 1:+.1%}", flush=True)


if __name__ == "__main__":
    main()
