"""``--server URL``: every verb that draws with the same flags, but another machine draws; it knows nothing of sampling.

Prompts are dressed, sizes worked out and boards read here; the server is sent what its API takes, files as they are.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misora.cli import common
from misora.client.errors import UsageError

if TYPE_CHECKING:
    from misora.client.http import Client
    from misora.client.wire import Video
    from misora.render.footage import Footage
    from misora.render.request import Request

ONLY_HERE = ("lora", "pack", "device", "memory")  # how this machine loads weights
TUNING = {"steps": "steps", "guidance": "guidance", "speed": "speed", "negative": "negative_prompt"}
KINDS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
Fields = dict[str, Any]
Ask = Callable[["Client", str, Fields], "Video"]  # a client, the prompt and the common fields, to the video that was ordered


def generate(args: argparse.Namespace) -> None:
    """A sentence. Raises MisoraError."""
    more = {"seconds": _whole(args.seconds)} | _reference(args)
    _make(args, lambda request: _size(request), lambda client, prompt, fields: client.create(prompt, **fields, **more))


def image(args: argparse.Namespace) -> None:
    """A sentence, of which a picture is made. Raises MisoraError."""
    from misora.client.http import Client
    from misora.media.atomic import replacing

    for request, out in _orders(args, common.PICTURES):
        start, client = time.monotonic(), Client(base_url=args.server)
        kind = {"output_format": KINDS[out.suffix.lower()]}
        made = client.image(request.prompt, **_common(args, request), **_size(request), **kind)
        with replacing(out) as beside:
            beside.write_bytes(made)
        _report(args, out, request, {"size": _size(request)["size"], "seconds": 0}, time.monotonic() - start)


def animate(args: argparse.Namespace) -> None:
    """A first picture, and where it is given a last. Raises MisoraError."""
    if args.image is None:
        raise UsageError("A server wants the first picture too; give both, or leave --server out.")
    first = _file(args.image)
    files = {"input_reference": first} | ({"last_frame": _file(args.last)} if args.last else {})
    more = {"seconds": _whole(args.seconds)} | files | _reference(args)
    size = lambda request: _size(request) if args.size or args.aspect else _size_of(first)
    _make(args, size, lambda client, prompt, fields: client.create(prompt, **fields, **more))


def storyboard(args: argparse.Namespace) -> None:
    """Cards. Raises MisoraError."""
    from misora.render.board import cards_of

    cards, loop = cards_of(args.board, args.seconds)
    args.prompt, args.seconds = str(cards[0]["prompt"]), sum(_lasts(card) for card in cards)
    base = common.request_from(args, args.seconds)
    args.seed = base.seed
    for card in cards:
        card["prompt"] = common.dressed_prompt(args, dataclasses.replace(base, prompt=card["prompt"]))[0]
    told = [_card(card) for card in cards]
    more = {"seconds": _whole(args.seconds), "storyboard": told, "loop": loop} | _reference(args)
    first = next((card[name] for card in cards for name in ("image", "clip") if card.get(name)), None)
    size = lambda request: _size_of(first) if first and not (args.size or args.aspect) else _size(request)
    _make(args, size, lambda client, prompt, fields: client.create(prompt, **fields, **more))


def extend(args: argparse.Namespace) -> None:
    """A clip that goes on, or gets a past. Raises MisoraError."""
    clip, seconds = _file(args.clip), int(_whole(args.seconds))
    back = {"backward": True} if args.backward else {}
    _change(args, lambda client, prompt, fields: client.extend(prompt, clip, seconds, **fields, **back))


def connect(args: argparse.Namespace) -> None:
    """Two clips. Raises MisoraError."""
    _edit(args, args.one, {"connect": _file(args.other), "gap": args.seconds})


def loop(args: argparse.Namespace, clip: Path | None) -> None:
    """A loop of a clip, or of a sentence. Raises MisoraError."""
    if clip is not None:
        _edit(args, clip, {"loop": args.overlap})
        return
    more = {"seconds": _whole(args.seconds), "loop": True} | _reference(args)
    _make(args, lambda request: _size(request), lambda client, prompt, fields: client.create(prompt, **fields, **more))


def remix(args: argparse.Namespace, strength: float) -> None:
    """A clip reworked. Raises MisoraError."""
    _edit(args, args.clip, {"strength": strength} | _trim(args))


def inpaint(args: argparse.Namespace, box: tuple[int, int, int, int] | None, strength: float) -> None:
    """A part of a clip made anew. Raises MisoraError."""
    more: Fields = {"strength": strength} | _trim(args) | ({"mask": _file(args.mask)} if args.mask else {})
    if box or args.start is not None or args.stop is not None:
        width, height = map(int, _size_of(_file(args.clip))["size"].split("x"))
        corners = dict(zip(("x", "y", "width", "height"), box or (0, 0, width, height), strict=True))
        span = {"from": args.start, "to": args.stop}
        more["inpaint"] = corners | {name: value for name, value in span.items() if value is not None}
    _edit(args, args.clip, more)


def simulate(args: argparse.Namespace, cards: list[Fields], draw: Callable[[Request], Footage], strength: float) -> None:
    """A scene that is simulated here and reworked there, each of its cards under its own prompt. Raises MisoraError."""
    from misora.media.write import write_video

    with tempfile.TemporaryDirectory(prefix="misora-") as folder:
        request = common.request_from(args, args.seconds)
        args.seed, footage = request.seed, draw(request)
        draft = write_video(Path(folder) / "draft.mp4", footage.frames, footage.rate)
        args.size = args.aspect = None  # the draft has it
        told = common.dressed_cards(args, request, cards)
        _edit(args, draft, {"strength": strength} | ({"storyboard": told} if len(told) > 1 and strength else {}))


def _edit(args: argparse.Namespace, clip: Path, more: Fields) -> None:
    given = _file(clip)
    _change(args, lambda client, prompt, fields: client.edit(prompt, given, **fields, **more))


def _change(args: argparse.Namespace, ask: Ask) -> None:
    """What begins from a clip, whose size it keeps. Raises MisoraError."""
    if args.reference or args.size or args.aspect:
        raise UsageError("A server keeps a clip's size and looks at no --reference beside it; leave those flags or --server out.")
    _make(args, lambda request: {}, ask)


def _make(args: argparse.Namespace, size: Callable[[Request], Fields], ask: Ask) -> None:
    """Order every variation, wait, fetch the files, say where they are. Raises MisoraError."""
    from misora.client.http import Client

    for request, out in _orders(args, (".mp4",)):
        start, client = time.monotonic(), Client(base_url=args.server)
        video = ask(client, request.prompt, _common(args, request) | size(request))
        video = client.finish(video, progress=_teller(args.quiet))
        client.download(video.id, out)
        told = {"id": video.id, "size": video.size, "seconds": int(video.seconds)}
        _report(args, out, request, told, time.monotonic() - start)


def _orders(args: argparse.Namespace, suffixes: tuple[str, ...]) -> list[tuple[Request, Path]]:
    """Each variation's request and its file, known to be possible before anything is sent. Raises UsageError."""
    for name in ONLY_HERE:
        if getattr(args, name):
            raise UsageError(f"--{name} is for weights on this machine; leave it or --server out.")
    common.check_variations(args)
    request = common.request_from(argparse.Namespace(**vars(args) | {"reference": None}), getattr(args, "seconds", None) or 4.0)
    requests = common.varied(request, args.variations)
    if request.asked and not args.quiet:
        print(f"misora: expanded to: {request.prompt}", file=sys.stderr)
    return [
        (one, common.output_path(common.numbered(args.out, i, args.variations), one, suffixes, force=args.force))
        for i, one in enumerate(requests)
    ]


