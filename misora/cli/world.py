"""``misora world``: simulated clips into a folder, to look at or to learn from; it knows nothing of how they are made."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misora.client.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from misora.data.clip import Clip
    from misora.train.card import Source
    from misora.world.scenes import Mix

MIXES = ("core", "full", "still", "story", "lively")
MOST = 1_000_000  # clips of one command


def add_parser(verbs: Any) -> None:
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("world", help="simulate clips with captions, to look at or to train on")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where they go; made if it is not there")
    parser.add_argument("--clips", type=int, metavar="N", help="how many (default: 16; with --minutes: as many as there is time for)")
    parser.add_argument("--mix", choices=MIXES, default="core", help="which scenes: common, all, still, or event after event")
    parser.add_argument("--seconds", type=float, default=4.0, metavar="N", help="length; 0 for single frames (default: 4)")
    parser.add_argument("--size", default="176x96", metavar="WxH", help="even sides; with --latents multiples of 16 (default: 176x96)")
    parser.add_argument("--rate", type=float, default=12.0, metavar="N", help="frames per second, 1 to 120 (default: 12; shards have 12)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the first clip's seed; the others follow (default: 0)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes that simulate (default: 1)")
    parser.add_argument("--held-out", action="store_true", help="only scenes that training never draws, to measure on")
    parser.add_argument("--latents", metavar="MODEL", help="write shards of latents for training, made by this model's autoencoder")
    parser.add_argument(
        "--kinds", metavar="SG...", help="with --latents: the kinds of the latent frames, S one frame, G four (not --seconds)"
    )
    parser.add_argument("--cut", action="store_true", help="with --kinds: a new shot of the same cast at every S but the first")
    parser.add_argument(
        "--return", dest="returns", action="store_true", help="with --kinds: comes back, and shows its beginning again from the last S on"
    )
    parser.add_argument("--device", default="cpu", metavar="NAME", help="with --latents: cpu, mps or cuda, which draws too (default: cpu)")
    parser.add_argument("--minutes", type=float, metavar="N", help="with --latents: stop after so long; the same command goes on")
    parser.set_defaults(run=run, computes=True)


def run(args: argparse.Namespace) -> None:
    """Simulate and write. Raises MisoraError."""
    try:
        from misora.world import scenes
    except ModuleNotFoundError as error:
        raise MissingExtraError("The simulator is not installed; run `pip install 'misora[world]'`.") from error
    if args.clips is None:
        args.clips = 16 if args.minutes is None else MOST
    if not 1 <= args.clips <= MOST or not 0 <= args.seconds <= 60 or args.workers < 0 or args.seed < 0:
        raise UsageError("Ask for at least one clip of 0 to 60 seconds, with a seed and workers that are not negative.")
    if not 1 <= args.rate <= 120 or (args.latents and args.rate != 12):
        raise UsageError("Give --rate from 1 to 120 frames per second, and leave it out with --latents.")
    if args.seconds == 0 and args.mix != "still":
        raise UsageError("Nothing can move in a single frame; give --mix still, or --seconds above 0.")
    if args.minutes is not None and not (args.latents and args.minutes > 0):
        raise UsageError("Only shards can be continued; give --minutes above 0 and --latents MODEL.")
    mix = {"core": scenes.CORE, "full": scenes.FULL, "still": scenes.STILL, "story": scenes.STORY, "lively": scenes.LIVELY}[args.mix]
    if args.kinds is not None or args.cut or args.returns:
        mix = _patterned(args, mix)
    seeds, size = range(args.seed, args.seed + args.clips), _size(args.size, 16 if args.latents else 2)
    if args.latents:
        count = _write_latents(args, seeds, mix, size)
    else:
        count = _write_files(args, _simulated(args, mix, size)(seeds))
    print(f"{args.folder}  {count} clips of {args.seconds:g} s, {args.size}, of the seeds from {args.seed}")


def _patterned(args: argparse.Namespace, mix: Mix) -> Mix:
    """The mix for clips of ``--kinds``, and ``--seconds`` as those make it. Raises UsageError."""
    if not (args.latents and args.kinds and re.fullmatch("[SG]{1,64}", args.kinds)):
        raise UsageError("Write --kinds as letters S and G, for example SGGGGGGGGGGGS, beside --latents MODEL.")
    from misora.model.autoencoder import frame_places, pixel_frames

    args.seconds = (pixel_frames(args.kinds) - 1) / 12
    cuts = tuple(place / 12 for place in frame_places(args.kinds, "S") if place)
    if args.cut and not cuts:
        raise UsageError("There is nothing to cut to; give --kinds a second S, for example SGGGGGSGGGGGG.")
    if args.returns and (args.cut or args.mix != "core" or len(cuts) != 1 or not 1 <= cuts[0] < args.seconds):
        raise UsageError("A clip that returns has one take of the core mix, of a second or more, and one more S, as in SGGGGGGGGGSGG.")
    if args.returns:
        return dataclasses.replace(mix, long=0.0)
    return dataclasses.replace(mix, cuts=cuts, long=0.0) if args.cut else mix


def _simulated(args: argparse.Namespace, mix: Mix, size: tuple[int, int]) -> Source:
    """Seeds to clips, drawn by the processes that simulate them."""
    from misora.train.cache import simulate
    from misora.world.make import make_clip
    from misora.world.returns import make_return

    make = functools.partial(make_return, again=_again(args.kinds)) if args.returns else make_clip
    clip = functools.partial(make, mix=mix, seconds=args.seconds, frame_rate=args.rate, size=size, held_out=args.held_out)
    return functools.partial(simulate, clip, workers=args.workers if args.workers > 1 else 0)


def _again(kinds: str) -> int:
    """Frames from the last S on."""
    from misora.model.autoencoder import pixel_frames

    return pixel_frames(kinds[kinds.rindex("S") :])


def _drawn_on_card(args: argparse.Namespace, mix: Mix, size: tuple[int, int]) -> Source:
    """Seeds to clips, drawn on the card while other processes simulate."""
    from misora.train.card import drawn, shoot_on_card
    from misora.world.takes import Picture

    picture = Picture(seconds=args.seconds, size=size)
    return functools.partial(drawn, shoot=shoot_on_card, mix=mix, picture=picture, held_out=args.held_out, workers=max(1, args.workers))


def _write_latents(args: argparse.Namespace, seeds: range, mix: Mix, size: tuple[int, int]) -> int:
    """The shards that are not there yet; returns how many clips were added."""
    from misora.model.weights import folder_of, load_autoencoder
    from misora.train.cache import kinds_of
    from misora.train.card import can_draw, device_of, fill_spans

    device = device_of(args.device)
    autoencoder, digest = load_autoencoder(folder_of(args.latents, ("autoencoder",)))
    source = _drawn_on_card if device.type == "cuda" and can_draw() and not args.returns else _simulated
    pattern = [args.kinds] * bool(args.kinds) + ["cut"] * args.cut + ["return"] * args.returns
    return fill_spans(
        args.folder, source(args, mix, size), autoencoder.to(device), seeds=seeds, kinds=args.kinds or kinds_of(args.seconds),
        hash=digest, name="-".join((args.mix, args.size, *pattern)), minutes=args.minutes,
    )  # fmt: skip


def _write_files(args: argparse.Namespace, clips: Iterable[Clip]) -> int:
    """An mp4 (or png) for each clip and beside it a text file with a caption of each card in both languages."""
    import torch

    from misora.media.write import write_image, write_video
    from misora.words.tell import tell

    count = 0
    args.folder.mkdir(parents=True, exist_ok=True)
    for count, clip in enumerate(clips, 1):
        assert clip.truth is not None
        seed = args.seed + count - 1
        frames = torch.from_numpy(clip.frames)  # t h w 3
        if len(frames) > 1:
            write_video(args.folder / f"{seed:08d}.mp4", frames, clip.frame_rate)
        else:
            write_image(args.folder / f"{seed:08d}.png", frames[0])
        graph, rng = clip.truth.graph, random.Random(seed)
        lines = [
            f"{card.start:g}-{card.end:g} s  {tell(graph, i, rng, language).text}"
            for i, card in enumerate(graph.cards)
            for language in ("en", "ja")
        ]
        (args.folder / f"{seed:08d}.txt").write_text("\n".join(lines) + "\n", "utf-8")
    return count


def _size(text: str, step: int) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,4})x([0-9]{1,4})", text)
    height, width = (int(found[2]), int(found[1])) if found else (0, 0)
    if height % step or width % step or not 0 < width * height <= 2**21:
        raise UsageError(f"The size {text!r} cannot be simulated; write WxH in multiples of {step}, for example 176x96.")
    return height, width
