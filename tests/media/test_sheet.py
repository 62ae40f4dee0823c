"""Laws of sheets: sizes are as asked, aspect is kept, and the right frames stand in the right places."""

from __future__ import annotations

import torch

from misora.media.sheet import contact_sheet, evenly, spritesheet, thumbnail


def grey(values: range) -> torch.Tensor:
    return torch.tensor(list(values), dtype=torch.uint8)[:, None, None, None].expand(-1, 24, 44, 3)


def test_a_thumbnail_keeps_the_aspect_on_black() -> None:
    small = thumbnail(torch.full((100, 100, 3), 200, dtype=torch.uint8), (24, 48))
    assert small.shape == (24, 48, 3)
    assert (small[:, 12:36] == 200).all()
    assert (small[:, :12] == 0).all()
    assert (small[:, 36:] == 0).all()


def test_evenly_has_first_and_last() -> None:
    assert evenly(grey(range(49)), 5)[:, 0, 0, 0].tolist() == [0, 12, 24, 36, 48]


def test_a_contact_sheet_has_a_row_for_each_clip() -> None:
    sheet = contact_sheet([grey(range(49)), grey(range(100, 149)), grey(range(200, 202))], columns=5, size=(24, 44))
    assert sheet.shape == (72, 220, 3)
    assert sheet[12::24, 22::44, 0].tolist() == [[0, 12, 24, 36, 48], [100, 112, 124, 136, 148], [200, 201, 0, 0, 0]]


def test_a_spritesheet_reads_like_a_page() -> None:
    assert spritesheet(grey(range(25)), size=(24, 44))[12::24, 22::44, 0].flatten().tolist() == list(range(25))
