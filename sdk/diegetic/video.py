"""Give a silent video its sound: frames in, the same pictures out with a generated sound track.

decode  frames at 15 Hz, 128 x 72  →  session  →  48 kHz stereo  →  AAC ┐
demux   packets, untouched ─────────────────────────────────────────────┴→ mux
"""

import logging
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from diegetic.config import CHANNELS, RATE
from diegetic.errors import DiegeticError, MediaError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    VideoPacket: TypeAlias = Packet[VideoStream]

try:
    import av
    from av.error import FFmpegError
except ImportError as error:  # pragma: no cover - depends on the installation
    raise DiegeticError("reading video needs PyAV: pip install 'diegetic[demo]'") from error

logger = logging.getLogger(__name__)

FRAME_RATE = 15
FRAME_WIDTH, FRAME_HEIGHT = 128, 72
STEP = 0.16  # seconds of sound between two looks at the video: one default hop

FloatArray = NDArray[np.float32]
Pixels = NDArray[np.uint8]


class Listener(Protocol):
    """The part of a Session that a video needs."""

    def push_frame(self, pixels: Pixels) -> None: ...

    def read(self, seconds: float) -> FloatArray: ...


def sonify(
    session: Listener,
    source: Path,
    target: Path,
    on_progress: Callable[[float, float], None] = lambda done, total: None,
) -> float:
    """Write `target`: the pictures of `source` with the sound that `session` makes of them.

    `on_progress` receives seconds done and seconds in all (0 when the file does not say).

    Returns:
        Seconds of sound written.

    Raises:
        MediaError: `source` cannot be read as video, or `target` cannot be written.
    """
    if target.exists() and source.exists() and target.samefile(source):
        raise MediaError(f"the output must be another file than the input, got {target} for both")
    total = duration(source)
    # Only a video with at least one readable frame is worth an output file.
    frames = read_frames(source)
    pending = next(frames, None)
    if pending is None:
        raise MediaError(f"cannot read {source}: expected at least one frame, got none")
    with Soundtrack(source, target) as track:
        for step in count(1):
            now = step * STEP
            while pending is not None and pending[0] < now - 1e-6:
                session.push_frame(pending[1])
                pending = next(frames, None)
            track.write(session.read(STEP))
            on_progress(min(now, total) if total else now, total)
            if pending is None:
                break
    return now


def duration(path: Path) -> float:
    """Return the length of the video at `path` in seconds, or 0.0 when the file does not say.

    Raises:
        MediaError: the file cannot be read, or holds no video.
    """
    with _open(path) as container:
        stream = _video_stream(container, path)
        if stream.duration is not None and stream.time_base is not None:
            return float(stream.duration * stream.time_base)
        return container.duration / av.time_base if container.duration else 0.0


def read_frames(
    path: Path, rate: int = FRAME_RATE, device: str = ""
) -> Iterator[tuple[float, Pixels]]:
    """Yield (seconds from the first frame, (72, 128, 3) uint8 RGB), at most `rate` per second.

    `device`: the kind of input device, by FFmpeg's name, whose `path` this is; "" is a file.

    Raises:
        MediaError: the file cannot be read, or holds no video.
    """
    with _open(path, device) as container:
        stream = _video_stream(container, path)
        stream.thread_type = "AUTO"
        first: float | None = None
        due = 0.0
        try:
            for frame in container.decode(stream):
                first = frame.time if first is None else first
                time = frame.time - first
                if time + 1e-6 < due:
                    continue
                due = max(due + 1 / rate, time)
                small = frame.reformat(FRAME_WIDTH, FRAME_HEIGHT, format="rgb24")
                yield time, small.to_ndarray().astype(np.uint8, copy=False)
        except FFmpegError as error:
            # A file that breaks off is worth what could be read of it.
            if first is None:
                raise MediaError(f"cannot read {path}: {_reason(error)}") from error
            logger.warning("%s breaks off after %.1f s: %s", path, due, _reason(error))


def read_picture(path: Path) -> Pixels:
    """The picture at `path` (or the first of a video), (72, 128, 3) uint8 RGB.

    Raises:
        MediaError: it cannot be read.
    """
    for _, pixels in read_frames(path):
        return pixels
    raise MediaError(f"cannot read {path}: expected a picture, got none")


