"""Puts the trained networks together as the weights that travel in the package, with their record.

    python -m runs.release MODEL RUN OUT [--beside EARLIER --share 0.6]

MODEL holds autoencoder.safetensors, text.safetensors and, if there is one, painter.safetensors; RUN is the transformer's run, OUT becomes
the release (misora/weights/v1). With --beside the transformer is the mean of two runs, of which the second began where the first ended: it
keeps what each of them does better (arXiv:2203.05482; measured: LOG.md).
Matrices and kernels are stored in int8 with a scale a row, vectors in bfloat16: the installation has a size to keep. Of the autoencoder
only the decoder's deep half is: its encoder may not change, and the decoder's last layers would lose .3 dB.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from misora.model import checkpoint


def main() -> None:
    """Pack and print the sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "run", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--beside", type=Path, metavar="EARLIER", help="a folder with a transformer.safetensors to take the mean with")
    parser.add_argument("--share", type=float, default=0.5, metavar="X", help="RUN's share of that mean (default: 0.5)")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    painter = [("painter", args.model)] if (args.model / "painter.safetensors").exists() else []
    for name, folder in (("autoencoder", args.model), ("text", args.model), ("transformer", args.run), *painter):
        source, target = folder / f"{name}.safetensors", args.out / f"{name}.safetensors"
        tensors, config = checkpoint.load(source)
        if name == "transformer" and args.beside:
            earlier, _ = checkpoint.load(args.beside / "transformer.safetensors")
            tensors = {key: args.share * tensor.float() + (1 - args.share) * earlier[key].float() for key, tensor in tensors.items()}
        half = {key: tensor.to(torch.bfloat16) for key, tensor in tensors.items()}
        checkpoint.save(target, half, config, int8=("decoder.deep.",) if name == "autoencoder" else True)
        print(f"{target}  {target.stat().st_size / 1e6:.1f} MB  {checkpoint.digest(target)[:12]}")
    runs = [json.loads(line) for folder in (args.model, args.run) for line in _lines(folder / "runs.jsonl")]
    (args.out / "record.json").write_text(json.dumps({"runs": runs}, indent=1) + "\n", "utf-8")


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines() if path.exists() else []


if __name__ == "__main__":
    main()
