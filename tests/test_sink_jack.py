"""A real device without a card: JACK's dummy, and what it truly played, as JACK recorded it."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from diegetic.errors import DeviceError
from diegetic.mixer.commands import DeclareBus, LoadClip, SetBus, StartVoice
from diegetic.mixer.mixer import Mixer
from diegetic.player import BLOCK, FADE
from diegetic.sink import DeviceSink, list_devices
from diegetic.snapshot import FloatArray

pytestmark = pytest.mark.skipif(
    not (shutil.which("jackd") and shutil.which("jack_rec")), reason="jackd is not installed"
)


_RECORDER = "262144"  # frames; when its buffer is full, it tears a sample in two: noise from there
_ROUNDING = 2.0**-31  # its file holds 32-bit integers


class JackServer:
    """`jackd` on its dummy device, under a name of its own."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, rate: int = 48_000) -> None:
        self._process = subprocess.Popen(
            ["jackd", "-r", "-n", self._name, "-d", "dummy", "-r", str(rate), "-p", "1024"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: subprocess.run(["jack_lsp"], capture_output=True).returncode == 0)

    def die(self) -> None:
        """End without a word; only a new server of that name clears up what this one leaves."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(10)


@pytest.fixture
def jack(monkeypatch: pytest.MonkeyPatch) -> Iterator[JackServer]:
    name = f"diegetic-test-{os.getpid()}"
    monkeypatch.setenv("JACK_NO_AUDIO_RESERVATION", "1")
    monkeypatch.setenv("JACK_DEFAULT_SERVER", name)
    server = JackServer(name)
    server.start()
    yield server
    server.stop()


def wait_until(condition: Callable[[], bool], patience: float = 20.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def jack_device() -> int:
    (device,) = [device for device in list_devices() if "JACK" in device.host]
    assert device.channels >= 2
    return device.index


class Capture:
    """What JACK plays on `ports`, one channel each, for `seconds`."""

    def __init__(self, path: Path, seconds: int, *ports: str) -> None:
        self._path = path
        self._process = subprocess.Popen(
            ["jack_rec", "-f", path, "-d", str(seconds), "-b", "32", "-B", _RECORDER, *ports],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: connections().count("jackrec") >= len(ports))

    def samples(self) -> FloatArray:
        self._process.wait(30)
        samples, _ = soundfile.read(self._path, dtype="float32", always_2d=True)
        return np.asarray(samples, np.float32)


def connections() -> str:
    return subprocess.run(["jack_lsp", "-c"], capture_output=True, text=True).stdout


def counter(start: int, count: int) -> FloatArray:
    """Every sample is another number, exact in float32: what is lost or doubled is seen."""
    ramp = (np.arange(start, start + count) / 2**24 - 0.5).astype(np.float32)
    return np.stack([ramp, -ramp], 1)


def clip(number: int) -> LoadClip:
    noise = np.random.default_rng(number).uniform(-0.1, 0.1, (2400, 2)).astype("<f4")
    return LoadClip(number, noise.tobytes())


@pytest.mark.usefixtures("jack")
def test_a_device_plays_what_was_written_without_a_break(tmp_path: Path) -> None:
    sink = DeviceSink(jack_device(), record=tmp_path / "take.wav")
    sink.start(prime=48_000)
    capture = Capture(tmp_path / "capture.wav", 3, "PortAudio:out_0", "PortAudio:out_1")
    assert 0.08 < sink.latency < 0.3
    sink.write(counter(0, 48_000))
    sink.stop()
    heard = capture.samples()
    assert sink.underruns == 0
    take, _ = soundfile.read(tmp_path / "take.wav", dtype="float32")
    assert np.array_equal(take[:48_000], counter(0, 48_000))
    number = np.rint((heard[:, 0] + 0.5) * 2**24).astype(int)
    first = int(np.flatnonzero(np.abs(heard[:, 0]) > 0.1)[0])
    assert np.array_equal(number[first : first + 48_000], np.arange(48_000))
    assert not heard[first + 48_000 + FADE :].any()


@pytest.mark.usefixtures("jack")
def test_a_device_plays_what_was_mixed_sample_by_sample(tmp_path: Path) -> None:
    told = [
        clip(1),
        clip(2),
        DeclareBus("doors"),
        SetBus("beds", gain_db=-6, fade=0.2, at=20_000),
        StartVoice(1, 1, at=24_001),
        StartVoice(2, 2, at=24_002, gain_db=-3, position=(3, 0, -1), occlusion=0.5),
        StartVoice(3, 1, at=36_013, bus="doors"),
    ]
    bed, mixed, mixer = counter(0, 48_000), np.zeros((48_000, 2), np.float32), Mixer()
    for command in told:
        mixer.apply(command)
    for start in range(0, 48_000, BLOCK):
        mixer.mix(bed[start : start + BLOCK], mixed[start : start + BLOCK])
    mixed = mixed[mixer.delay :]

    sink = DeviceSink(jack_device())
    sink.start(prime=48_000)
    capture = Capture(tmp_path / "capture.wav", 3, "PortAudio:out_0", "PortAudio:out_1")
    for command in told[:-3]:
        sink.send(command)
    sink.write(bed)
    for command in told[-3:]:  # time would begin with a voice, and the bed be later
        sink.send(command)
    sink.stop()
    heard = capture.samples()
    first = int(np.flatnonzero(np.abs(heard[:, 0]) > 0.1)[0])
    assert np.abs(heard[first : first + len(mixed)] - mixed).max() <= _ROUNDING
    assert [start[:3] for start in sink.started()] == [
        (1, 24_001, 24_001),
        (2, 24_002, 24_002),
        (3, 36_013, 36_013),
    ]


def test_a_sound_server_that_died_is_found_again_with_all_clips(
    jack: JackServer, tmp_path: Path
) -> None:
    sink = DeviceSink(jack_device())
    sink.start()
    sink.send(clip(1))
    sink.write(np.zeros((9600, 2), np.float32))
    wait_until(lambda: sink.played() > 0)
    jack.die()
    wait_until(lambda: sink.respawns > 0)
    jack.start()
    given = sink.output_clock().sample
    sink.write(np.zeros((9600, 2), np.float32))
    wait_until(lambda: sink.output_clock().sample > given)
    capture = Capture(tmp_path / "capture.wav", 2, "PortAudio:out_0", "PortAudio:out_1")
    sink.send(StartVoice(1, 1))
    heard = capture.samples()
    sink.stop()
    expected = np.frombuffer(clip(1).samples, "<f4").reshape(-1, 2)
    first = int(np.flatnonzero(heard.any(1))[0])
    assert np.abs(heard[first : first + 2400] - expected).max() <= _ROUNDING
    assert sink.mix_counts.refused == 0


@pytest.mark.usefixtures("jack")
def test_two_sinks_on_one_device_are_both_heard(tmp_path: Path) -> None:
    sinks = [DeviceSink(jack_device()) for _ in range(2)]
    for sink in sinks:
        sink.start(prime=48_000)
    capture = Capture(tmp_path / "capture.wav", 2, "PortAudio:out_0", "PortAudio-01:out_0")
    for sink in sinks:
        sink.write(counter(0, 48_000))
    for sink in sinks:
        sink.stop()
    heard = capture.samples()
    for channel in range(2):
        first = int(np.flatnonzero(heard[:, channel])[0])
        assert np.array_equal(heard[first : first + 40_000, channel], counter(0, 40_000)[:, 0])


@pytest.mark.usefixtures("jack")
def test_an_unknown_device_is_named() -> None:
    with pytest.raises(DeviceError, match="no such device, surely"):
        DeviceSink("no such device, surely").start()


def test_a_device_of_another_rate_plays_the_same_sound(jack: JackServer, tmp_path: Path) -> None:
    jack.stop()
    jack.start(rate=44_100)
    sink = DeviceSink(jack_device(), record=tmp_path / "take.wav")
    sink.start(prime=48_000)
    capture = Capture(tmp_path / "capture.wav", 3, "PortAudio:out_0", "PortAudio:out_1")
    assert 0.08 < sink.latency < 0.3
    angle = 2 * np.pi * 440 / 48_000 * np.arange(48_000)
    sound = 0.5 * np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)
    sink.write(sound)
    sink.stop()
    heard = capture.samples()
    assert sink.underruns == 0
    take, _ = soundfile.read(tmp_path / "take.wav", dtype="float32")
    assert np.array_equal(take[:48_000], sound)
    # Where it begins lies between two samples of the device: a tone is fitted, a break is none
    first = int(np.flatnonzero(np.abs(heard[:, 0]) > 0.1)[0])
    middle = heard[first + 1000 : first + 43_000, 0]
    assert len(middle) == 42_000
    angle = 2 * np.pi * 440 / 44_100 * np.arange(len(middle))
    waves = np.stack([np.cos(angle), np.sin(angle)], 1)
    parts, *_ = np.linalg.lstsq(waves, middle)
    assert np.hypot(*parts) == pytest.approx(0.5, abs=1e-4)
    assert np.abs(middle - waves @ parts).max() < 1e-4
