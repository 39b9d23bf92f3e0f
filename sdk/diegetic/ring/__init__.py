"""One producer, one consumer, two processes: stereo float32 and its counters in shared memory."""

from diegetic.ring.layout import ClockReading, Command, MixCounts, Status, Underrun, VoiceStart
from diegetic.ring.memory import Ring

__all__ = ["ClockReading", "Command", "MixCounts", "Ring", "Status", "Underrun", "VoiceStart"]
