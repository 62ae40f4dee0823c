"""Laws of the tokenizer and the text encoder."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from misora.model.text import BEGIN, FIRST_PIECE, TextConfig, TextEncoder, Tokenizer

VOCABULARY = ("ball", "red", "a", "赤い", "赤", "ボール", "転がる", ".")
TEXTS = ["", "a red ball", "赤いボールが転がる。", "A lion, 3 times", "a a a a a a a a"]


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder(TextConfig(vocabulary=VOCABULARY)).eval()


def test_known_words_are_one_token_each() -> None:
    tokenizer = Tokenizer(VOCABULARY)
    assert tokenizer("a red ball") == [BEGIN] + [FIRST_PIECE + VOCABULARY.index(piece) for piece in ("a", "red", "ball")]
    assert tokenizer("赤いボール") == [BEGIN] + [FIRST_PIECE + VOCABULARY.index(piece) for piece in ("赤い", "ボール")]


@pytest.mark.parametrize(("one", "other"), [("A RED\tball", "a red ball"), ("Ａ ｒｅｄ ball", "a red ball"), ("赤いﾎﾞｰﾙ", "赤いボール")])
def test_case_width_and_spacing_make_no_difference(one: str, other: str) -> None:
    assert Tokenizer(VOCABULARY)(one) == Tokenizer(VOCABULARY)(other)


@pytest.mark.parametrize(("one", "other"), [("lion", "lino"), ("獅子", "子獅"), ("ball", "balls"), ("赤", "青"), ("red7", "red8")])
def test_different_words_never_become_the_same(one: str, other: str) -> None:
    assert Tokenizer(VOCABULARY)(one) != Tokenizer(VOCABULARY)(other)


def test_any_text_at_all_is_read(encoder: TextEncoder) -> None:
    slots = encoder.encode(["\ud800 \x00", "x" * 5000, "\u200b"])  # b s d
    assert slots.shape == (3, 24, 256)
    assert slots.isfinite().all()


def test_padding_changes_nothing(encoder: TextEncoder) -> None:
    together = encoder.encode(TEXTS)  # b s d
    alone = torch.cat([encoder.encode([text]) for text in TEXTS])  # b s d
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_slots_are_of_unit_size(encoder: TextEncoder) -> None:
    torch.testing.assert_close(encoder.encode(TEXTS).square().mean(-1), torch.ones(len(TEXTS), 24), atol=1e-3, rtol=0)


def test_word_order_is_seen(encoder: TextEncoder) -> None:
    one, other = encoder.encode(["a red ball", "a ball red"])  # s d
    assert (one - other).abs().max() > 1e-3


def test_the_stored_configuration_rebuilds_the_same_network(encoder: TextEncoder) -> None:
    stored = json.loads(json.dumps(dataclasses.asdict(encoder.config)))
    again = TextEncoder.from_config(stored).eval()
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(again.encode(TEXTS), encoder.encode(TEXTS))


def test_an_unknown_configuration_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        TextEncoder.from_config({"vocabulary": ["a"], "colour": "red"})
