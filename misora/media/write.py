"""Video and image files from tensors, each written whole or not at all; it knows nothing of where the frames come from."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import av
import av.error
import av.filter
import av.logging
import torch
from av.video.reformatter import VideoReformatter
from torch import Tensor

from misora.client.errors import MediaError
from misora.media.atomic import replacing

av.logging.set_level(None)
os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder writes its settings to standard error otherwise

BT709 = 1  # primaries, transfer and matrix, ITU-T H.273
LIMITED = 1  # luma 16..235, as every player expects
ENCODERS = {
    "h264": ("libx264", {"preset": "veryfast", "crf": "17"}),
    "av1": ("libsvtav1", {"preset": "8", "crf": "28"}),
}
IMAGES = {".png": ("png", "rgb24"), ".jpg": ("mjpeg", "yuvj444p"), ".jpeg": ("mjpeg", "yuvj444p"), ".webp": ("libwebp", "yuv420p")}
VIDEOS = (".mp4", ".mov", ".gif")


class VideoWriter:
    """A constant-rate video file fed frame by frame: ``with VideoWriter(path, 24) as writer: writer.add(frame)``.

    ``.mp4`` and ``.mov`` hold H.264 (or ``codec="av1"``), yuv420p, tagged and converted as BT.709 limited range, with the index first
    (faststart). ``notes`` are tags such as ``description`` and ``comment``. The file appears under its name only when the block ends
    well. Raises MediaError.
    """

    def __init__(self, path: str | Path, frame_rate: float, *, codec: str = "h264", notes: dict[str, str] | None = None) -> None:
        assert codec in ENCODERS, f"codec {codec!r}"
        if Path(path).suffix.lower() not in (".mp4", ".mov"):
            raise MediaError(f"{Path(path).name} is no video name; end it in .mp4, .mov or .gif.")
        self.path, self.frame_rate, self.codec, self.notes = Path(path), _rate(frame_rate), codec, notes or {}
        self._stack = contextlib.ExitStack()
        self._stream: Any = None
        self._convert = VideoReformatter().reformat  # one for all frames: it sets itself up once
        self._frame, self._picture = torch.empty(0), cast(Any, None)
        self._count = 0

    def __enter__(self) -> VideoWriter:
        beside = self._stack.enter_context(replacing(self.path))
        self._container: Any = self._stack.enter_context(av.open(str(beside), "w", options={"movflags": "+faststart"}))
        self._container.metadata.update(self.notes)
        return self

    def add(self, frame: Tensor) -> None:
        """Append one frame [h, w, 3] uint8 RGB with even sides; every frame has the size of the first. One like the last costs least."""
        height, width = frame.shape[0], frame.shape[1]
        if self._stream is None:
            self._open(width, height)
        assert (width, height) == (self._stream.width, self._stream.height), "all frames have the size of the first"
        if not torch.equal(frame, self._frame):
            self._frame, self._picture = frame.clone(), self._convert(to_frame(frame), **_yuv("yuv420p", "ITU709", "MPEG"))
        self._picture.pts, self._picture.time_base = self._count, 1 / self.frame_rate
        self._count += 1
        self._container.mux(self._stream.encode(self._picture))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                if self._stream is None:
                    raise MediaError("A video needs at least one frame.")
                self._container.mux(self._stream.encode(None))
        except BaseException as failure:
            self._stack.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._stack.__exit__(kind, error, trace)

    def _open(self, width: int, height: int) -> None:
        if width % 2 or height % 2:
            raise MediaError(f"A video's sides must be even, and {width}x{height} is not; change the size by one pixel.")
        encoder, options = ENCODERS[self.codec]
        stream: Any = self._container.add_stream(encoder, rate=self.frame_rate, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = width, height, "yuv420p", 1 / self.frame_rate
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = BT709
        context.color_range = LIMITED
        self._stream = stream


def write_video(
    path: str | Path, frames: Tensor | Iterable[Tensor], frame_rate: float, *, codec: str = "h264", notes: dict[str, str] | None = None
) -> Path:
    """Write frames ([t, h, w, 3], or an iterable of [h, w, 3]; uint8 RGB) at ``frame_rate`` per second; the name's ending picks the kind.

    Raises MediaError for an unknown ending, odd sides, no frames, or a place that cannot be written.
    """
    if Path(path).suffix.lower() == ".gif":
        return _write_gif(Path(path), frames, frame_rate)
    with VideoWriter(path, frame_rate, codec=codec, notes=notes) as writer:
        for frame in frames:
            writer.add(frame)
    return Path(path)


def write_image(path: str | Path, image: Tensor) -> Path:
    """Write one picture [h, w, 3] uint8 RGB as PNG, JPEG or WebP, by the name's ending. Raises MediaError."""
    path = Path(path)
    if path.suffix.lower() not in IMAGES:
        raise MediaError(f"{path.name} is no image name; end it in .png, .jpg or .webp.")
    encoder, pixels = IMAGES[path.suffix.lower()]
    picture = to_frame(image)
    if encoder == "mjpeg":  # full range and BT.601 is what JPEG means (JFIF)
        picture = picture.reformat(**_yuv(pixels, "ITU601", "JPEG"))
    elif encoder == "libwebp":  # WebP is BT.601 limited range (RFC 9649)
        picture = picture.reformat(**_yuv(pixels, "ITU601", "MPEG"))
    context: Any = av.CodecContext.create(encoder, "w")
    context.width, context.height, context.pix_fmt, context.time_base = picture.width, picture.height, pixels, Fraction(1, 25)
    context.options = {"quality": "92"} if encoder == "libwebp" else {"qmin": "2", "qmax": "2"} if encoder == "mjpeg" else {}
    with replacing(path) as beside:
        beside.write_bytes(b"".join(bytes(packet) for packet in (*context.encode(picture), *context.encode(None))))
    return path


