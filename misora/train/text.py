"""Teaches the text encoder to read by asking it what each caption said; it knows nothing of video.

Each told fact is a question to one slot: four slots a thing (all of it, its look, its deed, its place), then floor, light and style,
camera, count and order. Two wordings of the same facts, mostly one English and one Japanese, are also pulled to the same slots.
The heads that answer are dropped afterwards.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset

from misora.model import checkpoint
from misora.model.text import PAD, TextConfig, TextEncoder, Tokenizer
from misora.train.muon import Muon
from misora.words.graph import SceneGraph
from misora.words.known import lexicon
from misora.words.labels import CLASSES, SCENERY_CLASSES, THING_CLASSES, THINGS, labels
from misora.words.tell import Language, tell, word

Graphs = Callable[[np.random.Generator], SceneGraph]
PUNCTUATION = tuple(".,;:!?、。「」0123456789")
POOL = 8  # batches whose texts are sorted by length together
PER_THING = len(THING_CLASSES)
# Which of a thing's labels each of its four slots must answer, and which of the scenery's each of the last four.
THING_QUESTIONS = (tuple(range(PER_THING)), (0, 1, 2), (0, 3, 4, 5), (0, 6, 7, 8))
SCENERY_QUESTIONS = ((0,), (1, 2), (3,), (4, 5))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadingConfig:
    """How long and how hard to read. ``pairs`` facts a step, in two wordings each; ``noise``: chance of strange words in a text."""

    steps: int = 1600
    pairs: int = 48
    rate: float = 2e-3
    warm_up: int = 100
    alignment: float = 2.0
    noise: float = 0.15
    nothing: float = 0.01  # chance of the empty text, of which nothing is told
    half: bool = True  # compute in bfloat16
    seed: int = 0


class Readings(IterableDataset[tuple[Tensor, Tensor]]):
    """Endless batches: tokens [2 pairs, n] of two wordings each (i and pairs + i), and their shared labels [pairs, len(CLASSES)]."""

    def __init__(self, graphs: Graphs, tokenizer: Tokenizer, config: ReadingConfig) -> None:
        self.graphs, self.tokenizer, self.config = graphs, tokenizer, config

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        rng, dice = np.random.default_rng(self.config.seed), random.Random(self.config.seed)
        while True:
            pool = [self._row(rng, dice) for _ in range(POOL * self.config.pairs)]
            pool.sort(key=lambda row: max(map(len, row[:2])))  # texts of like length together, so that little is padding
            for start in dice.sample(range(0, len(pool), self.config.pairs), POOL):
                rows = pool[start : start + self.config.pairs]
                tokens = [torch.tensor(row[k]) for k in (0, 1) for row in rows]
                told = torch.tensor([row[2] for row in rows])  # pairs labels
                yield nn.utils.rnn.pad_sequence(tokens, batch_first=True, padding_value=PAD), told

    def _row(self, rng: np.random.Generator, dice: random.Random) -> tuple[list[int], list[int], list[int]]:
        if dice.random() < self.config.nothing:
            return self.tokenizer(""), self.tokenizer(""), [0] * len(CLASSES)
        graph = _as_asked(self.graphs(rng), dice)
        languages: tuple[Language, Language] = dice.choice((("en", "ja"), ("ja", "en"), ("en", "en"), ("ja", "ja")))
        telling = tell(graph, dice.randrange(len(graph.cards)), dice, languages[0])
        other = word(telling.told, dice, languages[1], terse=dice.random() < 0.25)
        one, two = (self.tokenizer(self._disturb(text, dice)) for text in (telling.text, other))
        return one, two, labels(telling.told)

    def _disturb(self, text: str, dice: random.Random) -> str:
        """Now and then a word that means nothing, so that unknown words do not upset the known ones."""
        if dice.random() >= self.config.noise:
            return text
        strange = "".join(dice.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(dice.randint(2, 9)))
        parts = text.split(" ")
        parts.insert(dice.randint(0, len(parts)), strange)
        return " ".join(parts)


def _as_asked(graph: SceneGraph, dice: random.Random) -> SceneGraph:
    """Now and then what the world never draws but a prompt may say: things that look alike, deeds in no told direction."""
    if dice.random() < 0.08:
        graph = dataclasses.replace(graph, things=graph.things[:1] * len(graph.things))
    if dice.random() < 0.12:
        cards = [
            dataclasses.replace(card, acts=tuple(dataclasses.replace(act, direction=None) for act in card.acts)) for card in graph.cards
        ]
        graph = dataclasses.replace(graph, cards=tuple(cards))
    return graph


class Heads(nn.Module):
    """One linear answer per slot; a thing's heads are shared by all things."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.things = nn.ModuleList(nn.Linear(width, sum(THING_CLASSES[k] for k in asked)) for asked in THING_QUESTIONS)
        self.scenery = nn.ModuleList(nn.Linear(width, sum(SCENERY_CLASSES[k] for k in asked)) for asked in SCENERY_QUESTIONS)

    def forward(self, slots: Tensor) -> list[tuple[int, Tensor]]:
        """Slots [b, 24, width] to (index into CLASSES, logits [b, classes]) of every question."""
        answers: list[tuple[int, Tensor]] = []
        for i in range(THINGS):
            for k, (head, asked) in enumerate(zip(self.things, THING_QUESTIONS, strict=True)):
                logits = head(slots[:, len(THING_QUESTIONS) * i + k])  # b classes
                sizes = [THING_CLASSES[label] for label in asked]
                answers += zip([PER_THING * i + label for label in asked], logits.split(sizes, dim=-1), strict=True)
        for k, (head, asked) in enumerate(zip(self.scenery, SCENERY_QUESTIONS, strict=True)):
            logits = head(slots[:, len(THING_QUESTIONS) * THINGS + k])  # b classes
            sizes = [SCENERY_CLASSES[label] for label in asked]
            answers += zip([PER_THING * THINGS + label for label in asked], logits.split(sizes, dim=-1), strict=True)
        return answers


