"""What a server says to an engine."""

from msgspec import Struct

from diegetic_bridge.messages.fields import PCM_CHANNELS


class Welcome(Struct, frozen=True, tag="welcome"):
    """The session is open: sound at `rate` Hz, heard about `latency_ms` after it was asked for.

    `pcm`: it comes as `Pcm` messages, as hello wished; their way is not in `latency_ms`.
    """

    version: int
    session: str
    rate: int
    latency_ms: float
    pcm: bool = False


class Ack(Struct, frozen=True, tag="ack"):
    """These events have arrived; they need not be sent again."""

    events: list[int]


class Error(Struct, frozen=True, tag="error"):
    """A message was not used: `field` of it was wrong, and `message` says what was expected.

    `code` is one of: malformed, too-large, unknown-type, invalid, version, second-hello, no-hello,
    undeclared, refused (the session was not opened), rejected (the handler said no), internal. A
    later server may know more. A client itself says invalid, and full: it had to give up events.
    """

    code: str
    field: str
    message: str


class Status(Struct, frozen=True, tag="status"):
    """Counts of all engines since the server started, and how this session's sound is doing.

    Sent about once a second.

    Attributes:
        frames: good frames received, of which `frames_conflated` made way for a newer one.
        events: events received, each counted once.
        buses: changes of a bus, and of the loudness.
        snapshots: snapshots that came in or went.
        listeners: movements of the listener.
        errors: error replies made.
        dropped: messages that were thrown away because they were bad or came out of order.
        unsent: replies for which the peer had no room.
        rtf: compute time per audio time of the generator; 0 when it is not known.
        underruns: times that the device ran dry.
        bank_ready: sounds of declared events that are ready, of `bank_wanted`.
        events_missed: events for which no sound was ready; the nearest was heard instead, if any.
        events_late: events that were heard later than asked for.
        heard: the time of the newest hello or ping that had been heard when the figures from `rtf`
            on were taken: they know of all that the engine had said before it.
    """

    frames: int = 0
    frames_conflated: int = 0
    prompts: int = 0
    layers: int = 0
    parameters: int = 0
    switches: int = 0
    events: int = 0
    buses: int = 0
    snapshots: int = 0
    listeners: int = 0
    errors: int = 0
    dropped: int = 0
    unsent: int = 0
    rtf: float = 0.0
    underruns: int = 0
    bank_ready: int = 0
    bank_wanted: int = 0
    events_missed: int = 0
    events_late: int = 0
    heard: float = 0.0


class Pong(Struct, frozen=True, tag="pong"):
    """Answers the ping of engine time `time`; `server_time` is the server's clock just then."""

    time: float
    server_time: float


class Pcm(Struct, frozen=True, tag="pcm"):
    """A piece of the sound: frames of left and right, float32, little-endian, in ±1.

    `number` counts from 0 in each session. All pieces are `PcmSpec.frames` long, so it says which
    samples these are, and whether one is missing.
    """

    number: int
    samples: bytes

    def __post_init__(self) -> None:
        if len(self.samples) % (4 * PCM_CHANNELS):
            raise ValueError(
                f"samples: expected whole frames of {4 * PCM_CHANNELS} bytes, "
                f"got {len(self.samples)}"
            )


ServerMessage = Welcome | Ack | Error | Status | Pong | Pcm
