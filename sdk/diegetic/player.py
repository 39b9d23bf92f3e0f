"""The process that plays: ring -> blocks of 256 -> device (or clock), and the recording of it.

    generator's process                 this process
    ring.write  ==shared memory==>  ring.read -> Concealer -> output.write (blocks) -> WAV

It imports numpy and, for a device, sounddevice; nothing else runs in it, so nothing can make it
late. When the ring runs dry the sound decays instead of stopping dead, and fades in again when
there is more. When the generator's process dies, it plays what is left, finishes the recording and
ends.

Run as `python -m diegetic.player '<options as JSON>'` by `diegetic.sink`.
"""

import gc
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from diegetic.config import CHANNELS, RATE
from diegetic.crossfade import fade_in
from diegetic.errors import DeviceError, MediaError
from diegetic.ring import Command, Ring, Status
from diegetic.snapshot import FloatArray
from diegetic.wav import WavWriter

BLOCK = 256
FADE = RATE // 100  # 10 ms
DEVICE_LATENCY = 0.1  # asked of PortAudio: below it, blocking writes break under load
JACK_QUEUE = 4096 / RATE  # PortAudio's queue before JACK: a power of two, and not in its latency
PARENT_PATIENCE = 2.0  # s without a heartbeat; longer than any hold of the GIL seen
_AUDIBLE = 1e-4  # an end below this (-80 dBFS) needs no fade


@dataclass(frozen=True)
class PlayerOptions:
    """What the player is told when it starts.

    Attributes:
        ring: name of the shared memory.
        parent: process id of the one who generates.
        use_device: play on a device; otherwise only keep its pace.
        device: name (or part of it) or index; None is the default.
        record: path of a WAV to write, or "".
        resumed: another player died before this one: go on with its recording, and fade in.
    """

    ring: str
    parent: int
    use_device: bool
    device: str | int | None
    record: str
    resumed: bool

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Output(Protocol):
    """Where blocks go: `write` returns when there is room for the next."""

    latency: float

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

    def write(self, block: FloatArray) -> None:
        self._due += len(block) / RATE
        late = self._clock() - self._due
        if late < 0:
            self._sleep(-late)
        elif late > 1.0:  # the machine was suspended: do not rush through what was missed
            self._due += late

    def close(self) -> None:
        pass


