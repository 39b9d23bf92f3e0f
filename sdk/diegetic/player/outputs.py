"""Where the player's blocks go: the clock, or a device by blocking writes."""

import importlib
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from diegetic.config import CHANNELS, RATE
from diegetic.errors import DeviceError
from diegetic.player.resampling import held_back, resampler
from diegetic.snapshot import FloatArray

DEVICE_LATENCY = 0.1  # asked of PortAudio: below it, blocking writes break under load
JACK_QUEUE = 4096  # frames of PortAudio's queue before JACK: a power of two, not in its latency
_WAITS = 20  # of a block each: a device takes no lumps longer than that, unless it is gone


class Output(Protocol):
    """Where blocks go, each after a `wait` for it: what is mixed then is heard the soonest."""

    latency: float

    def wait(self, samples: int) -> None:
        """Return when there is room for `samples`, or when it is better to write and see."""

    def write(self, block: FloatArray) -> None: ...

    def close(self) -> None: ...


class ClockOutput:
    """No device: takes blocks at the pace of the clock."""

    latency = 0.0

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._due = clock()

    def wait(self, samples: int) -> None:
        late = self._clock() - self._due
        if late < 0:
            self._sleep(-late)
        elif late > 1.0:  # the machine was suspended: do not rush through what was missed
            self._due += late

    def write(self, block: FloatArray) -> None:
        self._due += len(block) / RATE

    def close(self) -> None:
        pass


class DeviceOutput:
    """A PortAudio stream with blocking writes, at 48 kHz or else at the device's own rate.

    Raises:
        DeviceError: PortAudio, the device, or the format is not to be had.
    """

    def __init__(self, device: str | int | None) -> None:
        self._sounddevice = import_sounddevice()
        try:
            info = self._sounddevice.query_devices(device, "output")
            host = self._sounddevice.query_hostapis(info["hostapi"])["name"]
            if "DirectSound" in host:  # PortAudio's blocking write does nothing there
                raise DeviceError(
                    f"{info['name']} is a {host} device: choose its WASAPI or MME twin"
                )
            self._rate, self._stream = self._open(info, host)
            self._stream.start()
        except self._sounddevice.PortAudioError as error:
            wanted = "no audio output" if device is None else f"audio device {device!r}"
            raise DeviceError(f"{wanted}: {_one_line(error)}") from error
        except ValueError as error:
            raise DeviceError(
                f"no audio output {device!r}: {_one_line(error)}; `diegetic devices` lists them"
            ) from error
        self._resample = resampler(self._rate)
        queue = JACK_QUEUE / self._rate if "JACK" in host else 0.0
        self.latency = float(self._stream.latency) + queue + held_back(self._rate)

    def _open(self, info: Any, host: str) -> tuple[int, Any]:
        """Return the rate (Hz) that the device takes, and a stream of it."""
        wasapi = "WASAPI" in host  # may refuse 48 kHz otherwise
        settings = self._sounddevice.WasapiSettings(auto_convert=True) if wasapi else None

        def stream(rate: int) -> Any:
            return self._sounddevice.OutputStream(
                samplerate=rate,
                blocksize=0,
                device=info["index"],
                channels=CHANNELS,
                dtype="float32",
                latency=JACK_QUEUE / rate if "JACK" in host else DEVICE_LATENCY,
                extra_settings=settings,
            )

        try:
            return RATE, stream(RATE)
        except self._sounddevice.PortAudioError:
            own = round(info["default_samplerate"])
            if own == RATE or own <= 0:
                raise
            return own, stream(own)

    def wait(self, samples: int) -> None:
        frames = math.ceil(samples * self._rate / RATE)
        for _ in range(_WAITS):
            with self._present():
                missing = frames - self._stream.write_available
            if missing <= 0:
                return
            time.sleep(missing / self._rate)

    def write(self, block: FloatArray) -> None:
        frames = self._resample(block)
        if len(frames):
            with self._present():
                self._stream.write(frames)

    def close(self) -> None:
        self._stream.abort()  # all that is to be heard was followed by silence
        self._stream.close()

    @contextmanager
    def _present(self) -> Iterator[None]:
        try:
            yield
        except self._sounddevice.PortAudioError as error:
            raise DeviceError(f"the audio device is gone: {_one_line(error)}") from error


def import_sounddevice() -> Any:
    """Return the sounddevice module, which is untyped.

    Raises:
        DeviceError: PortAudio is not installed.
    """
    try:
        return importlib.import_module("sounddevice")
    except OSError as error:
        raise DeviceError(
            "PortAudio is not installed; on Debian and Ubuntu: apt install libportaudio2"
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
