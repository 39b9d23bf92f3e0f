"""What plays: ring and commands -> blocks of 256 -> device (or clock), and the recording of it.

    generator's process                 the player's process
    ring.write  ==shared memory==>  ring.read -> Concealer -\
    sink.send   ======pipe======>   commands ------------- Mixer -> output.write (blocks) -> WAV

It imports numpy, the mixer and, for a device, sounddevice; nothing else runs in its process, so
nothing can make it late. When the ring runs dry the bed decays instead of stopping dead, and fades
in again when there is more; voices sound on. When the generator's process dies, it plays what is
left, finishes the recording and ends.
"""

from diegetic.player.concealer import FADE, Concealer
from diegetic.player.loop import Player, play
from diegetic.player.mixdown import BLOCK, Mixdown
from diegetic.player.options import PlayerOptions
from diegetic.player.outputs import ClockOutput, DeviceOutput, Output, import_sounddevice

__all__ = [
    "BLOCK",
    "FADE",
    "ClockOutput",
    "Concealer",
    "DeviceOutput",
    "Mixdown",
    "Output",
    "Player",
    "PlayerOptions",
    "import_sounddevice",
    "play",
]