def text_config() -> TextConfig:
    """The embedded encoder: every word that captions use is in its vocabulary."""
    return TextConfig(vocabulary=tuple(dict.fromkeys((*lexicon(), *PUNCTUATION))))


def loss_of(encoder: TextEncoder, heads: Heads, tokens: Tensor, told: Tensor, alignment: float) -> tuple[Tensor, Tensor]:
    """The mean surprise at the true answers plus ``alignment`` times the mean squared distance of two wordings; and that distance."""
    slots = encoder(tokens)  # 2b s d
    one, other = slots.chunk(2)  # b s d
    apart = (one - other).square().mean()
    twice = told.repeat(2, 1)  # 2b labels
    surprise = torch.stack([F.cross_entropy(logits.float(), twice[:, index]) for index, logits in heads(slots)]).sum()
    return surprise + alignment * apart, apart


def pretrain_text(
    graphs: Graphs,
    config: ReadingConfig,
    *,
    model: TextConfig | None = None,
    start: tuple[TextEncoder, Heads] | None = None,
    report: Callable[[int, float, float], None] | None = None,
) -> tuple[TextEncoder, Heads]:
    """An encoder that reads captions of ``graphs``, and its heads; ``start`` goes on with an earlier result.

    The learning rate rises for ``warm_up`` steps, stays, and falls to zero over the second half. ``report(step, loss, apart)`` is
    called every 50 steps.
    """
    torch.manual_seed(config.seed)
    encoder = start[0].train() if start else TextEncoder(model or text_config())
    heads = start[1].train() if start else Heads(encoder.config.out)
    optimizers = _optimizers(encoder, heads, config.rate)
    weights = [*encoder.parameters(), *heads.parameters()]
    batches = iter(DataLoader(Readings(graphs, encoder.tokenizer, config), batch_size=None, num_workers=1, prefetch_factor=8))
    for step in range(config.steps):
        tokens, told = next(batches)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.half):
            loss, apart = loss_of(encoder, heads, tokens, told, config.alignment)
        encoder.zero_grad()
        heads.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights, 5.0)  # texts of many things weigh no more than texts of one
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = config.rate * min((step + 1) / config.warm_up, 2 * (1 - step / config.steps), 1)
            optimizer.step()
        if report and step % 50 == 0:
            report(step, loss.item(), apart.item())
    return encoder.eval(), heads.eval()


def _optimizers(encoder: TextEncoder, heads: Heads, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices between layers, AdamW for everything else."""
    hidden = [p for name, p in encoder.named_parameters() if name.endswith("weight") and p.ndim == 2 and "embedding" not in name]
    chosen = set(map(id, hidden))
    others = [p for p in (*encoder.parameters(), *heads.parameters()) if id(p) not in chosen]
    return [Muon(hidden, lr=rate, weight_decay=0.01), torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.95), weight_decay=0.01, fused=True)]


@torch.no_grad()
def accuracy(encoder: TextEncoder, heads: Heads, graphs: Graphs, config: ReadingConfig, batches: int) -> dict[str, float]:
    """Shares of right answers on fresh captions: of all labels, of told labels, of whole captions; and the wordings' distance."""
    source = iter(Readings(graphs, encoder.tokenizer, config))
    sums = np.zeros(4)
    for _ in range(batches):
        tokens, told = next(source)
        slots = encoder(tokens)  # 2b s d
        right = torch.ones(len(tokens), len(CLASSES), dtype=torch.bool)  # 2b labels
        for index, logits in heads(slots):
            right[:, index] &= logits.argmax(-1) == told[:, index].repeat(2)
        stated = told.repeat(2, 1) > 0  # 2b labels
        one, other = slots.chunk(2)  # b s d
        sums += [right.float().mean(), right[stated].float().mean(), right.all(1).float().mean(), (one - other).square().mean()]
    return dict(zip(("labels", "told", "captions", "apart"), (sums / batches).tolist(), strict=True))


def save_text(encoder: TextEncoder, path: Path) -> None:
    """The encoder without its heads, with its configuration and vocabulary."""
    checkpoint.save(path, dict(encoder.state_dict()), dataclasses.asdict(encoder.config))
