"""Frames out of a file one by one as raw RGB, within limits; it knows nothing of tensors, so a small child process can run it."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Collection, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import av.filter
import av.logging

from misora.client.errors import MediaError
from misora.media.exif import orientation
from misora.media.limits import CODECS, Limits, sniff

av.logging.set_level(None)

CLOCK, COUNTER, MIRROR, OTHER = (f"transpose={how}" for how in ("clock", "cclock", "cclock_flip", "clock_flip"))  # the last two: diagonals
TURNED = {90: (COUNTER,), -90: (CLOCK,), 180: (CLOCK, CLOCK), -180: (CLOCK, CLOCK)}  # degrees
# EXIF's orientations, mirrored ones too. (``vflip`` would do for two of them, but leaves lines that run backwards in memory.)
EXIF = {2: (MIRROR, CLOCK), 3: (CLOCK, CLOCK), 4: (MIRROR, COUNTER), 5: (MIRROR,), 6: (CLOCK,), 7: (OTHER,), 8: (COUNTER,)}
ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # the decoders that read the alpha of a WebM, which others leave out
STILLS = ("png_pipe", "jpeg_pipe", "webp_pipe")
ON_WHITE = "{c}='({c}(X,Y)*alpha(X,Y)+255*(255-alpha(X,Y)))/255'"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Info:
    """What a file says of itself: pixels, frames per second, seconds (0 where it does not say), codec name."""

    width: int
    height: int
    frame_rate: float
    seconds: float
    codec: str


def open_file(path: str | Path, limits: Limits) -> tuple[Any, Any, Info]:
    """Open a file with its demuxer forced by its first bytes: (container, video stream, Info). Raises MediaError."""
    container, stream = _opened(path, limits)
    try:
        info = _info(container, stream)
        limits.check_frame(info.width, info.height)
        limits.check_progress(0, 0, info.seconds)
        if info.frame_rate > limits.frame_rate:
            info = dataclasses.replace(info, frame_rate=_counted_rate(path, container, stream, limits))
            container.close()
            container, stream = _opened(path, limits)  # it was read to its end
    except MediaError:
        container.close()
        raise
    return container, stream, info


def _opened(path: str | Path, limits: Limits) -> tuple[Any, Any]:
    demuxer = sniff(path, limits)
    try:
        container: Any = av.open(
            str(path),
            format=demuxer,
            options={"protocol_whitelist": "file", "codec_whitelist": CODECS, "max_pixels": str(limits.pixels)},
        )
    except (av.error.FFmpegError, ValueError, OSError):
        raise _unreadable(path) from None
    streams = container.streams.video
    if not streams or streams[0].codec_context is None:
        container.close()
        raise MediaError(f"{Path(path).name} has no picture in it; give a video or an image.")
    return container, streams[0]


def _counted_rate(path: str | Path, container: Any, stream: Any, limits: Limits) -> float:
    """The mean rate of the frames, counted, of a file that tells its clock's instead: browsers record so, and so does one that is empty."""
    try:
        stamps = [packet.pts for packet in itertools.islice(container.demux(stream), limits.frames + 1) if packet.size]
    except (av.error.FFmpegError, ValueError, OSError):
        raise _unreadable(path) from None
    if not stamps:
        raise MediaError(f"{Path(path).name} holds no frames; export it again.")
    times = [float(stamp * stream.time_base) for stamp in stamps if stamp is not None]  # seconds
    lasting = max(times, default=0.0) - min(times, default=0.0)
    rate = (len(times) - 1) / lasting if lasting > 0 else 25.0
    if rate > limits.frame_rate:
        raise MediaError(f"{Path(path).name} has {rate:.4g} frames per second; at most {limits.frame_rate:g} can be read.")
    return rate


