"""Which verb on which weights of the Wan family: what they learned, what they can only come near to, what is refused; it draws nothing.

Everything is one canvas, so weights that never saw clean frames beside noisy ones can still be asked for them: they do it worse.
"""

from __future__ import annotations

import warnings

from misora.client.errors import UsageError
from misora.model.wan_weights import FIRST, FORCED, TEXT
from misora.render.footage import Notice
from misora.render.parts import Part
from misora.render.request import SECONDS, Request

NATIVE, APPROXIMATE, REFUSED = "native", "approximate", "refused"
LEARNED = {
    "generate": {TEXT: NATIVE, FIRST: NATIVE, FORCED: NATIVE},
    "image": {TEXT: NATIVE, FIRST: NATIVE, FORCED: NATIVE},
    "remix": {TEXT: NATIVE, FIRST: NATIVE, FORCED: NATIVE},  # one level everywhere
    "animate": {TEXT: APPROXIMATE, FIRST: NATIVE, FORCED: NATIVE},
    "animate --last": {TEXT: APPROXIMATE, FIRST: APPROXIMATE, FORCED: NATIVE},
    "extend": {TEXT: APPROXIMATE, FIRST: APPROXIMATE, FORCED: NATIVE},
    "extend --backward": {TEXT: APPROXIMATE, FIRST: APPROXIMATE, FORCED: NATIVE},
    "connect": {TEXT: APPROXIMATE, FIRST: APPROXIMATE, FORCED: NATIVE},
    "loop": {TEXT: APPROXIMATE, FIRST: APPROXIMATE, FORCED: NATIVE},
    "inpaint": {TEXT: APPROXIMATE, FIRST: APPROXIMATE, FORCED: APPROXIMATE},  # levels differ inside a frame
    "storyboard": {TEXT: APPROXIMATE, FIRST: APPROXIMATE, FORCED: APPROXIMATE},  # each frame has a text of its own
    "--reference": {TEXT: REFUSED, FIRST: REFUSED, FORCED: REFUSED},  # frames that are not part of the clip
}
LONGEST = 3 * SECONDS  # seconds drawn at once: what these weights were trained on is five


def demand(request: Request, learned: str) -> None:
    """Tell with a Notice what is only approximate. Raises UsageError for what is refused."""
    verb = verb_of(request)
    if LEARNED[verb][learned] == REFUSED:
        raise UsageError(f"Wan's weights cannot do {verb}; use --model embedded for it.")
    drawn = sum(part.seconds if part.clip is None else part.clip.seconds * (part.strength > 0) for part in request.parts)
    if (drawn or request.seconds) > LONGEST:
        raise UsageError(f"These weights draw at most {LONGEST:g} seconds at once; ask for fewer, or use the embedded ones.")
    if LEARNED[verb][learned] == APPROXIMATE:
        native = [name for name in (FIRST, FORCED) if LEARNED[verb][name] == NATIVE]
        who = {FIRST: "wan2.2-ti2v-5b did", FORCED: "SkyReels-V2-DF did, and a LoRA of `misora train lora --fills` teaches it"}
        hint = f": {who[native[0]]}." if native else "."
        warnings.warn(f"These weights never learned {verb}, so what comes out is approximate{hint}", Notice, stacklevel=2)


def verb_of(request: Request) -> str:
    """The row of the table that a request belongs to."""
    parts = request.parts
    if request.references:
        return "--reference"
    if request.loop:
        return "loop"
    if any(part.prompt is not None or part.later for part in parts):
        return "storyboard"
    if not parts:
        return "generate" if request.seconds else "image"
    if any(part.clip and not part.given for part in parts):
        return "inpaint" if any(part.mask is not None or part.span for part in parts) else "remix"
    if all(part.given for part in parts):
        return "remix"  # of strength 0: nothing is drawn
    first, last = _kind(parts[0]), _kind(parts[-1])
    if last is None:
        return "animate" if first == "image" else "extend"
    if first is None:
        return "extend --backward"
    return "animate --last" if (first, last) == ("image", "image") else "connect"


def _kind(part: Part) -> str | None:
    if part.clip is None:
        return None
    return "image" if len(part.clip.frames) == 1 else "clip"