class DeviceOutput:
    """A PortAudio stream with blocking writes.

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
            wasapi = "WASAPI" in host  # may refuse 48 kHz otherwise
            settings = self._sounddevice.WasapiSettings(auto_convert=True) if wasapi else None
            jack = "JACK" in host
            self._stream = self._sounddevice.OutputStream(
                samplerate=RATE,
                blocksize=0,
                device=info["index"],
                channels=CHANNELS,
                dtype="float32",
                latency=JACK_QUEUE if jack else DEVICE_LATENCY,
                extra_settings=settings,
            )
            self._stream.start()
        except self._sounddevice.PortAudioError as error:
            wanted = "no audio output" if device is None else f"audio device {device!r}"
            raise DeviceError(f"{wanted}: {_one_line(error)}") from error
        except ValueError as error:
            raise DeviceError(
                f"no audio output {device!r}: {_one_line(error)}; `diegetic devices` lists them"
            ) from error
        self.latency = float(self._stream.latency) + (JACK_QUEUE if jack else 0.0)

    def write(self, block: FloatArray) -> None:
        try:
            self._stream.write(block)
        except self._sounddevice.PortAudioError as error:
            raise DeviceError(f"the audio device is gone: {_one_line(error)}") from error

    def close(self) -> None:
        self._stream.abort()  # all that is to be heard was followed by silence
        self._stream.close()


class Concealer:
    r"""Make whole blocks of whatever the ring has, without ever cutting the sound off.

        ring     xxxxxxxx|  (nothing)   |xxxxxxxx
        heard    xxxxxxxx|\ _ _ _ _ _ _ |/xxxxxxx
                         10 ms decay    10 ms fade-in

    The decay is the last 10 ms backwards, which continues the wave without a jump.
    """

    def __init__(self, *, fade_first: bool = False) -> None:
        self._past = np.zeros((FADE, CHANNELS), np.float32)
        self._ghost = np.zeros((0, CHANNELS), np.float32)  # what is left of the decay
        self._risen = 0 if fade_first else FADE  # samples of the fade-in that are done
        self.dry = False

    def fill(self, fresh: FloatArray, length: int) -> FloatArray:
        """Return `length` samples: `fresh` (at most as many), then the decay and silence."""
        block = np.zeros((length, CHANNELS), np.float32)
        count = len(fresh)
        if count:
            self.dry = False
        if not self.dry and count < length:
            self._add(block[:count], fresh)
            self._dry_up()
            self._add(block[count:], fresh[:0])
        else:
            self._add(block, fresh)
        return block

    def finish(self, fresh: FloatArray) -> FloatArray:
        """Return `fresh` and, if it ends in the middle of a sound, its 10 ms decay."""
        block = np.zeros((len(fresh), CHANNELS), np.float32)
        self._add(block, fresh)
        if not self.dry and np.abs(self._past[-1:]).max() > _AUDIBLE:
            self._dry_up()
        ghost, self._ghost = self._ghost, self._ghost[:0]
        return np.concatenate([block, ghost])

    def _add(self, block: FloatArray, fresh: FloatArray) -> None:
        """Mix into `block` what is left of the decay and, rising, `fresh`."""
        count = min(len(block), len(self._ghost))
        block[:count] += self._ghost[:count]
        self._ghost = self._ghost[count:]
        if len(fresh) and self._risen < FADE:
            gain = fade_in(FADE)[self._risen : self._risen + len(fresh)]
            fresh = fresh.copy()
            fresh[: len(gain)] *= gain
            self._risen += len(gain)
        block[: len(fresh)] += fresh
        self._past = np.concatenate([self._past, block])[-FADE:]

    def _dry_up(self) -> None:
        self._ghost = self._past[::-1] * fade_in(FADE)[::-1]
        self._risen = 0
        self.dry = True


class Player:
    """The loop, over a `ring`, an `output` and an optional `record`; one thread owns it."""

    def __init__(
        self,
        ring: Ring,
        output: Output,
        record: WavWriter | None,
        *,
        resumed: bool = False,
        parent_lives: Callable[[], bool] = lambda: True,
    ) -> None:
        self._ring = ring
        self._output = output
        self._record = record
        self._parent_lives = parent_lives
        self._concealer = Concealer(fade_first=resumed)
        self._started = resumed

    def run(self) -> None:
        """Play until told to end or the parent is gone; then fade, and let the device empty."""
        while self._parent_lives() and self._ring.command is Command.PLAY:
            self._step()
        while self._ring.command is not Command.STOP and self._ring.available >= BLOCK:
            self._play(self._concealer.fill(self._ring.read(BLOCK), BLOCK))
        left = BLOCK if self._ring.command is not Command.STOP else 0
        ending = self._concealer.finish(self._ring.read(left))
        self._keep(ending)
        silence = np.zeros((round((self._output.latency + 0.05) * RATE), CHANNELS), np.float32)
        rest = np.concatenate([ending, silence])
        for start in range(0, len(rest), BLOCK):
            self._output.write(rest[start : start + BLOCK])
            self._ring.set_clock(time.monotonic_ns())

    def _step(self) -> None:
        ready = self._ring.available
        if not self._started:
            if ready < max(BLOCK, self._ring.prime):
                self._output.write(np.zeros((BLOCK, CHANNELS), np.float32))
                self._ring.set_clock(time.monotonic_ns())
                return
            self._started = True
        if self._concealer.dry and ready < BLOCK:
            ready = 0  # come back with a whole block or not at all
        fresh = self._ring.read(min(ready, BLOCK))
        if len(fresh) < BLOCK:
            if not self._concealer.dry:
                position = self._ring.read_count + self._ring.concealed
                self._ring.begin_underrun(position)
            self._ring.extend_underrun(BLOCK - len(fresh))
        self._play(self._concealer.fill(fresh, BLOCK))

    def _play(self, block: FloatArray) -> None:
        self._output.write(block)
        self._ring.set_clock(time.monotonic_ns())
        self._keep(block)

    def _keep(self, block: FloatArray) -> None:
        """Add to the recording; when that fails, the sound goes on without it."""
        if not self._record:
            return
        try:
            self._record.write(block)
        except MediaError as error:
            self._record = None
            self._ring.set_status(Status.PLAYING, str(error))


def main(arguments: list[str]) -> int:
    """Run as a child process; whatever goes wrong is told through the ring."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it says how to end
    signal.signal(
        signal.SIGTERM, lambda number, frame: sys.exit(1)
    )  # by way of the recording's close
    if arguments == ["--devices"]:
        return _print_devices()
    options = PlayerOptions(**json.loads(arguments[0]))
    gc.disable()
    ring = Ring.attach(options.ring)
    record: WavWriter | None = None
    output: Output | None = None
    try:
        if options.record:
            record = WavWriter(Path(options.record), append=options.resumed)
        output = DeviceOutput(options.device) if options.use_device else ClockOutput()
        ring.set_latency(output.latency)
        ring.set_clock(time.monotonic_ns())
        ring.set_status(Status.PLAYING)
        lives = _parent_watch(ring, options.parent)
        Player(ring, output, record, resumed=options.resumed, parent_lives=lives).run()
        status, error = Status.ENDED, ""
    except MediaError as failure:
        status, error = Status.MEDIA_FAILED, str(failure)
    except DeviceError as failure:
        status, error = Status.DEVICE_FAILED, str(failure)
    except Exception as failure:  # nobody reads this process's output: the parent tells it
        status, error = Status.DEVICE_FAILED, f"player: {type(failure).__name__}: {failure}"
    finally:
        if record:
            with suppress(MediaError):
                record.close()
    ring.set_status(status, error)
    if output:
        output.close()  # last: a dead sound server can hang here
    ring.close()
    return 0 if status is Status.ENDED else 1


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


def _parent_watch(ring: Ring, parent: int) -> Callable[[], bool]:
    """Return a function that tells whether the parent lives: by its id and by its heartbeat."""
    adopted = sys.platform != "win32" and os.getppid() == parent

    def lives() -> bool:
        if adopted and os.getppid() != parent:
            return False
        return ring.producer_age() < PARENT_PATIENCE

    return lives


def _print_devices() -> int:
    """Answer `--devices`: JSON behind a marker, for sound libraries print what they like."""
    try:
        sounddevice = import_sounddevice()
    except DeviceError as error:
        answer: dict[str, Any] = {"error": str(error)}
    else:
        default = sounddevice.default.device[1]
        answer = {
            "devices": [
                {
                    "index": device["index"],
                    "name": device["name"],
                    "host": sounddevice.query_hostapis(device["hostapi"])["name"],
                    "channels": device["max_output_channels"],
                    "rate": device["default_samplerate"],
                    "default": device["index"] == default,
                }
                for device in sounddevice.query_devices()
                if device["max_output_channels"] > 0
            ]
        }
    sys.stdout.write(f"\ndiegetic-devices {json.dumps(answer)}\n")
    return 0


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
