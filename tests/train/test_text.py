"""The text encoder learns to read in seconds, and its budget is kept."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import numpy as np
import torch

from misora.model import checkpoint
from misora.model.text import TextConfig, TextEncoder
from misora.train.text import Heads, ReadingConfig, accuracy, loss_of, pretrain_text, save_text, text_config
from misora.words.graph import COLOURS, SHAPES, Card, SceneGraph, Thing
from misora.words.known import lexicon
from misora.words.labels import CLASSES

TINY = ReadingConfig(steps=51, pairs=8, warm_up=5, rate=5e-3, noise=0.0, nothing=0.0)


def lone_things(rng: np.random.Generator) -> SceneGraph:
    """One of four red and blue things."""
    thing = Thing(colour=COLOURS[int(rng.integers(2)) * 5], shape=SHAPES[int(rng.integers(2))])
    return SceneGraph(things=(thing,), cards=(Card(start=0, end=4, acts=()),))


def test_the_embedded_encoder_is_within_its_budget() -> None:
    encoder = TextEncoder(text_config())
    assert sum(p.numel() for p in encoder.parameters()) <= 1_000_000
    assert set(lexicon()) <= set(encoder.config.vocabulary)


def test_every_label_is_asked_of_some_slot() -> None:
    asked = {index: logits.shape[-1] for index, logits in Heads(256)(torch.zeros(1, 24, 256))}
    assert asked == dict(enumerate(CLASSES))


def test_two_equal_wordings_are_no_distance_apart() -> None:
    encoder = TextEncoder(TextConfig(vocabulary=("a",), width=32, depth=1, slot_depth=1))
    tokens = torch.tensor([[1, 258], [1, 258]])
    assert loss_of(encoder, Heads(256), tokens, torch.zeros(1, len(CLASSES), dtype=torch.long), 1.0)[1] < 1e-10


def test_reading_is_learned_and_saved(tmp_path: Path) -> None:
    small = dataclasses.replace(text_config(), width=32, depth=1, slot_depth=1)
    losses: list[float] = []
    encoder, heads = pretrain_text(lone_things, TINY, model=small, report=lambda step, loss, apart: losses.append(loss))
    assert losses[-1] < losses[0] / 4
    assert accuracy(encoder, heads, lone_things, dataclasses.replace(TINY, seed=1), 2)["labels"] > 0.9
    save_text(encoder, tmp_path / "text.safetensors")
    tensors, config = checkpoint.load(tmp_path / "text.safetensors")
    again = TextEncoder.from_config(config).eval()
    checkpoint.load_into(again, tensors)
    text = random.Random(0).choice(["a red ball", "青い立方体"])
    assert torch.equal(again.encode([text]), encoder.encode([text]))