def rgb_frames(
    path: str | Path, limits: Limits, chosen: Collection[int] | None = None, told: list[str] | None = None
) -> Iterator[tuple[int, int, bytes]]:
    """Yield (width, height, height * width * 3 bytes of RGB) for each frame (or each of the ``chosen`` ones) in turn, upright.

    Raises MediaError. What is transparent lies on white; a clip whose frames last unevenly comes at its mean rate, frames repeated
    or left out. ``told`` gets a sentence for each of the two that was done.
    """
    container, stream, info = open_file(path, limits)
    size = frames = 0
    turn, told = EXIF.get(orientation(path, container.format.name), ()), told if told is not None else []
    with container:
        try:
            for frame in _steady(_checked(_decoded(container, stream, limits), limits), info.frame_rate, told):
                frames, size = frames + 1, size + frame.width * frame.height * 3
                limits.check_progress(frames, size, (frames - 1) / info.frame_rate)
                if chosen is not None and frames - 1 not in chosen:
                    continue  # converting to RGB takes longer than decoding
                if frames == 1 and _has_alpha(frame) and min(packed(frame.reformat(format="rgba"), 4)[3::4]) < 255:
                    told.append("is partly transparent; what is lies on white.")
                whole = _upright(frame, turn if container.format.name in STILLS else TURNED.get(frame.rotation, ()))
                yield whole.width, whole.height, packed(whole.reformat(format="rgb24"))
        except (av.error.FFmpegError, ValueError, OSError):
            raise _unreadable(path) from None
    if frames == 0:
        raise _unreadable(path)


def _decoded(container: Any, stream: Any, limits: Limits) -> Iterator[Any]:
    """The frames as they are stored, with their alpha where they have one."""
    name = ALPHA.get(stream.codec_context.name) if stream.metadata.get("alpha_mode") == "1" else None
    if name is None:
        yield from container.decode(stream)
        return
    decoder: Any = av.CodecContext.create(name, "r")
    decoder.options = {"max_pixels": str(limits.pixels)}
    for packet in container.demux(stream):
        yield from decoder.decode(packet if packet.size else None)


def _checked(frames: Iterator[Any], limits: Limits) -> Iterator[Any]:
    for frame in frames:
        limits.check_frame(frame.width, frame.height)
        yield frame


def _steady(frames: Iterator[Any], rate: float, told: list[str]) -> Iterator[Any]:
    """The frames as they are seen every 1 / ``rate`` seconds; each once where they come at that rate, or do not say when they come."""
    shown, start, before, uneven = 0, 0.0, None, False
    for frame in frames:
        if before is None:
            start = frame.time or 0.0
        elif frame.time is None or before.time is None:
            yield before
            shown += 1
        else:
            due = max(0, math.ceil(min((frame.time - start) * rate, 1e9) - 0.5) - shown)
            yield from itertools.repeat(before, due)
            shown, uneven = shown + due, uneven or due != 1
        before = frame
    if uneven:
        told.append(f"has frames that last unevenly; it is taken at {rate:.4g} per second.")
    if before is not None:
        yield before


def _upright(frame: Any, turn: tuple[str, ...]) -> Any:
    """The frame turned as its file says (phones, EXIF), and on white where it is transparent."""
    clear = [] if not _has_alpha(frame) else ["format=rgba", "geq=" + ":".join((*(ON_WHITE.format(c=c) for c in "rgb"), "a=255"))]
    if not turn and not clear:
        return frame
    graph = av.filter.Graph()
    nodes: list[Any] = [graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000))]
    for name, _, settings in (step.partition("=") for step in (*turn, *clear)):
        nodes.append(graph.add(name, settings or None))
    nodes.append(graph.add("buffersink"))
    for one, other in itertools.pairwise(nodes):
        one.link_to(other)
    graph.configure()
    frame.pts, frame.time_base = 0, Fraction(1, 1000)
    graph.vpush(frame)
    return graph.vpull()


def _has_alpha(frame: Any) -> bool:
    return frame.format.name == "pal8" or any(component.is_alpha for component in frame.format.components)


def packed(frame: Any, channels: int = 3) -> bytes:
    """The bytes of an ``rgb24`` (or, of four channels, ``rgba``) frame without the padding at the end of each line."""
    plane, width = frame.planes[0], frame.width * channels
    lines = memoryview(plane)
    if plane.line_size == width:
        return bytes(lines[: width * frame.height])
    return b"".join(lines[row * plane.line_size : row * plane.line_size + width] for row in range(frame.height))


def _info(container: Any, stream: Any) -> Info:
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    if stream.duration is not None and stream.time_base is not None:
        seconds = float(stream.duration * stream.time_base)
    else:
        seconds = (container.duration or 0) / 1e6
    context = stream.codec_context
    return Info(width=context.width, height=context.height, frame_rate=float(rate), seconds=max(seconds, 0.0), codec=context.name)


def _unreadable(path: str | Path) -> MediaError:
    return MediaError(f"{Path(path).name} is damaged or cut short; export it again.")
