"""Where sound goes: a device, the clock (no device), the engine, or a file; one face for all.

    generator's thread --write--> ring ==> player process ==> device or clock, and WAV
    any thread         --send---> pipe ==>     (mixer)
                                   ^ supervisor thread: heartbeat, respawn

`write`, `revise`, `taken`, `buffered`, `played` and `clock` may be called by one generating thread;
`start` and `stop` by the thread that owns the session; `send`, `started`, `output_clock` and the
counters by any.
"""

from diegetic.player_process import DeviceInfo, list_devices
from diegetic.sink.kinds import ClockSink, DeviceSink, ThreadSink
from diegetic.sink.pcm import PcmBlock, PcmSink
from diegetic.sink.protocol import PlayClock, Sink, check_writable
from diegetic.sink.ring_sink import CAPACITY
from diegetic.sink.wav import WavSink

__all__ = [
    "CAPACITY",
    "ClockSink",
    "DeviceInfo",
    "DeviceSink",
    "PcmBlock",
    "PcmSink",
    "PlayClock",
    "Sink",
    "ThreadSink",
    "WavSink",
    "check_writable",
    "list_devices",
]
