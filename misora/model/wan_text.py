"""Wan's text encoder: prompts in, 512 vectors each out; what was read once is kept on disk; it knows nothing of video.

The encoder is UMT5, read block by block when a text is new; the tokenizer is transformers' (extra ``wan``).
"""

from __future__ import annotations

import hashlib
import html
from pathlib import Path

import torch
from torch import Tensor

from misora.client.errors import CheckpointError
from misora.model import checkpoint
from misora.model.hub import extra
from misora.model.umt5 import Umt5
from misora.model.wan import quiet
from misora.model.wan_parts import part_of, tokenizer_of

LENGTH = 512  # tokens, filled up with zeros
EDGE = 2**20  # bytes at each end of a file that stand for it


class WanText:
    """Texts to vectors [k, 512, d]; ``kept`` is the folder of those that were read before, None to keep nothing."""

    def __init__(
        self, folder: Path, kept: Path | None = None, dtype: torch.dtype = torch.float32, device: torch.device | None = None
    ) -> None:
        part, self.tokens = part_of(folder, "text encoder"), tokenizer_of(folder)
        self.encoder = Umt5(part.folder, part.files, dtype, device)
        self.kept = kept / fingerprint([*part.files, *sorted(self.tokens.glob("*.json"))], dtype) if kept else None

    def encode(self, texts: list[str]) -> Tensor:
        """The texts as the transformer reads them, float32. Raises CheckpointError, MissingExtraError."""
        cleaned = [clean(text) for text in texts]
        known = {text: made for text in cleaned if (made := self._recalled(text)) is not None}
        new = [text for text in dict.fromkeys(cleaned) if text not in known]
        if new:
            for text, made in zip(new, self._read(new), strict=True):
                known[text] = made
                self._keep(text, made)
        rows = torch.stack([torch.nn.functional.pad(known[text], (0, 0, 0, LENGTH - len(known[text]))) for text in cleaned])
        return rows.float()  # k 512 d

    def unread(self, texts: list[str]) -> bool:
        """Whether the encoder must be read for any of these texts."""
        return any(self._recalled(clean(text)) is None for text in texts)

    def _read(self, texts: list[str]) -> list[Tensor]:
        with quiet(self.tokens):
            tokenizer = extra("transformers").AutoTokenizer.from_pretrained(self.tokens)
            tokens = [tokenizer([text], max_length=LENGTH, truncation=True).input_ids[0] for text in texts]
        return [self.encoder(row).cpu() for row in tokens]  # l d each, one by one: nothing is spent on filling

    def _place(self, text: str) -> Path | None:
        return self.kept / f"{hashlib.sha256(text.encode()).hexdigest()}.safetensors" if self.kept else None

    def _recalled(self, text: str) -> Tensor | None:
        place = self._place(text)
        try:
            return checkpoint.load(place)[0]["text"] if place and place.is_file() else None
        except (CheckpointError, KeyError):
            return None  # damaged: read again

    def _keep(self, text: str, made: Tensor) -> None:
        if place := self._place(text):
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                checkpoint.save(place, {"text": made}, {})
            except (OSError, CheckpointError):
                return  # no room or no right to write: nothing is lost but time


def clean(text: str) -> str:
    """A prompt without HTML's entities and with single spaces."""
    return " ".join(html.unescape(html.unescape(text)).split())


def fingerprint(files: list[Path], dtype: torch.dtype) -> str:
    """A name for an encoder's weights and words: sizes and both ends of each file."""
    code = hashlib.sha256(f"1 {dtype}".encode())
    for path in files:
        code.update(f"{path.name} {path.stat().st_size}".encode())
        with path.open("rb") as file:
            code.update(file.read(EDGE))
            file.seek(max(0, path.stat().st_size - EDGE))
            code.update(file.read(EDGE))
    return code.hexdigest()[:32]
