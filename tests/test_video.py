from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from diegetic.errors import MediaError
from diegetic.snapshot import FloatArray

av = pytest.importorskip("av")
video = pytest.importorskip("diegetic.video")

RATE = 48_000


class Recorder:
    """Hears a tone, and remembers what it was shown and when."""

    def __init__(self) -> None:
        self.frames: list[tuple[float, np.ndarray]] = []
        self.position = 0

    def push_frame(self, pixels: np.ndarray) -> None:
        self.frames.append((self.position / RATE, pixels))

    def read(self, seconds: float) -> FloatArray:
        time = (self.position + np.arange(round(seconds * RATE))) / RATE
        self.position += len(time)
        tone = 0.3 * np.sin(2 * np.pi * 440 * time)
        return np.stack([tone, tone], 1).astype(np.float32)


def make_video(
    path: Path,
    codec: str = "libx264",
    seconds: float = 1.6,
    fps: int = 25,
    sound: bool = False,
    late: int = 0,
) -> Path:
    """A picture that brightens: red is 4 x the frame's number; the first comes `late` frames in."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        audio = output.add_stream("aac", rate=RATE, layout="stereo") if sound else None
        for number in range(round(seconds * fps)):
            picture = np.zeros((90, 160, 3), np.uint8)
            picture[..., 0] = min(4 * number, 255)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number + late, Fraction(1, fps)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if audio is not None:
            frame = av.AudioFrame.from_ndarray(
                np.zeros((2, RATE), np.float32), format="fltp", layout="stereo"
            )
            frame.sample_rate = RATE
            output.mux(audio.encode(frame))
            output.mux(audio.encode(None))
    return path


def streams(path: Path) -> list[tuple[str, str]]:
    with av.open(str(path)) as container:
        return [(stream.type, stream.codec_context.name) for stream in container.streams]


def pictures(path: Path) -> list[tuple[float, int]]:
    """(time, red in the middle) of each picture."""
    with av.open(str(path)) as container:
        return [
            (round(frame.time, 3), int(frame.to_ndarray(format="rgb24")[45, 80, 0]))
            for frame in container.decode(video=0)
        ]


def loudness(path: Path) -> tuple[float, float]:
    """Seconds and RMS of the sound track."""
    with av.open(str(path)) as container:
        parts = [frame.to_ndarray() for frame in container.decode(audio=0)]
    samples = np.concatenate(parts, axis=1)
    return samples.shape[1] / RATE, float(np.sqrt(np.mean(samples**2)))


@pytest.mark.parametrize(
    ("codec", "source", "target"),
    [
        ("libx264", "in.mp4", "out.mp4"),
        ("libx264", "in.mkv", "out.mkv"),
        ("libx264", "in.mkv", "out.mp4"),  # MP4 wants the decode times that Matroska leaves out
        ("mpeg4", "in.avi", "out.mp4"),
    ],
)
def test_the_pictures_are_copied_and_the_sound_is_added(
    tmp_path: Path, codec: str, source: str, target: str
) -> None:
    given = make_video(tmp_path / source, codec)
    seconds = video.sonify(Recorder(), given, tmp_path / target)
    assert seconds == pytest.approx(1.6)
    assert [kind for kind, _ in streams(tmp_path / target)] == ["video", "audio"]
    assert streams(tmp_path / target)[0] == streams(given)[0]
    before, after = pictures(given), pictures(tmp_path / target)
    assert [red for _, red in after] == [red for _, red in before]
    first = after[0][0]
    assert first == pytest.approx(0.0, abs=0.1)  # a muxer may move all streams by its delay
    assert [t - first for t, _ in after] == pytest.approx([t for t, _ in before], abs=0.002)
    length, rms = loudness(tmp_path / target)
    assert length == pytest.approx(1.6, abs=0.05)
    assert rms == pytest.approx(0.3 / np.sqrt(2), rel=0.1)


def test_a_video_that_begins_late_begins_with_its_sound(tmp_path: Path) -> None:
    given = make_video(tmp_path / "in.mkv", late=50)
    assert pictures(given)[0][0] == 2.0
    assert video.sonify(Recorder(), given, tmp_path / "out.mkv") == pytest.approx(1.6)
    times = [time for time, _ in pictures(tmp_path / "out.mkv")]
    assert times[0] == pytest.approx(0.0, abs=0.1)
    assert times[-1] - times[0] == pytest.approx(39 / 25, abs=0.002)


def test_pictures_that_the_container_refuses_are_encoded_anew(tmp_path: Path) -> None:
    if "libvpx" not in av.codecs_available:
        pytest.skip("this FFmpeg has no VP8 encoder")
    given = make_video(tmp_path / "in.webm", "libvpx")
    video.sonify(Recorder(), given, tmp_path / "out.mp4")
    assert len(pictures(tmp_path / "out.mp4")) == 40
    assert streams(tmp_path / "out.mp4")[0][1] != "vp8"


def test_an_old_sound_track_is_left_out(tmp_path: Path) -> None:
    given = make_video(tmp_path / "in.mp4", sound=True)
    video.sonify(Recorder(), given, tmp_path / "out.mp4")
    assert [kind for kind, _ in streams(tmp_path / "out.mp4")] == ["video", "audio"]
    assert loudness(tmp_path / "out.mp4")[1] > 0.1


def test_frames_are_seen_at_fifteen_hertz_in_a_small_size(tmp_path: Path) -> None:
    frames = list(video.read_frames(make_video(tmp_path / "in.mp4", fps=60)))
    times = [time for time, _ in frames]
    assert len(frames) == pytest.approx(1.6 * 15, abs=1)
    assert np.diff(times) == pytest.approx(np.full(len(times) - 1, 1 / 15), abs=0.02)
    assert all(pixels.shape == (72, 128, 3) and pixels.dtype == np.uint8 for _, pixels in frames)


def test_no_frame_is_seen_before_its_time(tmp_path: Path) -> None:
    recorder = Recorder()
    given = make_video(tmp_path / "in.mp4")
    video.sonify(recorder, given, tmp_path / "out.mp4")
    times = [time for time, _ in video.read_frames(given)]
    for (seen, _), time in zip(recorder.frames, times, strict=True):
        assert -1e-6 <= time - seen < video.STEP - 1e-7


def test_the_same_frames_arrive_in_order(tmp_path: Path) -> None:
    recorder = Recorder()
    video.sonify(recorder, make_video(tmp_path / "in.mp4"), tmp_path / "out.mp4")
    reds = [int(pixels[36, 64, 0]) for _, pixels in recorder.frames]
    assert reds == sorted(reds)
    assert reds[-1] > 100


def test_progress_reaches_the_length_of_the_video(tmp_path: Path) -> None:
    seen: list[tuple[float, float]] = []
    given = make_video(tmp_path / "in.mp4", seconds=0.6)
    assert video.duration(given) == pytest.approx(0.6)
    video.sonify(Recorder(), given, tmp_path / "out.mp4", lambda *now: seen.append(now))
    assert seen[-1] == (pytest.approx(0.6), pytest.approx(0.6))


def test_what_is_no_video_is_a_media_error(tmp_path: Path) -> None:
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(bytes(range(256)) * 40)
    for path in (noise, tmp_path / "missing.mp4", tmp_path):
        with pytest.raises(MediaError, match="cannot read"):
            video.sonify(Recorder(), path, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "sound.wav", np.zeros((100, 2)), RATE)
    with pytest.raises(MediaError, match="expected a video stream"):
        video.duration(tmp_path / "sound.wav")


def test_a_video_is_never_overwritten_by_its_own_sound(tmp_path: Path) -> None:
    given = make_video(tmp_path / "in.mp4")
    before = given.read_bytes()
    with pytest.raises(MediaError, match="another file"):
        video.sonify(Recorder(), given, tmp_path / "." / "in.mp4")
    assert given.read_bytes() == before


def test_an_unknown_container_is_a_media_error(tmp_path: Path) -> None:
    given = make_video(tmp_path / "in.mp4")
    with pytest.raises(MediaError, match="cannot write"):
        video.sonify(Recorder(), given, tmp_path / "out.nonsense")


def test_a_broken_off_file_gets_the_sound_of_what_is_left(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "in.mkv", seconds=4.0).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) * 2 // 3])
    seconds = video.sonify(Recorder(), tmp_path / "cut.mkv", tmp_path / "out.mp4")
    assert 0.5 < seconds < 4.0
    assert len(pictures(tmp_path / "out.mp4")) > 10