def _common(args: argparse.Namespace, request: Request) -> Fields:
    """What every order says: the seed, and what was asked for of the tuning."""
    asked = {wire: getattr(args, flag) for flag, wire in TUNING.items() if getattr(args, flag) is not None}
    return asked | {"seed": request.seed} | ({"model": args.model} if args.model != "embedded" else {})


def _size(request: Request) -> Fields:
    height, width = request.delivered()
    return {"size": f"{width}x{height}"}


def _size_of(path: Path) -> Fields:
    """A given picture's or clip's own size, as the renderer would take it. Raises MediaError."""
    from misora.media.decode import rgb_frames
    from misora.media.limits import LIMITS
    from misora.render.request import as_given

    width, height, _ = next(iter(rgb_frames(path, LIMITS)))
    height, width = as_given(height, width)
    return {"size": f"{width}x{height}"}


def _file(path: str | Path) -> Path:
    """The path of a picture or a clip, known by its first bytes. Raises MediaError."""
    from misora.media.limits import sniff

    sniff(path)  # before anything is sent
    return Path(path)


def _reference(args: argparse.Namespace) -> Fields:
    if len(args.reference or ()) > 1:
        raise UsageError("A server looks at one --reference; give one.")
    return {"reference": _file(args.reference[0])} if args.reference else {}


def _trim(args: argparse.Namespace) -> Fields:
    return {"trim": {"from": 0, "to": args.seconds}} if args.seconds is not None else {}


def _whole(seconds: float) -> str:
    if seconds != round(seconds):
        raise UsageError(f"A server makes whole seconds; give --seconds {max(1, round(seconds))}, or leave --server out.")
    return str(round(seconds))


def _lasts(card: Fields) -> float:
    """How long a card is: as it says, else as its clip. Raises MediaError."""
    from misora.media.read import probe

    return float(card["seconds"]) if "seconds" in card else round(probe(card["clip"]).seconds, 3)


def _card(card: Fields) -> Fields:
    """A card as the API has it."""
    files = {wire: _file(card[name]) for name, wire in (("image", "image"), ("clip", "video")) if card.get(name)}
    return {"prompt": card["prompt"], "seconds": _lasts(card), "cut": bool(card.get("cut"))} | files


def _report(args: argparse.Namespace, out: Path, request: Request, told: Fields, took: float) -> None:
    if args.json:
        print(json.dumps({"file": str(out), "seed": request.seed} | told | {"took": round(took, 2)}, ensure_ascii=False))
    else:
        length = f"  {told['seconds']} s" if told["seconds"] else ""
        print(f"{out}  seed {request.seed}  {told['size']}{length}  made in {took:.1f} s")


def _teller(quiet: bool) -> Callable[[Video], None]:
    def tell(video: Video) -> None:
        if not quiet and sys.stderr.isatty():
            print(f"\r{video.status} {video.progress} %  ", end="", file=sys.stderr, flush=True)

    return tell
