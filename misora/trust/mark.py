"""Where a group's word stands in a text, and what an exception covers; it knows nothing of languages."""

from __future__ import annotations

import dataclasses
import itertools
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable

HARMLESS = "harmless"  # the group of exceptions: what it covers counts for nothing else
EVERYDAY = "everyday"  # the group of words that are one slip away from a word of the rules and mean something else


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """One group's word in a text, from character ``start`` to ``end`` of the plain text."""

    group: str
    start: int
    end: int


class Reach:
    """Where marks stand, so that one look finds whether any is near: time grows with their number, not with its square."""

    def __init__(self, marks: Iterable[Mark]) -> None:
        self._ends: list[int] = []
        self._spans: dict[str, tuple[list[int], list[int]]] = {}  # by group: starts in order, and how far any has reached by then
        by_group: dict[str, list[Mark]] = defaultdict(list)
        for mark in marks:
            by_group[mark.group].append(mark)
            self._ends.append(mark.end)
        self._ends.sort()
        for group, found in by_group.items():
            found.sort(key=lambda mark: mark.start)
            self._spans[group] = [mark.start for mark in found], list(itertools.accumulate((mark.end for mark in found), max))
        self._starts = sorted(start for starts, _ in self._spans.values() for start in starts)

    def before(self, mark: Mark, within: int) -> bool:
        """Whether one ends at most ``within`` characters before ``mark``, and none of its letters."""
        place = bisect_left(self._ends, mark.start - within)
        return place < len(self._ends) and self._ends[place] <= mark.start

    def after(self, mark: Mark, within: int) -> bool:
        """Whether one starts at most ``within`` characters behind ``mark``."""
        place = bisect_left(self._starts, mark.end)
        return place < len(self._starts) and self._starts[place] <= mark.end + within

    def over(self, group: str, start: int, end: int) -> bool:
        """Whether one of ``group`` has a letter between ``start`` and ``end``."""
        starts, reached = self._spans.get(group, ((), ()))
        place = bisect_left(starts, end)
        return place > 0 and reached[place - 1] > start


def uncovered(found: Iterable[Mark]) -> list[Mark]:
    """What no exception lies over, without the exceptions."""
    marks = list(found)
    covers = Reach(mark for mark in marks if mark.group == HARMLESS)
    return [mark for mark in marks if mark.group != HARMLESS and not covers.over(HARMLESS, mark.start, mark.start + 1)]
