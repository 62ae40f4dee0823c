"""Laws of the verbs: given pixels stay, what is asked for lies where it was asked, a loop closes, mistakes are named."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from misora.canvas.canvas import pixel_frames
from misora.client.errors import MediaError, UsageError
from misora.media.write import write_image, write_video
from misora.render import verbs
from misora.render.board import read_board
from misora.render.compose import compose, soft
from misora.render.cut import Cut, at_rate
from misora.render.engine import Misora, load
from misora.render.footage import Footage, Notice, feathered, fitted, load_clip, load_image, read_mask, to_native
from misora.render.parts import Part, cast
from misora.render.request import Request
from misora.render.seal import story_of
from misora.render.seams import Lost, faded
from tests.tiny import write_weights

SIZE = (64, 112)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Misora:
    return load(write_weights(tmp_path_factory.mktemp("weights")))


def footage(count: int, rate: float = 24.0, seed: int = 0, size: tuple[int, int] = SIZE) -> Footage:
    """A given clip of noise."""
    frames = torch.randint(0, 256, (count, *size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    return Footage(frames=frames, rate=rate)


WISHES: Any = {"seed": 1, "steps": 2, "guidance": 1.0}


def frames_of(video: Cut) -> Tensor:
    return video.frames


def test_an_image_is_the_first_frame_and_another_the_last(engine: Misora) -> None:
    first, last = footage(1), footage(1, seed=1)
    video = engine.animate(first, "a ball", seconds=1.0, **WISHES)
    made = frames_of(video)
    assert made.shape == (24, *SIZE, 3) and torch.equal(made[0], first.frames[0])
    both = frames_of(engine.animate(first, "a ball", last=last, seconds=1.0, **WISHES))
    assert torch.equal(both[0], first.frames[0]) and torch.equal(both[-1], last.frames[0])
    assert abs(len(both) - 24) <= 4
    end = frames_of(engine.animate(None, "a ball", last=last, seconds=1.0, **WISHES))
    assert torch.equal(end[-1], last.frames[0]) and abs(len(end) - 24) <= 4
    with pytest.raises(UsageError, match="no picture"):
        engine.animate(None, "a ball")


def test_extending_keeps_the_clip_and_adds_what_was_asked(engine: Misora) -> None:
    clip = footage(30)
    made = frames_of(engine.extend(clip, "a ball", seconds=1.0, **WISHES))
    assert len(made) == 54 and torch.equal(made[:30], clip.frames)
    back = frames_of(engine.extend(clip, "a ball", seconds=1.0, backward=True, **WISHES))
    assert len(back) == 54 and torch.equal(back[24:], clip.frames)
    assert torch.equal(frames_of(engine.extend(clip, "a ball", seconds=0.0, **WISHES)), clip.frames), "nothing more is the identity"


def test_connecting_keeps_both_clips(engine: Misora) -> None:
    one, other = footage(26), footage(40, rate=25.0, seed=1)
    with pytest.warns(Notice, match="25 frames per second"):
        made = frames_of(engine.connect(one, other, "a ball", seconds=0.7, **WISHES))
    assert torch.equal(made[:26], one.frames)
    there = frames_of(engine.connect(one, footage(40, seed=1), "a ball", seconds=0.7, **WISHES))
    assert torch.equal(there[-40:], footage(40, seed=1).frames) and len(there) == 26 + 17 + 40, "exactly as long as was asked"


SEAMS: list[tuple[str, Any, list[tuple[int, int]]]] = [
    ("extend", {"seconds": 0.5}, [(24, 23)]),
    ("loop", {"overlap": "short"}, [(12, 11), (-1, 0)]),
    ("loop", {"overlap": "full"}, [(8, 7), (-1, 0)]),
    ("inpaint", {"span": (0.25, 0.75)}, [(6, 5), (17, 18)]),
    ("inpaint", {"span": (0.25, 0.75), "strength": 0.6}, [(6, 5), (17, 18)]),
]


@pytest.mark.parametrize(("verb", "wishes", "seams"), SEAMS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_seam_is_softer_than_without_its_fade(
    engine: Misora, monkeypatch: pytest.MonkeyPatch, verb: str, wishes: Any, seams: list[tuple[int, int]]
) -> None:
    clip = dataclasses.replace(footage(24), frames=footage(1).frames.expand(24, -1, -1, -1))
    monkeypatch.setattr("misora.render.seams.SAME", 1e6)  # untaught weights draw something else everywhere

    def made() -> Tensor:
        asked = ("a ball", clip) if verb == "loop" else (clip, "a ball")
        return frames_of(getattr(engine, verb)(*asked, **wishes, **WISHES)).float()

    soft = made()
    monkeypatch.setattr("misora.render.seams.FADE", 0)
    hard = made()
    for drawn, given in seams:
        assert (soft[drawn] - soft[given]).abs().mean() < 0.5 * (hard[drawn] - hard[given]).abs().mean()


def test_what_was_lost_comes_back_where_the_same_is_still_seen() -> None:
    given = footage(1).frames[0]
    seen = (given.float() / 2 + 64).to(torch.uint8)  # paler
    moved = seen.clone()
    moved[:, 40:60] = 255 - seen[:, 40:60]
    first, *_, last = faded([seen, *([moved] * 23)], 24, 24.0, left=Lost(given=given, seen=seen))
    assert (first.float() - given).abs().mean() < 0.1 * (seen.float() - given).abs().mean()
    second = list(faded([seen, moved], 24, 24.0, left=Lost(given=given, seen=seen)))[1]
    far = (moved.float() - seen).abs().amax(2) > 2 * 12
    assert far[:, 40:60].float().mean() > 0.5 and torch.equal(second[far], moved[far]), "no ghost of what has gone"
    assert torch.equal(last, moved)


def test_remix_at_zero_is_the_clip_and_at_one_forgets_it(engine: Misora) -> None:
    clip, other = footage(12), footage(12, seed=3)
    assert torch.equal(frames_of(engine.remix(clip, "a ball", strength=0, **WISHES)), clip.frames)
    one, two = (frames_of(engine.remix(c, "a ball", strength=1.0, **WISHES)) for c in (clip, other))
    assert torch.equal(one, two)
    half = frames_of(engine.remix(clip, "a ball", strength="mild", **WISHES))
    assert len(half) == 12 and not torch.equal(half, one)


def test_outside_the_mask_the_pixels_are_the_sources_own(engine: Misora) -> None:
    clip = footage(12)
    made = frames_of(engine.inpaint(clip, "a ball", box=(16, 16, 48, 32), **WISHES))
    changed = (made != clip.frames).any(3)  # t h w
    outside = torch.ones(SIZE, dtype=torch.bool)
    outside[16:48, 16:64] = False
    assert not changed[:, outside].any() and changed[:, 30, 40].any()


@pytest.mark.parametrize("length", [1, 5, 30])
def test_a_mask_in_motion_may_be_shorter_or_longer_than_its_clip(length: int) -> None:
    clip, mask = footage(12), torch.zeros(length, *SIZE)
    mask[:, 8:56, 8:104] = 1
    shown = soft(Part(clip=clip, strength=1.0, mask=mask, span=(0.25, 0.5)), clip)
    assert shown.shape == (12, *SIZE) and not shown[:6].any() and shown[6:, 32, 56].all()


@pytest.mark.parametrize("count", range(1, 13))
def test_given_frames_are_one_beginning_and_groups(count: int) -> None:
    clip, gap = footage(count, rate=12.0), Part(seconds=1.0)
    head, _, tail = cast([Part(clip=clip), gap, Part(clip=clip)])
    between = cast([gap, Part(clip=clip), gap])[1]
    for role in (head, between, tail):
        assert role.kinds == "S" + "G" * (len(role.kinds) - 1) and len(role.frames) == pixel_frames(role.kinds)
        assert list(role.frames) == sorted(role.frames) and abs(len(role.frames) - count) <= 3
    assert head.frames[-1] == between.frames[-1] == count - 1, "what follows goes on from the last"
    assert between.frames[0] == tail.frames[0] == 0, "what comes before arrives at the first"
    (span,) = cast([Part(clip=clip, strength=0.5, span=(5 / 12, 1.0))])
    assert list(span.frames)[span.skip :][:count] == list(range(count)) and span.count >= count


def test_a_recut_changes_only_its_seconds(engine: Misora) -> None:
    clip = footage(48)
    made = frames_of(engine.inpaint(clip, "a ball", span=(0.5, 1.0), **WISHES))
    assert torch.equal(made[:12], clip.frames[:12]) and torch.equal(made[24:], clip.frames[24:])
    assert not torch.equal(made[12:24], clip.frames[12:24])
    odd = frames_of(engine.inpaint(clip, "a ball", span=(0.35, 1.2), **WISHES))
    assert len(odd) == 48 and torch.equal(odd[:8], clip.frames[:8]) and torch.equal(odd[29:], clip.frames[29:])
    whole = frames_of(engine.inpaint(clip, "a ball", span=(0.0, 2.0), **WISHES))
    assert len(whole) == 48 and (whole != clip.frames).any(3).any(2).any(1).all()


@pytest.mark.parametrize("seconds", [4.0, 1.0, 0.7, 0.3])
def test_a_loop_lasts_as_long_as_was_asked_and_closes(engine: Misora, seconds: float) -> None:
    video = engine.loop("a ball", seconds=seconds, size="64x64", **WISHES)
    assert len(frames_of(video)) == round(24 * seconds) and video.seconds == pytest.approx(seconds, abs=1 / 48)
    assert video.source
    latents, kinds = video.source.latents, video.source.kinds
    pieces = list(engine.weights.autoencoder.decode_stream([*latents, latents[4]], kinds + "G"))  # 1 3 1|4 h w each
    for next_one, first in zip(pieces[-2:], pieces[3:5], strict=True):
        assert torch.allclose(next_one, first, atol=1e-3), "what would come next is its beginning"


def test_a_loop_ties_its_ends_and_a_clips_loop_keeps_its_beginning(engine: Misora) -> None:
    video = engine.loop("a ball", seconds=1.0, size="112x64", **WISHES)
    work = compose(video.request, engine.weights)
    assert work.canvas.kinds == "GGG" and work.canvas.ring and work.run_in == "SGG" and len(frames_of(video)) == 24
    clip = footage(48)
    made = frames_of(engine.loop("a ball", clip, overlap="short", **WISHES))
    assert len(made) == 48 and torch.equal(made[:36], clip.frames[:36]) and not torch.equal(made[36:], clip.frames[36:])
    full = frames_of(engine.loop("a ball", clip, overlap="full", **WISHES))
    assert torch.equal(full[:2], clip.frames[:2]) and not torch.equal(full[8:], clip.frames[8:])


def test_a_one_card_storyboard_is_text_to_video(engine: Misora) -> None:
    told = engine.storyboard({"cards": [{"prompt": "a red ball", "seconds": 1}]}, size="112x64", **WISHES)
    plain = engine.generate("a red ball", seconds=1, size="112x64", **WISHES)
    assert torch.equal(frames_of(told), frames_of(plain))
    canvas = compose(plain.request, engine.weights).canvas
    assert (canvas.level == 1).all() and canvas.kinds == "SGGG" and not canvas.cards.any() and not canvas.tied, "which is all ones"


def test_cards_rule_their_own_spans_and_compose(engine: Misora, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", footage(1).frames[0])
    cards = [{"prompt": "a red ball", "image": "a.png", "seconds": 1}, {"prompt": "a blue cube", "seconds": 1}]
    (tmp_path / "board.json").write_text(json.dumps({"cards": cards, "loop": True}))
    video = engine.storyboard(tmp_path / "board.json", **WISHES)
    work = compose(video.request, engine.weights)
    assert work.prompts == ("a red ball", "a blue cube")
    assert work.canvas.cards.tolist() == [0, 0, 0, 0, 1, 1, 1, 1] and work.canvas.level[0, 0].max() == 0 == work.canvas.level[0, -1].max()
    assert torch.equal(frames_of(video)[0], load_image(tmp_path / "a.png").frames[0]) and len(frames_of(video)) == 48
    cut = [{"prompt": "a", "start": 0, "end": 1}, {"prompt": "b", "start": 1, "end": 2, "cut": True}]
    board = read_board({"cards": cut}, lambda prompt, seconds: Request(prompt=prompt, seconds=seconds))
    assert "".join(role.kinds for role in cast(board.parts)) == "SGGGSGGG"


def test_references_are_looked_at_and_not_shown(engine: Misora) -> None:
    plain = engine.generate("a ball", seconds=0.5, size="112x64", **WISHES)
    seen = engine.generate("a ball", seconds=0.5, size="112x64", references=(footage(20),), **WISHES)
    assert len(frames_of(seen)) == 12 and not torch.equal(frames_of(seen), frames_of(plain))


def test_wishes_become_words_and_paths_become_clips(engine: Misora, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", footage(12).frames, 24)
    video = engine.generate("a ball", seconds=0.1, style="claymation", camera="zoom in", references=[path], size="112x64", **WISHES)
    assert video.request.prompt == "a ball, in a clay style, as the camera zooms in" and len(video.request.references) == 1
    fuller = engine.image("a crimson ball", enhance=True, references=path, size="112x64", **WISHES).request
    assert fuller.prompt.startswith("a red ball") and fuller.asked == "a crimson ball" and fuller.references[0].path == path
    with pytest.raises(UsageError, match="choose realistic"):
        engine.image("a ball", style="baroque")
    picture = write_image(tmp_path / "a.png", footage(1).frames[0])
    assert story_of(verbs.animate(Request(prompt="a ball"), load_image(picture))).inputs == (picture,)
    with pytest.raises(UsageError, match="empty"):
        engine.image(" ", style="night")
    for asked in ((path,), (str(path), "a ball"), ("a ball", path)):
        looped = engine.loop(*asked, overlap="short", **WISHES).request
        assert looped.loop and looped.parts and looped.prompt in ("a seamless loop", "a ball")
    board = [{"prompt": "a ball", "span": [0, 0.2]}, {"prompt": "a cube", "span": (0.2, 0.4)}]
    assert engine.storyboard(board, style="night", size="64x64", **WISHES).request.prompts() == (
        "a ball, in a realistic style, at night",
        "a cube, in a realistic style, at night",
    )


def test_a_scene_is_simulated_upstairs_and_remixed_here(engine: Misora) -> None:
    with pytest.raises(UsageError, match="misora.load"):
        engine.simulate("a red ball rolls")
    draft = footage(12)
    staged = Misora(engine.weights, lambda scene, seconds: ([{"prompt": scene, "seconds": seconds}], lambda request: draft))
    assert torch.equal(frames_of(staged.simulate("a red ball", seconds=0.5, render_only=True, **WISHES)), draft.frames)
    assert not torch.equal(frames_of(staged.simulate("a red ball", seconds=0.5, **WISHES)), draft.frames)


def test_a_scene_of_cards_is_reworked_card_by_card_and_jumps_where_it_is_cut(engine: Misora) -> None:
    cards = [
        {"prompt": prompt, "seconds": seconds, "cut": cut}
        for prompt, seconds, cut in (("a ball", 1.0, False), ("a cube", 0.5, False), ("a red cube", 0.5, True))
    ]
    asked = Request(prompt="a ball", size="112x64")
    work = compose(verbs.rework(asked, footage(48), cards), engine.weights)
    assert work.prompts == ("a ball", "a cube", "a red cube") and [shot.count for shot in work.shots] == [36, 12]
    assert work.canvas.kinds == "SGGGGG" + "SGG" and work.canvas.cards.tolist() == [0, 0, 0, 0, 1, 1, 2, 2, 2], "each rules its own span"
    assert [shot.cut for shot in work.shots] == [False, True]
    staged = Misora(engine.weights, lambda scene, seconds: (cards, lambda request: footage(round(24 * request.seconds))))
    own = staged.simulate("scene.json", render_only=True, **WISHES)
    assert torch.equal(frames_of(own), footage(48).frames), "as long as its cards"
    made, told = (frames_of(staged.simulate("scene.json", **WISHES)), cards[1])
    told["prompt"] = "a red ball"
    again = frames_of(staged.simulate("scene.json", **WISHES))
    assert len(made) == 48 and (made[24:36] != again[24:36]).any(), "what a later card says is seen"


def test_a_long_video_is_drawn_while_it_is_delivered_and_the_same_again(engine: Misora) -> None:
    steps: list[float] = []
    video = engine.generate("a ball", seconds=20, size="64x64", progress=lambda stage, done, total: steps.append(done / total), **WISHES)
    assert not steps
    first = next(video.stream())
    assert 0 < steps[-1] < 0.5 and torch.equal(first, next(video.stream()))
    assert sum(1 for _ in video.stream()) == 480


@pytest.mark.parametrize("rate", [12.0, 15.0, 24.0, 29.97, 60.0])
def test_the_clips_rate_is_the_videos(engine: Misora, rate: float) -> None:
    clip = footage(round(rate), rate=rate, size=(64, 64))
    video = engine.extend(clip, "a ball", seconds=0.5, **WISHES)
    assert video.rate == rate and len(frames_of(video)) == pytest.approx(1.5 * rate, abs=1)


def test_frames_at_another_rate_keep_their_time() -> None:
    frames = [torch.tensor(i) for i in range(24)]
    assert [int(f) for f in at_rate(frames, 24, 12, 12)] == list(range(0, 24, 2))
    assert [int(f) for f in at_rate(frames[:3], 24, 48, 8)] == [0, 0, 1, 1, 2, 2, 2, 2]
    quick = [int(f) for f in at_rate(frames, 24 * 24 / 21, 24, 21, start=0.5)]
    assert len(quick) == 21 and quick[0] == 0 and quick[-1] == 23 and max(b - a for a, b in zip(quick, quick[1:], strict=False)) == 2


def test_what_the_network_sees_of_a_picture_is_where_delivery_puts_it() -> None:
    clip = Footage(frames=torch.zeros(1, 384, 704, 3, dtype=torch.uint8))
    clip.frames[0, 192 - 20 : 192 + 20, 352 - 20 : 352 + 20] = 255
    seen = to_native(clip, (96, 176), range(1))[0, 0, 0]  # h w
    assert seen[48, 88] > 0.9 and seen[40, 88] < -0.9 and seen.shape == (96, 176)


def test_what_was_made_long_can_be_gone_on_from(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", torch.zeros(140, 64, 64, 3, dtype=torch.uint8), 1.0)
    clip = load_clip(tmp_path / "a.mp4")
    assert clip.seconds == 140 and not clip.frames[-1].float().mean() > 20
    clip.frames[0] = 1  # its own, not the file's
    assert load_clip(tmp_path / "a.mp4").frames[0].float().mean() < 1


def test_other_shapes_are_fitted_with_a_notice(tmp_path: Path) -> None:
    with pytest.warns(Notice, match="100x300; it is cropped to fill 112x64"):
        assert fitted(footage(2, size=(300, 100)), SIZE).size == SIZE
    write_video(tmp_path / "a.mp4", footage(3).frames, 24)
    with pytest.warns(Notice, match="first frame"):
        assert len(load_image(tmp_path / "a.mp4").frames) == 1
    write_image(tmp_path / "mask.png", torch.zeros(32, 32, 3, dtype=torch.uint8))
    with pytest.raises(MediaError, match="marks nothing"), pytest.warns(Notice, match="mask is scaled"):
        read_mask(tmp_path / "mask.png", SIZE)


def test_a_feather_lies_inside_its_mask() -> None:
    mask = torch.zeros(100, 100)
    mask[30:80, 40:] = 1
    soft = feathered(mask)
    assert soft[mask == 0].max() == 0 and soft[55, 70] == 1 and 0 < soft[32, 70] < 1
    assert soft[55, 99] == 1, "the picture's edge is no edge"
    thin = torch.zeros(50, 50)
    thin[20:23] = 1
    assert feathered(thin).max() > 0.5


MISTAKES: list[tuple[Any, str]] = [
    ({}, "at least one card"),
    ({"cards": []}, "at least one card"),
    ({"cards": [3]}, "no object"),
    ({"cards": [{"seconds": 2}]}, "no prompt"),
    ({"cards": [{"prompt": "a", "secs": 2}]}, "means nothing"),
    ({"cards": [{"prompt": "a", "seconds": "4"}]}, "number of seconds"),
    ({"cards": [{"prompt": "a", "seconds": 0}]}, "no time"),
    ({"cards": [{"prompt": "a", "start": 0, "end": 2}, {"prompt": "b", "start": 1, "end": 3}]}, "overlaps"),
    ({"cards": [{"prompt": "a", "start": 0, "end": 2}, {"prompt": "b", "start": 3, "end": 4}]}, "gap"),
    ({"cards": [{"prompt": "a", "start": 2, "end": 1}]}, "before it begins"),
    ({"cards": [{"prompt": "a", "start": 2}]}, "either its seconds"),
    ({"cards": [{"prompt": "a", "image": 7}]}, "file name"),
]


@pytest.mark.parametrize(("board", "says"), MISTAKES, ids=[says for _, says in MISTAKES])
def test_mistakes_in_a_storyboard_are_named(board: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read_board(board, lambda prompt, seconds: Request(prompt=prompt, seconds=seconds))


def test_impossible_wishes_are_named(engine: Misora) -> None:
    clip, request = footage(24), Request(prompt="a ball")
    for wrong in (-0.1, 1.1, "wild", "nan"):
        with pytest.raises(UsageError, match="strength"):
            verbs.remix(request, clip, wrong)
    with pytest.raises(UsageError, match="overlap"):
        verbs.loop(request, clip, "long")
    with pytest.raises(UsageError, match="--mask"):
        verbs.inpaint(request, clip)
    with pytest.raises(UsageError, match="outside the picture"):
        verbs.inpaint(request, clip, box=(500, 0, 10, 10))
    with pytest.raises(UsageError, match="lasts 1.00 s"):
        engine.inpaint(clip, "a ball", span=(0.5, 2.0))
    with pytest.raises(UsageError, match="nothing moves"):
        verbs.loop(Request(prompt="a ball", seconds=0))
    with pytest.raises(UsageError, match="is a picture"):
        verbs.loop(request, footage(1))
    with pytest.raises(UsageError, match="end on a given clip"):
        compose(verbs.loop(verbs.extend(request, clip, backward=True)), engine.weights)
    for seconds in (10_000.0, float("nan"), -1.0):
        with pytest.raises(UsageError, match="seconds"):
            engine.extend(clip, "a ball", seconds=seconds)


def test_invented_stretches_end_where_they_were_asked_to() -> None:
    roles = cast([Part(seconds=3.0), Part(seconds=3.0), Part(seconds=3.0)])
    ends = [sum(role.seconds for role in roles[: i + 1]) for i in range(3)]
    assert ends[2] == pytest.approx(9.0) and all(abs(end - 3 * (i + 1)) <= 1 / 6 for i, end in enumerate(ends))
