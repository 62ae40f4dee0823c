"""A job as a request to the renderer, and its result as files; the only place of the server that knows torch, inside functions.

The one function that maps a job is ``request_of``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misora.client.errors import MisoraError, PolicyError
from misora.server.api.fields import PROMPT
from misora.server.files import SPRITESHEET, THUMBNAIL, VIDEO, Files
from misora.server.guard import BLOCKED
from misora.server.queue.job import Job, made_anew
from misora.server.settings import Settings
from misora.server.working import BlockedError, Progress
from misora.trust.policy import Policy

if TYPE_CHECKING:
    from torch import Tensor

    from misora.render.engine import Misora
    from misora.render.footage import Footage
    from misora.render.request import Request
    from misora.trust.provenance import Signer, Story

SHEET, COLUMNS, CELL = 25, 5, (96, 176)  # frames of a spritesheet, how many in a row, each one's height and width
ENDINGS = {"png": "png", "webp": "webp", "jpeg": "jpg"}
SHARES = {"loading": (0, 2), "drawing": (2, 85), "saving": (85, 99)}  # of the time, as percent


class Renderer:
    """Keeps the weights in memory between jobs. Where a classifier looks at what was made, nobody sees a preview before it did."""

    def __init__(self, files: Files, settings: Settings) -> None:
        self.files, self.settings = files, settings
        self.policy = Policy(settings.policy())
        self.judges = bool(self.policy.coverage["output"])
        self._sealer: Signer | None = None
        self._loaded: tuple[str, Misora] | None = None

    def __call__(self, job: Job, folder: Path, progress: Progress) -> dict[str, Any]:
        """Write ``job``'s three files into ``folder``; facts about them. Raises MisoraError, and whatever ``progress`` raises."""
        from misora.render.footage import noticed

        with noticed() as said:
            facts = self._made(job, folder, progress)
        return facts | {"notices": said}

    def _made(self, job: Job, folder: Path, progress: Progress) -> dict[str, Any]:
        from misora.render.render import render
        from misora.render.wan import suited

        progress(0, "loading")
        engine = self._engine(job.model)
        request = request_of(job, self.files)
        percent = [0]

        def report(stage: str, done: int, total: int) -> None:
            first, last = SHARES.get(stage, (2, 85))
            percent[0] = first + round((last - first) * done / max(1, total))
            progress(percent[0], stage)

        try:
            show = self._previews(job, lambda number: progress(percent[0], "drawing", number))
            video = render(suited(request, engine.weights, job.request), engine.weights, report, show)
            if job.verb == "image":
                return self._picture(job, video, folder)
            path = self._film(job, video, folder)
        except PolicyError:
            raise BlockedError(BLOCKED[1]) from None
        progress(SHARES["saving"][0], "saving")
        facts = _pictures(path, folder, progress) | {"seed": request.seed, "bytes": path.stat().st_size, "sha256": _hash(path)}
        return facts | self._judged([folder / each for each in (THUMBNAIL, SPRITESHEET)], folder)

    def _previews(self, job: Job, tell: Callable[[int], None]) -> Callable[[Tensor], None] | None:
        """What keeps the newest two previews of a job, signed like everything else; None where nobody may see them before the end."""
        from misora.media.write import write_image
        from misora.trust.provenance import Story

        if self.judges or job.review != "none" or job.verb == "image":
            return None
        count = itertools.count(1)

        def show(picture: Tensor) -> None:
            number = next(count)
            path = self.files.preview(job.id, job.fence, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._signer().sealing(path, Story(job=job.id, prompt=job.prompt or "")) as unsigned:
                write_image(unsigned, picture)
            tell(number)
            self.files.preview(job.id, job.fence, number - 2).unlink(missing_ok=True)

        return show

    def _film(self, job: Job, video: Any, folder: Path) -> Path:
        """The finished video, marked, and signed before it has its name; the prompt is in it only as a hash."""
        from misora.media.write import write_video
        from misora.render.request import FRAME_RATE

        story = self._story(job)
        with self._signer().sealing(folder / VIDEO, story) as unsigned:
            frames = self._signer().marked(video.stream(), story, visible=self.settings.visible_mark)
            write_video(unsigned, frames, getattr(video, "rate", FRAME_RATE))
        video.save_latents(folder / VIDEO)
        return folder / VIDEO

    def _judged(self, pictures: list[Path], folder: Path) -> dict[str, Any]:
        """What the policy says of pictures of the result, as facts. Raises BlockedError."""
        from misora.media.read import read_image
        from misora.media.write import write_image

        if not self.judges:
            return {"unchecked": list(self.policy.unchecked)}
        shown = [write_image(folder / f"{path.stem}.check.png", read_image(path)) for path in pictures]
        try:
            decision = self.policy.check_output(shown)
        finally:
            for path in shown:
                path.unlink(missing_ok=True)
        if decision.verdict == "block":
            raise BlockedError(BLOCKED[1])
        return {"unchecked": list(decision.unchecked), "review": decision.verdict == "review"}

    def _picture(self, job: Job, video: Any, folder: Path) -> dict[str, Any]:
        from misora.media.write import write_image

        name = f"picture.{ENDINGS[job.request['format']]}"
        story = self._story(job)
        with self._signer().sealing(folder / name, story) as unsigned:
            write_image(unsigned, next(self._signer().marked(video.stream(), story, visible=self.settings.visible_mark)))
        return {"file": name, "sha256": _hash(folder / name)} | self._judged([folder / name], folder)

    def _signer(self) -> Signer:
        from misora.trust.provenance import Signer

        if self._sealer is None:
            own = {"certificate": self.settings.certificate, "key": self.settings.certificate_key}
            self._sealer = Signer.open(self.files.data / "signing", **own)
        return self._sealer

    def _story(self, job: Job) -> Story:
        from misora.trust.provenance import Story

        asked = job.request
        changed = [asked[name] for name in ("video", "connect") if name in asked]
        cards = [card[name] for card in asked.get("storyboard") or () for name in ("image", "video") if card.get(name)]
        single = [asked.get(name) for name in ("input_reference", "last_frame", "reference")]
        looked_at = [each for each in (*single, *asked.get("characters", ()), *cards) if each]
        parents, inputs = (tuple(self.files.path(each["file"]) for each in used) for used in (changed, looked_at))
        return Story(job=job.id, prompt=job.prompt or "", parents=parents, inputs=inputs)

    def _engine(self, model: str) -> Misora:
        from misora.render.engine import load

        name = self.settings.models.get(model)
        if name is None:
            raise MisoraError(f"The model {model!r} is not set up on this server any more; choose another.")
        if self._loaded is None or self._loaded[0] != name:
            self._loaded = None  # the old ones go before the new ones come
            self._loaded = (name, load(name))
        return self._loaded[1]


def request_of(job: Job, files: Files) -> Request:
    """What the renderer is asked for: the job's numbers, then what its verb makes of them. Raises MisoraError."""
    from misora.render import verbs
    from misora.render.footage import load_clip, load_image
    from misora.render.request import Request

    asked = job.request
    given = {name: asked[name] for name in ("seed", "steps", "guidance", "speed") if name in asked}
    prompt, negative = (plain(text) for text in (job.prompt or "", asked.get("negative_prompt", "")))
    seconds = made_anew(job.verb, job.seconds, asked)
    request = Request(longest=PROMPT, prompt=prompt, negative=negative, seconds=seconds, size=job.size, **given)
    looked_at = [load_clip(files.path(each["file"])) for each in (*asked.get("characters", ()), asked.get("reference")) if each]
    request = dataclasses.replace(request, references=tuple(looked_at))
    clip = load_clip(files.path(asked["video"]["file"])) if "video" in asked else None
    if clip is not None:
        return _changed(request, job, clip, files)
    if asked.get("storyboard"):
        request = verbs.storyboard(request, [_card(card, files) for card in asked["storyboard"]])
    elif asked.get("input_reference"):
        last = load_image(files.path(asked["last_frame"]["file"])) if asked.get("last_frame") else None
        request = verbs.animate(request, load_image(files.path(asked["input_reference"]["file"])), last)
    return verbs.loop(request) if asked.get("loop") else request


def _card(card: dict[str, Any], files: Files) -> dict[str, Any]:
    """A card as the renderer takes it."""
    from misora.render.footage import load_clip, load_image

    told: dict[str, Any] = {"prompt": plain(card["prompt"]), "seconds": card["seconds"], "cut": card.get("cut", False)}
    if card.get("image"):
        told["image"] = load_image(files.path(card["image"]["file"]))
    if card.get("video"):
        told["clip"] = load_clip(files.path(card["video"]["file"]))
    return told


def _changed(request: Request, job: Job, clip: Footage, files: Files) -> Request:
    """The request of a verb that begins from ``clip``."""
    from misora.render import verbs
    from misora.render.footage import load_clip, trimmed

    asked = job.request
    if asked.get("trim"):
        clip = trimmed(clip, asked["trim"]["from"], asked["trim"]["to"])
    match job.verb:
        case "loop":
            return verbs.loop(request, clip, asked["loop"])
        case "extend":
            return verbs.extend(request, clip, backward=asked.get("backward", False))
        case "connect":
            return verbs.connect(request, clip, load_clip(files.path(asked["connect"]["file"])))
        case "inpaint":
            return _inpaint(request, job, clip, files)
        case _:
            cards = [_card(card, files) for card in asked.get("storyboard") or [{"prompt": job.prompt or "", "seconds": clip.seconds}]]
            return verbs.rework(dataclasses.replace(request, prompt=cards[0]["prompt"]), clip, cards, asked.get("strength", "mild"))


def _inpaint(request: Request, job: Job, clip: Footage, files: Files) -> Request:
    from misora.render import verbs
    from misora.render.footage import read_mask

    asked, box = job.request, job.request.get("inpaint") or {}
    span = (float(box.get("from", 0.0)), float(box.get("to", job.seconds))) if "from" in box or "to" in box else None
    mask = read_mask(files.path(asked["mask"]["file"]), clip.size, clip.rate) if asked.get("mask") else None
    corners = (box["x"], box["y"], box["width"], box["height"]) if box and mask is None else None
    return verbs.inpaint(request, clip, mask=mask, box=corners, span=span, strength=asked.get("strength", 1.0))


def plain(text: str) -> str:
    """The text without the control characters that the renderer refuses."""
    return "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")


