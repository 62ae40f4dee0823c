"""Misora in Python: load once, generate often; it knows nothing of the command line."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from misora.client.errors import UsageError
from misora.model.weights import Loading, WanWeights, Weights, open_weights
from misora.render import verbs
from misora.render.board import Board, dressed, read_board
from misora.render.cut import Cut
from misora.render.expand import fuller
from misora.render.footage import Footage, Notice, is_file_name, load_clip, load_image, read_mask, said_of
from misora.render.native import Progress
from misora.render.render import render
from misora.render.request import Request
from misora.render.wan import suited
from misora.words.known import unknown_told

if TYPE_CHECKING:
    from typing import Unpack

Clip = Footage | str | Path
Stage = Callable[[str, float | None], tuple[list[dict[str, Any]], Callable[[Request], Footage]]]  # to a scene's cards, and what draws it
WORN = ("style", "camera", "enhance", "enhance_with")  # wishes that become words of the prompt


class Wishes(TypedDict, total=False):
    """What every verb takes, as ``Request`` has it; without a ``seed`` there is a new one each time (``video.request.seed``)."""

    negative: str
    size: str | None
    aspect: str | None
    seed: int | None
    steps: int
    guidance: float
    speed: str
    style: str | None
    camera: str | None
    enhance: bool
    enhance_with: str | None
    enhance_key: str
    references: Clip | Sequence[Clip]
    progress: Progress


class Misora:
    """The networks in memory: ``Misora(weights).generate("a red ball bounces").save("ball.mp4")``.

    Clips and images are paths or ``Footage``. Raises UsageError, MediaError, GenerationError.
    """

    def __init__(self, weights: Weights | WanWeights, stage: Stage | None = None) -> None:
        self.weights, self.stage = weights, stage

    @property
    def loras(self) -> dict[str, float]:
        """How strong each live LoRA is, by its file; it works so from the next video on."""
        return self.weights.strengths if isinstance(self.weights, WanWeights) else {}

    def generate(self, prompt: str, *, seconds: float = Request.seconds, **wishes: Unpack[Wishes]) -> Cut:
        """A video from a sentence; with 0 ``seconds`` a picture."""
        return self.make(_request(prompt, seconds, wishes), wishes)

    def image(self, prompt: str, **wishes: Unpack[Wishes]) -> Cut:
        """A picture from a sentence: a video of one frame."""
        return self.make(_request(prompt, 0.0, wishes), wishes)

    def animate(
        self, image: Clip | None, prompt: str, *, last: Clip | None = None, seconds: float = Request.seconds, **wishes: Unpack[Wishes]
    ) -> Cut:
        """A video that begins with a picture, ends with another, or both; with None in place of ``image`` it only ends with ``last``."""
        first, end = (_image(given) if given is not None else None for given in (image, last))
        return self.make(verbs.animate(_request(prompt, seconds, wishes), first, end), wishes)

    def extend(self, clip: Clip, prompt: str, *, seconds: float = Request.seconds, backward: bool = False, **wishes: Unpack[Wishes]) -> Cut:
        """The clip and what comes after it, or with ``backward`` what led to it."""
        return self.make(verbs.extend(_request(prompt, seconds, wishes), _clip(clip), backward=backward), wishes)

    def connect(self, one: Clip, other: Clip, prompt: str, *, seconds: float = 2.0, **wishes: Unpack[Wishes]) -> Cut:
        """Two clips and a way from the one to the other."""
        return self.make(verbs.connect(_request(prompt, seconds, wishes), _clip(one), _clip(other)), wishes)

    def loop(
        self,
        prompt: Clip,
        clip: Clip | None = None,
        *,
        seconds: float = Request.seconds,
        overlap: str = "normal",
        **wishes: Unpack[Wishes],
    ) -> Cut:
        """A video whose last frame flows into its first, from a sentence or of a clip, in either order."""
        if not isinstance(prompt, str) or is_file_name(prompt):  # as on the command line: CLIP [PROMPT]
            prompt, clip = clip or said_of(prompt) or verbs.LOOP, prompt
        given = _clip(clip) if clip is not None else None
        return self.make(verbs.loop(_request(str(prompt), seconds, wishes), given, overlap), wishes)

    def remix(self, clip: Clip, prompt: str, *, strength: float | str = "mild", **wishes: Unpack[Wishes]) -> Cut:
        """The clip as the prompt has it; ``strength`` from 0, unchanged, to 1, made anew."""
        return self.make(verbs.remix(_request(prompt, Request.seconds, wishes), _clip(clip), strength), wishes)

    def inpaint(
        self,
        clip: Clip,
        prompt: str,
        *,
        mask: str | Path | None = None,
        box: tuple[int, int, int, int] | None = None,
        span: tuple[float, float] | None = None,
        strength: float = 1.0,
        **wishes: Unpack[Wishes],
    ) -> Cut:
        """The clip with a part made anew: white in ``mask``, inside ``box`` (x, y, width, height), from second to second of ``span``."""
        footage = _clip(clip)
        painted = read_mask(mask, footage.size, footage.rate) if mask is not None else None
        request = _request(prompt, Request.seconds, wishes)
        return self.make(verbs.inpaint(request, footage, mask=painted, box=box, span=span, strength=strength), wishes)

    def storyboard(self, board: Board, **wishes: Unpack[Wishes]) -> Cut:
        """One video of several cards: a JSON file, or what is in it."""
        bare: Any = {name: value for name, value in wishes.items() if name not in WORN}
        told = read_board(board, lambda prompt, seconds: _request(prompt, seconds, bare))
        return self.make(dressed(told, lambda prompt: _worn(dataclasses.replace(told, prompt=prompt, parts=()), wishes).prompt), wishes)

    def simulate(
        self,
        scene: str | Path,
        *,
        seconds: float | None = None,
        strength: float | str = "subtle",
        render_only: bool = False,
        **wishes: Unpack[Wishes],
    ) -> Cut:
        """A scene (JSON, or a sentence of the world's grammar) moved by physics, then remixed; ``render_only``: the simulator's pictures.

        ``seconds``: its length, to which the cards of a JSON scene are stretched (None: as they are; a sentence lasts 4).
        Needs ``misora[world]`` and an engine of ``misora.load``. Raises MissingExtraError too.
        """
        if self.stage is None:
            raise UsageError("This engine has no simulator; make it with misora.load().")
        cards, draft = self.stage(str(scene), seconds)
        request, *later = [_request(card["prompt"], sum(card["seconds"] for card in cards), wishes) for card in cards]
        request.check()
        told = [card | {"prompt": one.prompt} for card, one in zip(cards, (request, *later), strict=True)]
        return self.make(verbs.rework(request, draft(request), told, 0.0 if render_only else strength), wishes)

    def make(self, request: Request, wishes: Wishes | None = None) -> Cut:
        """The video that a request describes. Words that the embedded weights have never seen are named in a warning, a ``Notice``."""
        request = suited(request, self.weights, wishes or ())
        if isinstance(self.weights, Weights):
            request.check()
            _warn_of_unknown_words(request)
        if wishes and "progress" in wishes:
            return render(request, self.weights, wishes["progress"])
        return render(request, self.weights)


def load(
    model: str | Path = "embedded",
    loras: Mapping[str, float] | None = None,
    *,
    live: bool = False,
    pack: str | None = None,
    device: str | None = None,
    memory: float | None = None,
    stage: Stage | None = None,
) -> Misora:
    """The networks in memory: the embedded weights, or those of ``model``: a name, a hub id, a folder. Raises CheckpointError,
    and UsageError where there is no such ``device`` (None: the processor for ours, the best there is for Wan's).

    For Wan's weights: LoRA files and how strong each is (with ``live`` they are not merged and ``.loras`` holds their strengths, which may
    be changed between two videos), ``int8`` or ``fp8`` bytes for the matrices, and the gigabytes to take at most (None: what is
    free). ``stage`` simulates scenes; it stands on a floor above this one.
    """
    how = Loading(live=live, packed=pack, device=device, memory=None if memory is None else memory * 1e9)
    return Misora(open_weights(model, loras, how), stage)


def _request(prompt: str, seconds: float, wishes: Wishes) -> Request:
    left_out = [name for name in ("seed",) if wishes.get(name) is None] + ["progress", "references", "enhance_key", *WORN]
    given: dict[str, Any] = {name: value for name, value in wishes.items() if name not in left_out}
    shown = wishes.get("references") or ()
    references = tuple(_clip(clip) for clip in ((shown,) if isinstance(shown, str | Path | Footage) else shown))
    return _worn(Request(prompt=prompt, seconds=seconds, references=references, **given), wishes)


def _worn(request: Request, wishes: Wishes) -> Request:
    """The request with the wishes that become words of its prompt."""
    worn: dict[str, Any] = {name: wishes.get(name) for name in WORN if wishes.get(name)}
    if not worn:
        return request
    request.check()
    prompt, asked = fuller(request.prompt, **worn, seed=request.seed, key=wishes.get("enhance_key", ""))
    return dataclasses.replace(request, prompt=prompt, asked=asked)


def _warn_of_unknown_words(request: Request) -> None:
    for prompt in request.prompts():
        for told in unknown_told(prompt) if prompt != verbs.LOOP else ():  # which nobody wrote
            warnings.warn(told, Notice, stacklevel=4)  # at the caller of the verb


def _clip(clip: Clip) -> Footage:
    return clip if isinstance(clip, Footage) else load_clip(clip)


def _image(image: Clip) -> Footage:
    return image if isinstance(image, Footage) else load_image(image)
