"""The bridge between a game engine and the sound server: messages, a server, a client; no sound.

from diegetic_bridge import Client

with Client(engine="my game", events=["shot"]) as client:
    client.set_prompt("wind over a wide field")
    client.post_event("shot")
"""

from diegetic_bridge.aio import AsyncClient
from diegetic_bridge.client import Client
from diegetic_bridge.clock import ClockOffset
from diegetic_bridge.handler import Handler, WelcomeInfo
from diegetic_bridge.link import BankProgress, ClientStats
from diegetic_bridge.messages import (
    DEFAULT_ENDPOINT,
    VERSION,
    Ack,
    Bus,
    BusSpec,
    Bye,
    DuckSpec,
    Error,
    Event,
    EventSpec,
    Frame,
    Hello,
    Layer,
    Layers,
    Listener,
    Loudness,
    Origin,
    Parameter,
    ParameterSpec,
    Pcm,
    PcmSpec,
    Ping,
    PixelFormat,
    Pong,
    PopSnapshot,
    Prompt,
    PushSnapshot,
    ServerMessage,
    SnapshotSpec,
    Status,
    Switch,
    SwitchSpec,
    Welcome,
)
from diegetic_bridge.pcm import PcmBuffer, PcmStats
from diegetic_bridge.pixels import to_rgb
from diegetic_bridge.protocol import Connection
from diegetic_bridge.security import ClientKeys, ServerKeys
from diegetic_bridge.server import BridgeServer

__all__ = [
    "DEFAULT_ENDPOINT",
    "VERSION",
    "Ack",
    "AsyncClient",
    "BankProgress",
    "BridgeServer",
    "Bus",
    "BusSpec",
    "Bye",
    "Client",
    "ClientKeys",
    "ClientStats",
    "ClockOffset",
    "Connection",
    "DuckSpec",
    "Error",
    "Event",
    "EventSpec",
    "Frame",
    "Handler",
    "Hello",
    "Layer",
    "Layers",
    "Listener",
    "Loudness",
    "Origin",
    "Parameter",
    "ParameterSpec",
    "Pcm",
    "PcmBuffer",
    "PcmSpec",
    "PcmStats",
    "Ping",
    "PixelFormat",
    "Pong",
    "PopSnapshot",
    "Prompt",
    "PushSnapshot",
    "ServerKeys",
    "ServerMessage",
    "SnapshotSpec",
    "Status",
    "Switch",
    "SwitchSpec",
    "Welcome",
    "WelcomeInfo",
    "to_rgb",
]
