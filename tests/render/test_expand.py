"""Laws of prompts that are made fuller by somebody else's model: what it says is the prompt, and nothing is fetched for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from misora.client.errors import UsageError
from misora.render.expand import expand


def _chat(folder: Path, letter: str) -> str:
    """A language model of one block that reads letters and answers every prompt with one of them, again and again."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    letters = {chr(code): code - 32 for code in range(32, 127)} | {"<end>": 95, "<odd>": 96}
    table = Tokenizer(models.WordLevel(letters, unk_token="<odd>"))
    table.pre_tokenizer, table.decoder = pre_tokenizers.Split("", "isolated"), decoders.Fuse()
    words = PreTrainedTokenizerFast(tokenizer_object=table, eos_token="<end>", unk_token="<odd>")
    words.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    ends = {"bos_token_id": 95, "eos_token_id": 95}
    model = GPT2LMHeadModel(GPT2Config(vocab_size=97, n_positions=1024, n_embd=8, n_layer=1, n_head=1, **ends))
    with torch.no_grad():
        model.transformer.ln_f.weight.zero_()
        model.transformer.ln_f.bias.copy_(model.transformer.wte.weight[letters[letter]].mul_(1e3))
    words.save_pretrained(folder)
    model.save_pretrained(folder)
    return str(folder)


def test_a_local_model_may_expand_the_prompt(tmp_path: Path) -> None:
    assert set(expand("a ball", _chat(tmp_path / "chat", "x"))) == {"x"}, "its answer alone"


def test_a_local_model_that_is_not_here_is_named_and_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *address: pytest.fail("asked the network"))
    with pytest.raises(UsageError, match="no chat model"):
        expand("a ball", "no/such-model")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="no chat model"):
        expand("a ball", str(tmp_path))
