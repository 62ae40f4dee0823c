"""``misora models``: which weights are here and what they are; it knows nothing of how they are used."""

from __future__ import annotations

import argparse
import json
from typing import Any


def add_parser(verbs: Any) -> None:
    """Add the verb, its two actions and their flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("models", help="list the weights, or show what one model is")
    actions = parser.add_subparsers(dest="action", metavar="list|show", required=True)
    listing = actions.add_parser("list", help="the models that are here")
    listing.set_defaults(run=run_list, computes=False)
    show = actions.add_parser("show", help="one model's networks, checked, and its training record")
    show.add_argument("name", nargs="?", default="embedded", metavar="NAME|FOLDER", help="embedded (default) or a folder")
    show.set_defaults(run=run_show, computes=False)


def run_list(args: argparse.Namespace) -> None:
    """Print each model's name and size. Raises CheckpointError."""
    from misora.model.weights import FILES, folder_of

    folder = folder_of("embedded")
    size = sum((folder / f"{name}.safetensors").stat().st_size for name in FILES)
    print(f"embedded  {folder.name}  {size / 1e6:.1f} MB")


def run_show(args: argparse.Namespace) -> None:
    """Print one model's networks and its training record, after checking every hash. Raises CheckpointError."""
    from misora.model import checkpoint
    from misora.model.weights import FILES, folder_of

    folder = folder_of(args.name)
    for name in FILES:
        path = folder / f"{name}.safetensors"
        tensors, _ = checkpoint.load(path)
        count = sum(tensor.numel() for tensor in tensors.values())
        print(f"{name}: {count / 1e6:.2f} M parameters, {path.stat().st_size / 1e6:.1f} MB")
    record = folder / "record.json"
    if record.is_file():
        print(json.dumps(json.loads(record.read_text("utf-8")), indent=2, ensure_ascii=False))
