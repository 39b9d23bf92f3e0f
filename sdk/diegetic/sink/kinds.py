"""The sinks that play by a ring: on a device or by the clock, from a process or a thread."""

import os
from pathlib import Path

from diegetic.player import ClockOutput, DeviceOutput, Output, PlayerOptions
from diegetic.ring import Ring
from diegetic.sink.hosts import Host, ProcessHost, ThreadHost
from diegetic.sink.ring_sink import RingSink


class _ProcessSink(RingSink):
    def __init__(
        self,
        *,
        use_device: bool,
        device: str | int | None,
        record: Path | None,
        journal: Path | None,
    ) -> None:
        def make_host(ring: Ring, resumed: bool) -> Host:
            return ProcessHost(
                PlayerOptions(
                    ring=ring.name,
                    parent=os.getpid(),
                    use_device=use_device,
                    device=device,
                    record=str(record.absolute()) if record else "",
                    journal=str(journal.absolute()) if journal else "",
                    resumed=resumed,
                )
            )

        super().__init__(make_host, record, journal)


class DeviceSink(_ProcessSink):
    """An audio device, by name, index, or None for the default.

    `record` keeps what was played, `journal` what the mixer did (see `diegetic.mix_journal`).
    """

    def __init__(
        self,
        device: str | int | None = None,
        *,
        record: Path | None = None,
        journal: Path | None = None,
    ) -> None:
        super().__init__(use_device=True, device=device, record=record, journal=journal)


class ClockSink(_ProcessSink):
    """No device: sound passes at the pace of the clock; files as those of a device."""

    def __init__(self, *, record: Path | None = None, journal: Path | None = None) -> None:
        super().__init__(use_device=False, device=None, record=record, journal=journal)


class ThreadSink(RingSink):
    """The same player in a thread of this process, for notebooks and where none can be started.

    A thread that holds the interpreter for longer than the device buffers (0.1 s) is heard.

    Args:
        device: name or index as PortAudio knows it; None is the default device.
        use_device: False only keeps a device's pace.
        record: a WAV file of what was played.
        journal: of what the mixer did.
    """

    def __init__(
        self,
        device: str | int | None = None,
        *,
        use_device: bool = True,
        record: Path | None = None,
        journal: Path | None = None,
    ) -> None:
        def make_output() -> Output:
            return DeviceOutput(device) if use_device else ClockOutput()

        super().__init__(
            lambda ring, resumed: ThreadHost(
                ring, make_output, record, journal=journal, resumed=resumed
            ),
            record,
            journal,
        )
