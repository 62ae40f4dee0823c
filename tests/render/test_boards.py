"""Laws of storyboards: a card lasts as it says, what it is given stands where it was put, a ring closes, a cut is no blend."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from misora.canvas.canvas import pixel_frames
from misora.client.errors import UsageError
from misora.media.write import write_image, write_video
from misora.render import cut as cutting
from misora.render import verbs
from misora.render.board import cards_of, read_board
from misora.render.compose import Work, compose
from misora.render.cut import Cut, Shot
from misora.render.engine import Misora, load
from misora.render.footage import Footage, load_clip, read_mask
from misora.render.native import GUIDED
from misora.render.request import Request
from tests.tiny import write_weights

SIZE = (64, 64)
ASKED: Any = {"prompt": "a ball", "seed": 1, "steps": 1, "guidance": 1.0, "size": "64x64"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Misora:
    return load(write_weights(tmp_path_factory.mktemp("weights")))


def footage(count: int, rate: float = 24.0) -> Footage:
    """A given clip of noise."""
    frames = torch.randint(0, 256, (count, *SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(count))
    return Footage(frames=frames, rate=rate)


def laid(engine: Misora, cards: list[dict[str, Any]], *, loop: bool = False) -> Work:
    """What is to be done for some cards."""
    board = verbs.storyboard(Request(**ASKED), [{"prompt": "a ball"} | card for card in cards])
    return compose(verbs.loop(board) if loop else board, engine.weights)


def lengths(work: Work) -> list[int]:
    return [shot.count for shot in work.shots]


def test_a_card_lasts_as_it_says_with_its_clip(engine: Misora) -> None:
    clip, rest = footage(48), {"seconds": 1.0}
    assert lengths(laid(engine, [{"clip": clip, "seconds": 3.0}, rest])) == [48, 48]
    short = laid(engine, [{"clip": clip, "seconds": 1.0}, rest])
    assert lengths(short) == [24, 24] and short.shots[0].own is not None and torch.equal(short.shots[0].own, clip.frames[:24])
    assert lengths(laid(engine, [{"clip": clip}, rest])) == [48, 24], "one that says nothing lasts as its clip"


def test_cards_follow_a_clip_that_says_nothing(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", footage(12).frames, 24)
    write_image(tmp_path / "a.png", footage(1).frames[0])
    clip, picture = ({"prompt": "a ball", kind: tmp_path / name} for kind, name in (("clip", "a.mp4"), ("image", "a.png")))
    cards, _ = cards_of([clip, picture | {"span": [0.5, 1.5]}])
    assert "seconds" not in cards[0] and cards[1]["seconds"] == 1
    read = read_board([clip, picture | {"span": [0.5, 1.5]}], lambda prompt, seconds: Request(prompt=prompt, seconds=seconds))
    assert read.seconds == 1.5 and len(read.parts) == 3
    with pytest.raises(UsageError, match="start at 0.5 s"):
        cards_of([clip, picture | {"span": [0, 1]}])
    with pytest.raises(UsageError, match="one of them"):
        cards_of([clip | picture])


IMAGE = {"image": footage(1), "seconds": 1.0}
ONE, OTHER = {"seconds": 1.2}, {"seconds": 0.9}
BOARDS = {
    "image second": [ONE, IMAGE],
    "image third": [ONE, OTHER, IMAGE],
    "image first": [IMAGE, ONE],
    "clip in the middle": [ONE, {"clip": footage(31), "seconds": 2.0}, OTHER],
    "image after a cut": [ONE, IMAGE | {"cut": True}, OTHER],
    "prompts": [ONE, OTHER, ONE],
    "a cut": [ONE, OTHER | {"cut": True}],
    "long": [{"seconds": 3.0}, IMAGE, {"seconds": 3.0}],
}


@pytest.mark.parametrize("loop", [False, True], ids=["once", "ring"])
@pytest.mark.parametrize("name", BOARDS)
def test_what_is_given_is_shown_where_it_lies_among_what_is_drawn(engine: Misora, name: str, loop: bool) -> None:
    work = laid(engine, BOARDS[name], loop=loop)
    assert sum(lengths(work)) == round(24 * sum(card["seconds"] for card in BOARDS[name]))
    kinds = work.run_in + work.canvas.kinds
    starts = [0, *itertools.accumulate(pixel_frames(kind) for kind in kinds)]
    given = [i for i, level in enumerate(work.canvas.level.amax((0, 2, 3)).tolist(), len(work.run_in)) if not level]
    passed = list(itertools.accumulate((shot.skip + shot.drawn for shot in work.shots), initial=0))
    for shot, before in zip(work.shots, passed, strict=False):
        assert not shot.given or before in {starts[i] for i in given}, "its own frames stand for those that the network sees of it"
    assert not loop or not work.shots[0].skip or work.run_in, "a ring ends before the very frame that it begins with"


def test_a_ring_of_a_clip_of_ours_keeps_its_beginning_and_has_no_run_in(engine: Misora) -> None:
    drawn = compose(Request(**ASKED), engine.weights).canvas.given  # 1 c 13 h w
    clip = dataclasses.replace(footage(96), latents=drawn, kinds="S" + 12 * "G", unseen=1, code=engine.weights.autoencoder.code())
    work = laid(engine, [{"clip": clip, "seconds": 5.0}], loop=True)
    assert not work.run_in and not work.shots[0].skip and work.canvas.kinds[:7] == 7 * "G"
    assert work.canvas.kinds.endswith("SGG") and not work.canvas.level[:, -3:].any(), "it flows into the clip's beginning"


def test_a_cut_is_no_blend(monkeypatch: pytest.MonkeyPatch) -> None:
    painted: list[set[float]] = []

    def deliver(native: Any, painter: Any, *, size: tuple[int, int], count: int) -> Any:
        frames = list(native)
        painted.append({float(frame.mean()) for frame in frames})
        return iter([torch.zeros(*size, 3, dtype=torch.uint8)] * count)

    monkeypatch.setattr(cutting, "deliver", deliver)
    native = torch.linspace(-1, 1, 3).repeat_interleave(4)[:, None, None, None].expand(-1, 3, 16, 16)
    shots = (Shot(count=8, drawn=4), Shot(count=8, drawn=4, cut=True), Shot(count=8, drawn=4))
    assert len(Cut(request=Request(**ASKED), native=native, shots=shots).frames) == 24
    assert painted == [{-1.0}, {0.0, 1.0}, {1.0}], "only what goes on is moved towards"


def test_what_leads_to_a_given_frame_ends_right_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shades = [torch.full((*SIZE, 3), 4 * k, dtype=torch.uint8) for k in range(32)]
    monkeypatch.setattr(cutting, "deliver", lambda native, painter, *, size, count: iter(shades[:count]))
    native = torch.zeros(16, 3, 16, 16)
    for rate, count in ((24.0, 31), (24.0, 32), (30.0, 39), (60.0, 78)):
        shot = Shot(count=count, drawn=16, arrives=native[0])
        shown = Cut(request=Request(**ASKED), native=native, shots=(shot,), rate=rate).frames[:, 0, 0, 0]
        assert len(shown) == count and shown[-1] == 4 * 31, "and what is too much is left out at its beginning"


def test_cards_that_cut_are_shots_of_their_own(engine: Misora) -> None:
    work = laid(engine, [ONE, OTHER, OTHER | {"cut": True}, IMAGE | {"cut": True}])
    assert [shot.cut for shot in work.shots] == [False, True, True, False]
    assert work.shots[1].arrives is None, "nothing leads to a picture behind a cut"


def test_a_picture_lasts_as_long_at_any_rate(engine: Misora) -> None:
    for rate in (10.0, 25.0, 30.0, 50.0):
        work = laid(engine, [{"clip": footage(int(rate), rate)}, IMAGE, {"seconds": 1.0}])
        assert work.rate == rate and sum(lengths(work)) == 3 * rate


def test_a_masks_time_is_its_clips(tmp_path: Path) -> None:
    frames = torch.zeros(6, *SIZE, 3, dtype=torch.uint8)
    frames[3:] = 255
    write_video(tmp_path / "mask.mp4", frames, 12)
    assert read_mask(tmp_path / "mask.mp4", SIZE, 24.0).amax((1, 2)).tolist() == [0] * 6 + [1] * 6


def test_latents_belong_to_one_file_and_not_to_its_name(engine: Misora, tmp_path: Path) -> None:
    made = [engine.generate("a ball", seconds=1.0, size="64x64", seed=seed, steps=1, guidance=1.0) for seed in (1, 2)]
    one, other = (video.save(tmp_path / name) for video, name in zip(made, ("a.mp4", "b.mp4"), strict=True))
    made[0].save_latents(one)
    assert load_clip(one).latents is not None
    other.replace(one)
    assert load_clip(one).latents is None


def test_what_another_prompt_has_is_guided_there() -> None:
    assert list(verbs.STRENGTHS) == ["subtle", "mild", "strong"] and sorted(verbs.STRENGTHS.values()) == list(verbs.STRENGTHS.values())
    guided = {name for name, level in verbs.STRENGTHS.items() if GUIDED[0] < level <= GUIDED[1]}
    assert guided == {"mild", "strong"}, "below it a prompt changes nothing that is seen"
    (default,) = verbs.remix(Request(prompt="a ball"), Footage(frames=torch.zeros(12, 64, 64, 3, dtype=torch.uint8))).parts
    assert GUIDED[0] < default.strength < 1
