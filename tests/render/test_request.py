"""Laws of requests: impossible ones end in one sentence, possible ones have sizes and lengths that fit."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misora.client.errors import UsageError
from misora.render.request import NATIVE_TOKENS, Request

IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"prompt": ""}, "empty"),
    ({"prompt": " \n\t"}, "empty"),
    ({"prompt": "\u200b\u2060 \ufeff"}, "empty"),
    ({"prompt": "a" * 10_000}, "10,000 characters"),
    ({"prompt": "a red\x00ball"}, r"U\+0000"),
    ({"prompt": "a red\x1b[31mball"}, r"U\+001B"),
    ({"prompt": "a \udc80 ball"}, r"U\+DC80"),
    ({"negative": "\x07"}, r"U\+0007"),
    ({"seconds": -1.0}, "-1 seconds"),
    ({"seconds": 10_000.0}, "10000 seconds"),
    ({"seconds": math.nan}, "seconds"),
    ({"seconds": math.inf}, "seconds"),
    ({"size": "big"}, "WIDTHxHEIGHT"),
    ({"size": "704*384"}, "WIDTHxHEIGHT"),
    ({"size": "0x0"}, "0x0"),
    ({"size": "62x64"}, "62x64"),
    ({"size": "5000x4000"}, "5000x4000"),
    ({"size": "4096x4096"}, "pixels in all"),
    ({"size": "1024x64"}, "narrow"),
    ({"aspect": "wide"}, "W:H"),
    ({"aspect": "0:1"}, "W:H"),
    ({"aspect": "100:1"}, "narrow"),
    ({"size": "704x384", "aspect": "16:9"}, "one of them"),
    ({"seed": -1}, "seed"),
    ({"seed": 2**63}, "seed"),
    ({"steps": 0}, "steps"),
    ({"steps": 201}, "steps"),
    ({"guidance": 0.5}, "Guidance"),
    ({"guidance": math.nan}, "Guidance"),
]


@pytest.mark.parametrize(("fields", "says"), IMPOSSIBLE)
def test_impossible_requests_are_refused_in_one_sentence(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        Request(**{"prompt": "a red ball", **fields}).check()
    assert len(str(caught.value).splitlines()) == 1


@given(st.sampled_from(range(64, 2048, 2)), st.floats(9 / 21, 21 / 9))
def test_native_size_is_near_the_aspect_and_within_the_budget(height: int, ratio: float) -> None:
    width = max(64, 2 * round(height * ratio / 2))
    request = Request(prompt="a red ball", size=f"{width}x{height}")
    request.check()
    h, w = request.native()
    assert h % 16 == w % 16 == 0
    assert 0.7 * NATIVE_TOKENS <= h * w / 256 <= NATIVE_TOKENS
    assert abs(math.log(w / h * height / width)) < 0.15


@pytest.mark.parametrize(
    ("fields", "delivered", "native"),
    [
        ({}, (384, 704), (96, 176)),
        ({"aspect": "1:1"}, (520, 520), (128, 128)),
        ({"aspect": "9:16"}, (696, 392), (176, 96)),
        ({"aspect": "21:9"}, (344, 802), (80, 192)),
        ({"size": "1280x720"}, (720, 1280), (96, 176)),
        ({"size": "853x479"}, (480, 854), (96, 176)),
    ],
)
def test_sizes_of_common_shapes(fields: dict[str, Any], delivered: tuple[int, int], native: tuple[int, int]) -> None:
    request = Request(prompt="a red ball", **fields)
    assert (request.delivered(), request.native()) == (delivered, native)


@given(st.floats(0, 4))
def test_every_length_has_the_frames_it_needs(seconds: float) -> None:
    request = Request(prompt="a red ball", seconds=seconds)
    request.check()
    assert request.frames() == max(1, round(seconds * 24))
    assert request.frames() <= 2 * request.native_frames() <= request.frames() + 1


def test_odd_sides_are_made_even_and_that_is_said() -> None:
    assert Request(prompt="a", size="853x480").notice() == "A video's sides are even, so 853x480 becomes 854x480."
    assert Request(prompt="a", size="854x480").notice() is Request(prompt="a", aspect="9:16").notice() is None


def test_seeds_differ_unless_given() -> None:
    assert Request(prompt="a").seed != Request(prompt="a").seed
    assert Request(prompt="a", seed=3).seed == 3
