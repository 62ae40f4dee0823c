"""Wan's text encoder: prompts in, 512 vectors each out; what was read once is kept on disk; it knows nothing of video.

The encoder is transformers' UMT5 (extra ``wan``). It is large, so it is loaded when a text is new and let go before sampling begins.
"""

from __future__ import annotations

import hashlib
import html
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from misora.client.errors import CheckpointError
from misora.model import checkpoint
from misora.model.hub import extra
from misora.model.shards import files_of
from misora.model.wan import quiet

LENGTH = 512  # tokens, filled up with zeros
EDGE = 2**20  # bytes at each end of a file that stand for it


class WanText:
    """Texts to vectors [k, 512, d]; ``kept`` is the folder of those that were read before, None to keep nothing."""

    def __init__(self, folder: Path, kept: Path | None = None, dtype: torch.dtype = torch.float32) -> None:
        self.folder, self.dtype = folder, dtype
        files_of(folder / "text_encoder")
        self.kept = kept / fingerprint(folder / "text_encoder", dtype) if kept else None

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

    @torch.inference_mode()
    def _read(self, texts: list[str]) -> list[Tensor]:
        transformers: Any = extra("transformers")
        with quiet(self.folder):
            tokenizer = transformers.AutoTokenizer.from_pretrained(self.folder / "tokenizer")
            encoder = transformers.UMT5EncoderModel.from_pretrained(self.folder / "text_encoder", dtype=self.dtype, use_safetensors=True)
            encoder = encoder.eval()
            made = []
            for text in texts:  # one by one: nothing is spent on filling
                tokens = tokenizer([text], max_length=LENGTH, truncation=True, return_tensors="pt")
                made.append(encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state[0])  # l d
        return made

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


def fingerprint(folder: Path, dtype: torch.dtype) -> str:
    """A name for an encoder's weights: sizes and both ends of each file, and its configuration."""
    code = hashlib.sha256(str(dtype).encode())
    for path in [folder / "config.json", *files_of(folder), *sorted((folder.parent / "tokenizer").glob("*.json"))]:
        if path.is_file():
            code.update(f"{path.name} {path.stat().st_size}".encode())
            with path.open("rb") as file:
                code.update(file.read(EDGE))
                file.seek(max(0, path.stat().st_size - EDGE))
                code.update(file.read(EDGE))
    return code.hexdigest()[:32]
