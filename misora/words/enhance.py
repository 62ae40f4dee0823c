"""A short prompt made fuller by rules, with nothing it says taken away; it knows no network.

What the prompt leaves open (floor, light) is drawn from a seed, and words that the embedded weights do not know become known ones where
both mean the same.
"""

from __future__ import annotations

import random
import re

from misora.words import english, japanese
from misora.words.known import fold
from misora.words.presets import JAPANESE

SAME = {  # words that mean what a known word means
    **dict.fromkeys(("crimson", "scarlet", "maroon", "ruby"), "red"),
    **dict.fromkeys(("gold", "golden"), "yellow"),
    **dict.fromkeys(("navy", "azure", "sapphire"), "blue"),
    **dict.fromkeys(("emerald", "lime"), "green"),
    **dict.fromkeys(("turquoise", "teal"), "cyan"),
    **dict.fromkeys(("tiny", "miniature"), "small"),
    **dict.fromkeys(("huge", "giant", "enormous"), "large"),
    **dict.fromkeys(("globe", "marble", "bead"), "ball"),
    **dict.fromkeys(("dice", "die", "crate"), "cube"),
    **dict.fromkeys(("can", "barrel", "tube"), "cylinder"),
    "jumps": "bounces",
    "jumping": "bouncing",
    "hops": "bounces",
    "hopping": "bouncing",
    "jump": "bounce",
    "hop": "bounce",
    "rotates": "spins",
    "whirls": "spins",
    "explodes": "breaks",
    "smashes": "breaks",
    "drops": "falls",
    "tumbles": "topples over",
}
COMMON_FLOORS = ("wooden", "grass", "stone", "tiled", "sandy", "carpet")


def enhanced(prompt: str, seed: int = 0) -> str:
    """The prompt with its floor and its light told where it left them open, the same for the same seed; others stay as they are."""
    rng = random.Random(f"{seed}:{prompt}")
    told = prompt.strip().rstrip(".。 ")
    if JAPANESE.search(prompt):
        floors, lights = japanese.FLOORS, japanese.LIGHTS
        front = [] if _says(told, lights) else [lights["day"][0][0]]
        front += [] if _says(told, floors) else [floors[rng.choice(COMMON_FLOORS)][0][0]]
        return "、".join([*front, told]) + "。"
    told = re.sub(r"[A-Za-z]+", lambda word: _known(word.group()), told)
    parts = [told]
    if not _says(told, english.FLOORS):
        parts[0] += " " + english.FLOORS[rng.choice(COMMON_FLOORS)][0][0]
    if not _says(told, english.LIGHTS):
        parts.append(english.LIGHTS["day"][0][0])
    if not _says(told, english.CAMERAS) and "camera" not in fold(told):
        parts.append(english.CAMERAS["still"][0][0])
    return ", ".join(parts)


def _known(word: str) -> str:
    same = SAME.get(word.lower(), word)
    return same.capitalize() if same != word and word[:1].isupper() else same


def _says(prompt: str, table: english.Scenery | japanese.Scenery) -> bool:
    """Whether any wording of the table stands in the prompt."""
    text = fold(prompt)
    wordings = (wording for row in table.values() for group in row for wording in group)
    if JAPANESE.search(prompt):
        return any(wording in text for wording in wordings)
    return any(re.search(rf"\b{re.escape(wording)}\b", text) for wording in wordings)
