"""Where a group's word stands in a text, and what an exception covers; it knows nothing of languages."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

HARMLESS = "harmless"  # the group of exceptions: what it covers counts for nothing else
EVERYDAY = "everyday"  # the group of words that are one slip away from a word of the rules and mean something else


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """One group's word in a text, from character ``start`` to ``end`` of the plain text."""

    group: str
    start: int
    end: int


def uncovered(found: Iterable[Mark]) -> list[Mark]:
    """What no exception lies over, without the exceptions."""
    marks = list(found)
    covers = [mark for mark in marks if mark.group == HARMLESS]
    return [mark for mark in marks if mark.group != HARMLESS and not any(c.start <= mark.start < c.end for c in covers)]
