"""Laws of the fills: each verb's noise map, drawn, and that verbs compose."""

from __future__ import annotations

import torch

from misora.canvas import fills
from misora.canvas.canvas import Canvas, times_of
from misora.canvas.show import noise_map


def clip(kinds: str, seed: int = 0) -> Canvas:
    """Given latents of these kinds."""
    return fills.given(torch.randn(1, 4, len(kinds), 4, 6, generator=torch.Generator().manual_seed(seed)), kinds)


def text(kinds: str) -> Canvas:
    """Nothing given."""
    return fills.text(kinds=kinds, channels=4, height=4, width=6)


def test_each_verb_has_its_noise_map() -> None:
    one, two, image = clip("SG"), clip("SG", 1), clip("S", 2)
    mask = torch.zeros(3, 4, 6)
    mask[1:, :2, :2] = 1
    maps = {
        "text to video": (text("SGGG"), "1 1 1 1"),
        "image": (text("S"), "1"),
        "animate": (fills.animate(image, "GGG"), "0 1 1 1"),
        "animate to a last image": (fills.animate(image, "GG", clip("S")), "0 1 1 | 0"),
        "only a last image": (fills.extend_backward(image, "SGG"), "1 1 1 | 0"),
        "extend": (fills.extend(one, "GGG"), "0 0 1 1 1"),
        "extend backward": (fills.extend_backward(one, "SGG"), "1 1 1 | 0 0"),
        "connect": (fills.connect(one, two, "GG"), "0 0 1 1 | 0 0"),
        "loop": (fills.loop(text("SGG")), "[1] 1 1 | [1]"),
        "loop of whole groups": (fills.loop(text("GGG")), ".. 1 1 1 .."),
        "long loop of whole groups": (fills.loop(text("G" * 14)), "1 [1] [1] " + "1 " * 12 + "[1] [1]"),
        "loop of a clip": (fills.loop_clip(clip("SGGGG"), 2, again=clip("SGG")), "0 0 0 1 1 | 0 0 0"),
        "loop of a clip, reworked": (fills.loop_clip(clip("SGGG"), 3, 0.75), "0 .75 .75 .75 | 0"),
        "remix": (fills.remix(clip("SGG"), 0.5), ".5 .5 .5"),
        "inpaint": (fills.inpaint(clip("SGG"), mask), "0 m m"),
        "re-cut": (fills.inpaint(clip("SGG"), mask.amax((1, 2), keepdim=True).expand(3, 4, 6)), "0 1 1"),
        "storyboard": (fills.storyboard([text("SG"), text("GG")]), "1 1 1 1"),
        "reference": (fills.reference(text("SGG"), clip("S")), "r | 1 1 1"),
    }
    assert {name: noise_map(canvas) for name, (canvas, _) in maps.items()} == {name: drawn for name, (_, drawn) in maps.items()}


def test_training_draws_the_levels_of_the_verbs() -> None:
    one, two, image = clip("SG"), clip("SG", 1), clip("S", 2)
    canvases = {
        (1, 0): fills.animate(image, "GGG"),
        (1, 1): fills.animate(image, "GG", clip("S")),
        (2, 0): fills.extend(one, "GGG"),
        (0, 2): fills.extend_backward(one, "SGG"),
        (2, 2): fills.connect(one, two, "GG"),
        (3, 3): fills.loop_clip(clip("SGGGG"), 2, again=clip("SGG")),
    }
    for (first, last), canvas in canvases.items():
        level = fills.keep_ends(len(canvas.kinds), torch.tensor([first]), torch.tensor([last]))  # 1 t
        assert torch.equal(level[..., None, None].expand_as(canvas.level), canvas.level), noise_map(canvas)


def test_verbs_compose() -> None:
    told = fills.storyboard([fills.animate(clip("S"), "GG"), text("SG"), fills.remix(clip("SG"), 0.5)])
    whole = fills.reference(fills.loop(told), clip("S", 3))
    assert noise_map(whole) == "r | 0 1 1 | 1 1 | .5 .5 | 0"
    assert whole.cards.tolist() == [0, 0, 0, 0, 1, 1, 2, 2, 2]
    free = fills.reference(fills.loop(fills.storyboard([text("SG"), text("G")])), clip("S"))
    assert noise_map(free) == "r | [1] 1 1 | [1]"
    assert free.tied == ((1, 4),) and free.shown() == [1, 2, 3, 4]


def test_a_shot_opens_with_its_first_invented_frame() -> None:
    canvases = {
        "text to video": (text("SGG"), [0]),
        "image": (text("S"), [0]),
        "animate": (fills.animate(clip("S"), "GG"), []),
        "to a last image": (fills.extend_backward(clip("S"), "SGG"), [0]),
        "two shots": (fills.storyboard([text("SG"), text("SG")]), [0, 2]),
        "loop": (fills.loop(text("SGG")), [0, 3]),  # the same picture twice
        "extend": (fills.extend(clip("SG"), "GG"), []),
    }
    found = {name: canvas.opens().nonzero().flatten().tolist() for name, (canvas, _) in canvases.items()}
    assert found == {name: opening for name, (_, opening) in canvases.items()}


def test_a_one_card_storyboard_is_text_to_video_and_extending_by_nothing_is_the_clip() -> None:
    assert noise_map(fills.storyboard([text("SGG")])) == noise_map(text("SGG"))
    same = fills.extend(clip("SGG"), "")
    assert torch.equal(same.given, clip("SGG").given) and not same.level.any() and same.kinds == "SGG"


def test_time_is_counted_in_pixels_and_references_are_far_from_all_of_it() -> None:
    assert times_of("SGGSG").tolist() == [0, 1, 2, 2.25, 3.25]
    assert fills.connect(clip("SG"), clip("SG"), "G").times.tolist() == [0, 1, 2, 2.25, 3.25]
    twice = fills.reference(fills.reference(text("SGG"), clip("SG")), clip("S"))
    assert twice.times.tolist() == [-33, -17, -16, 0, 1, 2]


def test_a_mask_covers_whole_tokens() -> None:
    mask = torch.zeros(2, 4, 6)
    mask[1, 3, 5] = 1
    level = fills.inpaint(clip("SG"), mask).level[0]
    assert level.sum() == 4 and (level[1, 2:, 4:] == 1).all()


def test_a_box_is_what_it_covers_in_the_middle_of_cells() -> None:
    corners = torch.tensor([0.0, 0.0, 0.5, 0.5]).expand(1, 3, 4)
    box = fills.box(3, 2, 4, corners, torch.tensor([1]), torch.tensor([3]))
    assert box[0, 0].sum() == 0 and box[0, 1].tolist() == [[True, True, False, False], [False] * 4]