def to_frame(frame: Tensor) -> Any:
    """A PyAV ``rgb24`` frame holding a copy of [h, w, 3] uint8."""
    height, width, _ = frame.shape
    assert frame.dtype == torch.uint8, f"{frame.dtype}"
    picture: Any = av.VideoFrame(width, height, "rgb24")
    lines = torch.frombuffer(picture.planes[0], dtype=torch.uint8).view(-1, picture.planes[0].line_size)  # h line_size
    lines[:height, : width * 3] = frame.reshape(height, width * 3)
    return picture


def _yuv(pixels: str, matrix: str, value_range: str) -> dict[str, Any]:
    """How RGB becomes one of the YUV formats."""
    return {
        "format": pixels,
        "interpolation": "AREA",
        "dst_colorspace": matrix,
        "src_color_range": "JPEG",
        "dst_color_range": value_range,
    }


def _write_gif(path: Path, frames: Tensor | Iterable[Tensor], frame_rate: float) -> Path:
    """One palette for the whole clip, found first; ordered dither, since error diffusion flickers from frame to frame."""
    pictures = [to_frame(frame) for frame in frames]
    if not pictures:
        raise MediaError("A video needs at least one frame.")
    rate = _rate(frame_rate)
    graph = av.filter.Graph()
    source = graph.add_buffer(width=pictures[0].width, height=pictures[0].height, format=av.VideoFormat("rgb24"), time_base=1 / rate)
    split, palette = graph.add("split"), graph.add("palettegen", "stats_mode=diff")
    use, sink = graph.add("paletteuse", "dither=bayer:bayer_scale=4:diff_mode=rectangle"), graph.add("buffersink")
    source.link_to(split)
    split.link_to(palette, 0)
    split.link_to(use, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    for index, picture in enumerate(pictures):
        picture.pts, picture.time_base = index, 1 / rate
        graph.vpush(picture)
    graph.vpush(None)
    with replacing(path) as beside, av.open(str(beside), "w") as container:
        stream: Any = container.add_stream("gif", rate=rate)
        stream.width, stream.height, stream.pix_fmt = pictures[0].width, pictures[0].height, "pal8"
        for index in range(len(pictures)):
            picture = graph.vpull()
            picture.pts, picture.time_base = index, 1 / rate
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def _rate(frame_rate: float) -> Fraction:
    return Fraction(frame_rate).limit_denominator(1001)
