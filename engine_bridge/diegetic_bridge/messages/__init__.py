"""The messages of bridge v1, as they go over the wire.

One message is one ZeroMQ part: a MessagePack map whose key `type` names the message. Every field
has its limit in its annotation, so that what passes `decode` is safe to use. Unknown keys are
ignored: a minor version may add fields.

    engine -> server   hello; frame, prompt, layers, parameter, switch, event, ping; bye
                       bus, push_snapshot, pop_snapshot, loudness, listener
    server -> engine   welcome; ack, error, status, pong; pcm

Every message of the engine carries `time`: the engine's own monotonic clock in seconds, at which
the thing happened. Its zero may be anywhere; the server estimates the distance to its own clock.
An event's may lie ahead: it is heard then.
"""

from diegetic_bridge.messages.fields import (
    BYTES_PER_PIXEL,
    DEFAULT_ENDPOINT,
    MAX_BLEND,
    MAX_MESSAGE_BYTES,
    MAX_PART_BYTES,
    PCM_CHANNELS,
    VERSION,
    Layer,
    Origin,
    PixelFormat,
)
from diegetic_bridge.messages.replies import (
    Ack,
    Error,
    Pcm,
    Pong,
    ServerMessage,
    Status,
    Welcome,
)
from diegetic_bridge.messages.said import (
    MAX_AHEAD,
    Bus,
    Bye,
    ClientMessage,
    Event,
    Frame,
    Hello,
    Layers,
    Listener,
    Loudness,
    Parameter,
    Ping,
    PopSnapshot,
    Prompt,
    PushSnapshot,
    Said,
    Switch,
)
from diegetic_bridge.messages.specs import (
    BUILT_IN_BUSES,
    BusSpec,
    DuckSpec,
    EventSpec,
    ParameterSpec,
    PcmSpec,
    SnapshotSpec,
    SwitchSpec,
)
from diegetic_bridge.messages.wire import decode, decode_reply, encode, invalid

__all__ = [
    "BUILT_IN_BUSES",
    "BYTES_PER_PIXEL",
    "DEFAULT_ENDPOINT",
    "MAX_AHEAD",
    "MAX_BLEND",
    "MAX_MESSAGE_BYTES",
    "MAX_PART_BYTES",
    "PCM_CHANNELS",
    "VERSION",
    "Ack",
    "Bus",
    "BusSpec",
    "Bye",
    "ClientMessage",
    "DuckSpec",
    "Error",
    "Event",
    "EventSpec",
    "Frame",
    "Hello",
    "Layer",
    "Layers",
    "Listener",
    "Loudness",
    "Origin",
    "Parameter",
    "ParameterSpec",
    "Pcm",
    "PcmSpec",
    "Ping",
    "PixelFormat",
    "Pong",
    "PopSnapshot",
    "Prompt",
    "PushSnapshot",
    "Said",
    "ServerMessage",
    "SnapshotSpec",
    "Status",
    "Switch",
    "SwitchSpec",
    "Welcome",
    "decode",
    "decode_reply",
    "encode",
    "invalid",
]
