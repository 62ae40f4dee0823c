"""Tiny random networks of the real classes in a folder, for tests of everything that stands on them; it knows nothing of training."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from misora.model import checkpoint
from misora.model.autoencoder import Autoencoder, AutoencoderConfig
from misora.model.sizes import SIZES
from misora.model.text import TextConfig, TextEncoder
from misora.model.transformer import Transformer


def write_weights(folder: Path) -> Path:
    """Write the three files of a model to ``folder``; the same weights every time."""
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        autoencoder = Autoencoder(AutoencoderConfig(near=16, deep=16, frame=16))
        transformer = Transformer(SIZES["tiny"])
        for weight in transformer.parameters():
            if not weight.any():  # a network about to be trained starts with zeros that make it ignore the prompt
                torch.nn.init.normal_(weight, std=0.1)
        text = TextEncoder(TextConfig(vocabulary=("a", "red", "blue", "ball", "cube", "rolls"), width=32, depth=1))
    networks = {"autoencoder": autoencoder, "transformer": transformer, "text": text}
    for name, network in networks.items():
        checkpoint.save(folder / f"{name}.safetensors", network.state_dict(), dataclasses.asdict(network.config))
    return folder


def random_transformer() -> Transformer:
    """A tiny transformer in which every weight counts; the same each time."""
    torch.manual_seed(0)
    made = Transformer(SIZES["tiny"])
    with torch.no_grad():
        for weight in made.parameters():
            weight.normal_(std=0.08)
    return made
