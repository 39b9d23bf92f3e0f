"""Choose what to play on: a device that works, or the clock where there is none."""

import logging
from dataclasses import dataclass
from pathlib import Path

from diegetic.errors import DeviceError
from diegetic.sink import ClockSink, DeviceSink, Sink, list_devices

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Output:
    """Where sound goes.

    Attributes:
        audible: False when the clock stands in for a device.
        device: name or index as PortAudio knows it; None is the default device.
        description: for people and reports.
    """

    audible: bool
    device: str | int | None
    description: str

    def sink(self, record: Path | None = None) -> Sink:
        """A new sink of this kind; `record` is a WAV file of what was played."""
        if self.audible:
            return DeviceSink(self.device, record=record)
        return ClockSink(record=record)


def choose_output(device: str | None = None, *, no_device: bool = False) -> Output:
    """Return the asked-for `device`, else the default one if it opens, else the clock.

    Raises:
        DeviceError: `device` was asked for and does not open.
    """
    if no_device:
        return Output(False, None, "no device, as asked: paced by the clock")
    if device is not None:
        chosen: str | int = int(device) if device.isdecimal() else device
        _try(chosen)
        return Output(True, chosen, f"device {device}")
    try:
        default = next((found for found in list_devices() if found.default), None)
        if default is None:
            return Output(False, None, "no audio device found: paced by the clock")
        _try(None)
    except DeviceError as error:
        log.info("no device: %s", error)
        return Output(False, None, f"no audio device ({error}): paced by the clock")
    return Output(True, None, f"{default.name} ({default.host})")


def _try(device: str | int | None) -> None:
    """Open and close `device`; a game that is already running should not be the first to know."""
    sink = DeviceSink(device)
    sink.start()
    sink.stop(drain=False)