def _pictures(path: Path, folder: Path, progress: Progress) -> dict[str, Any]:
    """The thumbnail, from the middle, and the spritesheet, read back from the finished file: what people will see."""
    import torch

    from misora.media.decode import rgb_frames
    from misora.media.limits import LIMITS
    from misora.media.read import probe
    from misora.media.sheet import contact_sheet, thumbnail
    from misora.media.write import write_image

    limits = dataclasses.replace(LIMITS, seconds=700.0, frames=20_000, decoded_bytes=1 << 60)
    info = probe(path, limits)
    count = max(1, round(info.seconds * info.frame_rate))
    wanted = {round(index * (count - 1) / (SHEET - 1)) for index in range(SHEET)}
    cells, middle, chosen = [], None, wanted | {0, count // 2}
    for index, (width, height, data) in zip(sorted(chosen), rgb_frames(path, limits, chosen), strict=False):
        frame = torch.frombuffer(bytearray(data), dtype=torch.uint8).view(height, width, 3)  # h w 3
        middle = frame if index <= count // 2 else middle
        cells += [thumbnail(frame, CELL)] if index in wanted else []
        progress(90 + round(9 * index / count), "saving")
    assert middle is not None
    write_image(folder / THUMBNAIL, middle)
    rows = torch.split(torch.stack(cells), COLUMNS)
    write_image(folder / SPRITESHEET, contact_sheet(rows, COLUMNS, CELL))
    return {"frames": count, "width": info.width, "height": info.height}


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
