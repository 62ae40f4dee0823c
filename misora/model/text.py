"""The text encoder: a prompt in, 24 slots of meaning out; it knows nothing of scenes, captions or video.

A small bidirectional transformer (pre-norm, rotary positions) reads the pieces of the text, and learned slots gather from it what they
were taught to look for (as in Perceiver, arXiv:2103.03206). The tokenizer loses nothing: what the vocabulary lacks goes in as bytes.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from misora.model.layers import rotate

PAD, BEGIN, FIRST_BYTE = 0, 1, 2
FIRST_PIECE = FIRST_BYTE + 256
WORD = re.compile(r"[^\W\d_\u3040-\u30ff\u3400-\u9fff\u3005]+")  # a run of letters of a script that puts spaces between words


class Tokenizer:
    """Text to token numbers: words that the vocabulary knows, else the longest piece that fits, else bytes."""

    def __init__(self, vocabulary: tuple[str, ...]) -> None:
        self.numbers = {piece: FIRST_PIECE + i for i, piece in enumerate(vocabulary)}
        self.longest = max(map(len, vocabulary), default=1)

    def __call__(self, text: str) -> list[int]:
        """Token numbers of one text, the first of them BEGIN; letter case and compatibility characters make no difference (NFKC)."""
        text = unicodedata.normalize("NFKC", text).casefold()
        tokens, i = [BEGIN], 0
        while i < len(text):
            word = WORD.match(text, i)
            piece = word.group() if word else self._piece(text, i)
            if piece in self.numbers:
                tokens.append(self.numbers[piece])
            elif not piece.isspace():
                tokens += [FIRST_BYTE + byte for byte in piece.encode(errors="replace")]
            i += len(piece)
        return tokens

    def _piece(self, text: str, i: int) -> str:
        """The longest known piece that begins at ``i``, else that one character."""
        sizes = range(min(self.longest, len(text) - i), 1, -1)
        return next((text[i : i + n] for n in sizes if text[i : i + n] in self.numbers), text[i])


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextConfig:
    """Shape of the encoder and its vocabulary. ``longest``: tokens beyond this many are not read."""

    vocabulary: tuple[str, ...]
    width: int = 128
    heads: int = 4
    depth: int = 3
    slot_depth: int = 2
    expansion: int = 2
    slots: int = 24
    out: int = 256
    longest: int = 512


class Attention(nn.Module):
    """Queries from one row of tokens, keys and values from another, with rotary positions where they are given."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.RMSNorm(width)
        self.q = nn.Linear(width, width, bias=False)
        self.kv = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, source: Tensor | None, mask: Tensor | None, rotation: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """``x`` [b, n, d] after looking at ``source`` [b, l, d] (None: at itself); ``mask`` [b, 1, 1, l] is added to the scores."""
        normed = self.norm(x)  # b n d
        q = self.q(normed).unflatten(-1, (self.heads, -1))  # b n heads head
        k, v = self.kv(normed if source is None else source).unflatten(-1, (2 * self.heads, -1)).chunk(2, dim=2)  # b l heads head
        if rotation is not None:
            q, k = rotate(q, rotation), rotate(k, rotation)  # b n heads head
        # Three plain products: over so few tokens they train five times faster on a CPU than the fused kernel.
        scores = (q * q.shape[-1] ** -0.5).transpose(1, 2) @ k.permute(0, 2, 3, 1)  # b heads n l
        if mask is not None:
            scores = scores + mask  # b heads n l
        mixed = scores.softmax(-1) @ v.transpose(1, 2)  # b heads n head
        return x + self.out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]  # b n d


class FeedForward(nn.Module):
    """Each token by itself."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.RMSNorm(width), nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.net(x)  # type: ignore[no-any-return]  # b n d


class TextEncoder(nn.Module):
    """Pieces of text to ``slots`` vectors of ``out`` channels, each with a root mean square of one."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = Tokenizer(config.vocabulary)
        width, heads = config.width, config.heads
        self.embedding = nn.Embedding(FIRST_PIECE + len(config.vocabulary), width)
        self.reading = nn.ModuleList(Attention(width, heads) for _ in range(config.depth))
        self.thinking = nn.ModuleList(FeedForward(width, config.expansion) for _ in range(config.depth))
        self.norm = nn.RMSNorm(width)
        self.slots = nn.Parameter(torch.randn(config.slots, width))
        self.gathering = nn.ModuleList(Attention(width, heads) for _ in range(config.slot_depth))
        self.comparing = nn.ModuleList(Attention(width, heads) for _ in range(config.slot_depth))
        self.settling = nn.ModuleList(FeedForward(width, config.expansion) for _ in range(config.slot_depth))
        self.out = nn.Linear(width, config.out)
        self._initialise()

    @staticmethod
    def from_config(config: dict[str, Any]) -> TextEncoder:
        """An untrained encoder from the configuration stored beside its weights. Raises TypeError where that does not fit."""
        return TextEncoder(TextConfig(**{**config, "vocabulary": tuple(config["vocabulary"])}))

    def forward(self, tokens: Tensor) -> Tensor:
        """Token numbers [b, n], padded at the end with PAD, to slots [b, slots, out]."""
        mask = torch.where(tokens == PAD, -1e9, 0.0)[:, None, None]  # b 1 1 n
        x = self.embedding(tokens)  # b n d
        rotation = _rotation(tokens.shape[1], self.config.width // self.config.heads, tokens.device)
        for read, think in zip(self.reading, self.thinking, strict=True):
            x = think(read(x, None, mask, rotation))  # b n d
        words = self.norm(x)  # b n d
        slots = self.slots.expand(len(tokens), -1, -1)  # b s d
        for gather, compare, settle in zip(self.gathering, self.comparing, self.settling, strict=True):
            slots = settle(compare(gather(slots, words, mask), None, None))  # b s d
        return F.rms_norm(self.out(slots), (self.config.out,))  # b s out

    def encode(self, texts: list[str]) -> Tensor:
        """Slots of several texts, [b, slots, out]; the empty text is one of them and stands for "nothing is asked"."""
        rows = [torch.tensor(self.tokenizer(text)[: self.config.longest]) for text in texts]
        tokens = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)  # b n
        return self.forward(tokens.to(self.slots.device))  # b slots out

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=module.in_features**-0.5)


def _rotation(count: int, head: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Rotary angles (arXiv:2104.09864) of tokens 0 .. count - 1, each 1 n 1 head/2."""
    rates = 1000.0 ** -(torch.arange(head // 2, device=device) / (head // 2))  # head/2
    angles = torch.arange(count, device=device)[:, None] * rates  # n head/2
    return angles.cos()[None, :, None], angles.sin()[None, :, None]
