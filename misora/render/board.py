"""A storyboard as JSON: cards with prompts, spans, images and clips, checked and read; it knows nothing of how they are drawn."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from misora.client.errors import UsageError
from misora.media.read import probe
from misora.render import verbs
from misora.render.footage import GIVEN, load_clip, load_image
from misora.render.request import LONGEST, Request

CARD = {"prompt", "seconds", "span", "start", "end", "image", "clip", "cut"}
BOARD = {"cards", "loop", "prompt"}
SECONDS = 4.0  # of a card that says nothing else
Board = str | Path | dict[str, Any] | list[Any]  # a JSON file, or what is in it


def read_board(board: Board, request: Callable[[str, float], Request], lasting: float = SECONDS) -> Request:
    """The request of a storyboard; ``request`` makes one from a prompt and its seconds. Raises UsageError, MediaError."""
    cards, loop = cards_of(board, lasting)
    for card in cards:
        for kind, load in (("image", load_image), ("clip", load_clip)):
            if card.get(kind) is not None:
                card[kind] = load(card[kind])
    seconds = sum(card["clip"].seconds if "seconds" not in card else float(card["seconds"]) for card in cards)
    laid = verbs.storyboard(request(str(cards[0]["prompt"]), seconds), cards)
    return verbs.loop(laid) if loop else laid


def cards_of(board: Board, lasting: float = SECONDS) -> tuple[list[dict[str, Any]], bool]:
    """The cards of a storyboard, checked, with their seconds and the paths of their images and clips; and whether it loops.

    Times are ``seconds`` per card, or a ``span`` [from, to], also written as ``start`` and ``end``; then the cards must follow each other
    without overlap and without a gap. A card that says neither lasts as long as its clip, and keeps no ``seconds``; without a clip it is
    ``lasting`` seconds long. Raises UsageError, MediaError.
    """
    folder = Path.cwd() if isinstance(board, dict | list) else Path(board).parent
    told = board if isinstance(board, dict | list) else _parsed(Path(board))
    told = {"cards": told} if isinstance(told, list) else told
    if not 0 < lasting <= LONGEST:
        raise UsageError(f"A card of {lasting:g} seconds cannot be made; give --seconds above 0 and at most {LONGEST:g}.")
    if not isinstance(told, dict) or not isinstance(told.get("cards"), list) or not told["cards"]:
        raise UsageError('A storyboard is {"cards": [{"prompt": "...", "seconds": 4}, ...]}; give it at least one card.')
    _known(told, BOARD, "the storyboard")
    cards = [_card(card, number) for number, card in enumerate(told["cards"], 1)]
    for number, card in enumerate(cards, 1):
        for kind in ("image", "clip"):
            if card.get(kind) is not None:
                if not isinstance(card[kind], str | Path):
                    raise UsageError(f"The {kind} of card {number} is no file name; write it as text.")
                card[kind] = folder / card[kind]
        if card.get("image") is not None and card.get("clip") is not None:
            raise UsageError(f"Card {number} begins with an image and with a clip; give one of them, and the other a card of its own.")
    _follow(cards, lasting)
    return cards, bool(told.get("loop"))


def dressed(told: Request, dress: Callable[[str], str]) -> Request:
    """The storyboard with every card's prompt passed through ``dress``."""
    parts = tuple(dataclasses.replace(part, prompt=dress(part.prompt)) if part.prompt else part for part in told.parts)
    return dataclasses.replace(told, prompt=parts[0].prompt or told.prompt, parts=parts)


def _parsed(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"The storyboard {path} cannot be read ({error.strerror}); check the name.") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"The storyboard {path} is no JSON ({error}); mend it there.") from None


def _known(found: dict[str, Any], names: set[str], where: str) -> None:
    for name in found:
        if name not in names:
            raise UsageError(
                f"{where[:1].upper()}{where[1:]} has {name!r}, which means nothing here; known are {', '.join(sorted(names))}."
            )


def _card(card: Any, number: int) -> dict[str, Any]:
    if not isinstance(card, dict):
        raise UsageError(f'Card {number} is no object; write it as {{"prompt": "...", "seconds": 4}}.')
    _known(card, CARD, f"card {number}")
    if not isinstance(card.get("prompt"), str) or not card["prompt"].strip():
        raise UsageError(f"Card {number} has no prompt; say what it shows.")
    if "span" in card and not {"start", "end"} & card.keys():
        if not (isinstance(card["span"], list | tuple) and len(card["span"]) == 2):
            raise UsageError(f"Card {number} has the span {card['span']!r}; write it as [from, to] in seconds.")
        card = {name: card[name] for name in card if name != "span"} | dict(zip(("start", "end"), card["span"], strict=True))
    for name in ("seconds", "start", "end"):
        if name in card and not (isinstance(card[name], int | float) and not isinstance(card[name], bool) and 0 <= card[name] < 1e6):
            raise UsageError(f"Card {number} has {name} {card[name]!r}; give a number of seconds.")
    if ("start" in card) != ("end" in card) or ("start" in card and "seconds" in card) or "span" in card:
        raise UsageError(f"Card {number} needs either its seconds, or its start and its end.")
    return dict(card)


def _follow(cards: list[dict[str, Any]], lasting: float) -> None:
    """Turn starts and ends into seconds. Raises UsageError for overlaps and gaps, MediaError for clips that cannot be read."""
    clock = 0.0
    for number, card in enumerate(cards, 1):
        if "start" in card:
            if card["end"] <= card["start"]:
                raise UsageError(f"Card {number} ends before it begins; give an end after {card['start']:g} s.")
            if abs(card["start"] - clock) > 0.01:
                what = "overlaps the card before it" if card["start"] < clock else "leaves a gap before it"
                raise UsageError(f"Card {number} {what}; let it start at {clock:g} s.")
            card["seconds"] = card.pop("end") - card.pop("start")
        elif "seconds" not in card and card.get("clip") is None:
            card["seconds"] = lasting
        if card.get("seconds") == 0:
            raise UsageError(f"Card {number} lasts no time; give it seconds above 0.")
        clock += card["seconds"] if "seconds" in card else probe(card["clip"], GIVEN).seconds
