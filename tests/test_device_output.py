"""What a device may say when it is opened: PortAudio's part is played by the test."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import soxr

from diegetic.errors import DeviceError
from diegetic.player import BLOCK, DeviceOutput, outputs
from diegetic.snapshot import FloatArray


class PortAudioError(Exception):
    """As sounddevice has it."""


class Stream:
    """Takes what is written, at once."""

    latency = 0.09
    write_available = 10_000

    def __init__(self, **asked: Any) -> None:
        self.asked = asked
        self.started = False
        self.written: list[FloatArray] = []

    def start(self) -> None:
        self.started = True

    def write(self, frames: FloatArray) -> None:
        assert frames.flags.c_contiguous
        self.written.append(frames.copy())


class SoundDevice:
    """One output of `host`, whose rate is `rate`; `refuses` says why it does not open at one."""

    PortAudioError = PortAudioError

    def __init__(
        self,
        refuses: Callable[[int], str] = lambda rate: "",
        host: str = "ALSA",
        rate: float = 44_100.0,
    ) -> None:
        self._refuses = refuses
        self._host = host
        self._rate = rate
        self.streams: list[Stream] = []

    def query_devices(self, device: object, kind: str) -> dict[str, Any]:
        return {"index": 3, "name": "out", "hostapi": 0, "default_samplerate": self._rate}

    def query_hostapis(self, index: int) -> dict[str, Any]:
        return {"name": self._host}

    def WasapiSettings(self, auto_convert: bool) -> tuple[str, bool]:  # noqa: N802
        return "wasapi", auto_convert

    def OutputStream(self, **asked: Any) -> Stream:  # noqa: N802
        if reason := self._refuses(asked["samplerate"]):
            raise PortAudioError(f"Error opening OutputStream: {reason}")
        self.streams.append(Stream(**asked))
        return self.streams[-1]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Callable[[SoundDevice], DeviceOutput]:
    def open_output(sounddevice: SoundDevice) -> DeviceOutput:
        monkeypatch.setattr(outputs, "import_sounddevice", lambda: sounddevice)
        return DeviceOutput(3)

    return open_output


Opened = Callable[[SoundDevice], DeviceOutput]


def odd_rate(rate: int) -> str:
    return "Invalid sample rate [PaErrorCode -9997]" if rate == 48_000 else ""


def test_a_device_that_takes_48_khz_gets_it_whatever_its_own_rate_is(opened: Opened) -> None:
    sounddevice = SoundDevice()
    output = opened(sounddevice)
    block = np.random.default_rng(0).uniform(-1, 1, (BLOCK, 2)).astype(np.float32)
    output.wait(BLOCK)
    output.write(block)
    [stream] = sounddevice.streams
    assert stream.started
    assert stream.asked["samplerate"] == 48_000
    assert np.array_equal(stream.written[0], block)
    assert output.latency == 0.09


@pytest.mark.parametrize("rate", [44_100, 96_000])
def test_a_device_that_refuses_48_khz_gets_the_same_sound_at_its_own_rate(
    rate: int, opened: Opened
) -> None:
    sounddevice = SoundDevice(odd_rate, rate=rate)
    output = opened(sounddevice)
    [stream] = sounddevice.streams
    assert stream.asked["samplerate"] == rate
    time = np.arange(48_000) / 48_000
    sound = np.stack([np.sin(2764.6 * time), np.cos(2764.6 * time)], 1).astype(np.float32)
    for start in range(0, 48_000, BLOCK):
        output.wait(BLOCK)
        output.write(sound[start : start + BLOCK])
    heard = np.concatenate(stream.written)
    whole = soxr.resample(sound, 48_000, rate)
    np.testing.assert_allclose(heard, whole[: len(heard)], atol=1e-6)
    late = rate - len(heard)
    assert 0 < late <= (output.latency - 0.09) * rate + 1  # it is said how much


def test_a_wait_is_for_the_devices_own_frames(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    sounddevice = SoundDevice(odd_rate, rate=96_000)
    output = opened(sounddevice)
    stream, naps = sounddevice.streams[0], []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        stream.write_available += round(seconds * 96_000)

    monkeypatch.setattr(outputs.time, "sleep", sleep)
    stream.write_available = 512 - 96
    output.wait(BLOCK)
    assert naps == [pytest.approx(0.001)]


@pytest.mark.parametrize(
    ("host", "extra", "latency"),
    [("Windows WASAPI", ("wasapi", True), 0.1), ("JACK Audio", None, 4096 / 48_000)],
)
def test_each_host_is_asked_in_its_own_way(
    host: str, extra: object, latency: float, opened: Opened
) -> None:
    sounddevice = SoundDevice(host=host)
    opened(sounddevice)
    asked = sounddevice.streams[0].asked
    assert (asked["extra_settings"], asked["latency"]) == (extra, latency)
    assert (asked["device"], asked["channels"], asked["dtype"]) == (3, 2, "float32")


@pytest.mark.parametrize(
    ("sounddevice", "message"),
    [
        (
            SoundDevice(lambda rate: "Device unavailable [PaErrorCode -9985]"),
            "audio device 3: Error opening OutputStream: Device unavailable",
        ),
        (SoundDevice(odd_rate, rate=48_000.0), "audio device 3: .* Invalid sample rate"),
        (SoundDevice(odd_rate, rate=0.0), "audio device 3: .* Invalid sample rate"),
        (SoundDevice(host="Windows DirectSound"), "choose its WASAPI or MME twin"),
    ],
)
def test_a_device_that_does_not_open_says_why(
    sounddevice: SoundDevice, message: str, opened: Opened
) -> None:
    with pytest.raises(DeviceError, match=message):
        opened(sounddevice)


def test_a_device_that_is_gone_is_an_error_of_ours(opened: Opened) -> None:
    sounddevice = SoundDevice()
    output = opened(sounddevice)

    def write(frames: FloatArray) -> None:
        raise PortAudioError("Unanticipated host error\n[PaErrorCode -9999]")

    sounddevice.streams[0].write = write  # type: ignore[method-assign]
    with pytest.raises(DeviceError, match="device is gone: Unanticipated host error \\[Pa"):
        output.write(np.zeros((BLOCK, 2), np.float32))