class Soundtrack:
    """A file that takes its pictures from `source` and its sound from `write`.

    Pictures are copied packet by packet where the container of `target` allows it, else encoded
    anew. An existing sound track of `source` is left out.
    """

    def __init__(self, source: Path, target: Path) -> None:
        self._target = target
        self._input = _open(source)
        self._stream = _video_stream(self._input, source)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._output = av.open(str(target), "w")
        except (OSError, ValueError, FFmpegError) as error:
            self._input.close()
            raise MediaError(f"cannot write {target}: {_reason(error)}") from error
        try:
            self._packets = self._copied() if self._copies() else self._encoded()
            self._sound = self._output.add_stream("aac", rate=RATE, layout="stereo")
            self._sound.bit_rate = 192_000
            self._output.start_encoding()
        except (OSError, ValueError, FFmpegError) as error:
            self._input.close()
            self._output.close()
            target.unlink(missing_ok=True)
            raise MediaError(f"cannot write {target}: {_reason(error)}") from error
        self._ahead: VideoPacket | None = None
        self._samples = 0

    def write(self, samples: FloatArray) -> None:
        """Append `samples` (N, 2) float32 at 48 kHz, and all pictures up to their end.

        Raises:
            ValueError: `samples` has another shape.
            MediaError: the file cannot be written.
        """
        if samples.ndim != 2 or samples.shape[1] != CHANNELS:
            raise ValueError(f"samples must be (N, {CHANNELS}), got {samples.shape}")
        planes = np.ascontiguousarray(samples.T, np.float32)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="stereo")
        frame.sample_rate = RATE
        frame.pts = self._samples
        frame.time_base = Fraction(1, RATE)
        self._samples += len(samples)
        try:
            self._output.mux(self._sound.encode(frame))
            self._mux_pictures(self._samples / RATE)
        except (OSError, ValueError, FFmpegError) as error:
            raise MediaError(f"cannot write {self._target}: {_reason(error)}") from error

    def close(self) -> None:
        """Write what is left of the pictures, finish the file and close both.

        Raises:
            MediaError: the file cannot be finished.
        """
        try:
            self._output.mux(self._sound.encode(None))
            self._mux_pictures(float("inf"))
            self._output.close()
        except (OSError, ValueError, FFmpegError) as error:
            raise MediaError(f"cannot write {self._target}: {_reason(error)}") from error
        finally:
            self._input.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _mux_pictures(self, until: float) -> None:
        while True:
            packet = self._ahead or next(self._packets, None)
            self._ahead = None
            if packet is None:
                return
            if packet.dts is not None and float(packet.dts * packet.time_base) > until:
                self._ahead = packet
                return
            self._output.mux(packet)

    def _copies(self) -> bool:
        name = self._stream.codec_context.name
        return name in self._output.supported_codecs

    def _copied(self) -> "Iterator[VideoPacket]":
        copy = self._output.add_stream_from_template(self._stream)
        return self._shifted(copy)

    def _shifted(self, copy: "VideoStream") -> "Iterator[VideoPacket]":
        """The packets of the input, moved so that the first picture is at 0."""
        start = self._stream.start_time or 0
        for packet in _with_decode_times(self._input.demux(self._stream), self._stream):
            assert packet.dts is not None
            packet.pts = (packet.dts if packet.pts is None else packet.pts) - start
            packet.dts -= start
            packet.stream = copy
            yield packet

    def _encoded(self) -> "Iterator[VideoPacket]":
        context = self._stream.codec_context
        fps = self._stream.average_rate or Fraction(25)
        name = next(c for c in ("libx264", "mpeg4") if c in av.codecs_available)
        stream = self._output.add_stream(name, rate=fps)
        assert isinstance(stream, av.VideoStream)
        # Encoders of 4:2:0 pictures want even sides.
        stream.width, stream.height = context.width // 2 * 2, context.height // 2 * 2
        stream.pix_fmt = "yuv420p"
        return self._recoded(stream)

    def _recoded(self, stream: "VideoStream") -> "Iterator[VideoPacket]":
        start = self._stream.start_time or 0
        for frame in self._input.decode(self._stream):
            if frame.pts is None:
                continue
            picture = frame.reformat(stream.width, stream.height, format="yuv420p")
            picture.pts = frame.pts - start
            picture.time_base = frame.time_base
            yield from stream.encode(picture)
        yield from stream.encode(None)


def _with_decode_times(
    packets: "Iterator[VideoPacket]", stream: "VideoStream"
) -> "Iterator[VideoPacket]":
    """Give a decode time to the first packets, which Matroska leaves without one."""
    step = round(1 / ((stream.average_rate or 25) * (stream.time_base or Fraction(1, 1000))))
    waiting: list[VideoPacket] = []
    for packet in packets:
        if packet.dts is None:
            if packet.pts is not None:  # else the demuxer's closing packet
                waiting.append(packet)
            continue
        for before, late in enumerate(reversed(waiting), start=1):
            late.dts = packet.dts - before * step
        yield from waiting
        waiting.clear()
        yield packet
    for late in waiting:  # a video of a frame or two
        late.dts = late.pts
        yield late


def _open(path: Path, device: str = "") -> "InputContainer":
    # macOS' cameras refuse FFmpeg's own wish of 29.97
    options = {"framerate": "30"} if device == "avfoundation" else {}
    try:
        return av.open(str(path), format=device or None, options=options)
    except (OSError, ValueError, FFmpegError) as error:
        raise MediaError(f"cannot read {path}: {_reason(error)}") from error


def _video_stream(container: "InputContainer", path: Path) -> "VideoStream":
    if not container.streams.video:
        container.close()
        raise MediaError(f"cannot read {path}: expected a video stream, got none")
    return container.streams.video[0]


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error).lower()
