"""What a server does with what engines say: the face that the sound side implements."""

from dataclasses import dataclass
from typing import Protocol

from diegetic_bridge.messages import (
    Bus,
    Event,
    Frame,
    Hello,
    Layers,
    Listener,
    Loudness,
    Parameter,
    PopSnapshot,
    Prompt,
    PushSnapshot,
    Said,
    Switch,
)


class Ear(Protocol):
    """The part of a `Handler` that hears what is said in a session."""

    def on_prompt(self, message: Prompt, at: float, /) -> None:
        """The words for what should be heard have changed."""

    def on_layers(self, message: Layers, at: float, /) -> None:
        """Other layers of the endless sound are to be heard."""

    def on_parameter(self, message: Parameter, at: float, /) -> None:
        """A declared parameter moves."""

    def on_switch(self, message: Switch, at: float, /) -> None:
        """A switch takes another value."""

    def on_event(self, message: Event, at: float, /) -> None:
        """Something happens; called once per event, in the order in which the engine said it."""

    def on_bus(self, message: Bus, at: float, /) -> None:
        """A bus that there is changes its gain or is (un)muted."""

    def on_push_snapshot(self, message: PushSnapshot, at: float, /) -> None:
        """A declared snapshot comes in; it is not in yet."""

    def on_pop_snapshot(self, message: PopSnapshot, at: float, /) -> None:
        """A declared snapshot that is in goes."""

    def on_loudness(self, message: Loudness, at: float, /) -> None:
        """The whole mix is to have another loudness, or is left as it comes."""

    def on_listener(self, message: Listener, at: float, /) -> None:
        """The ears have moved."""

    def on_frame(self, message: Frame, at: float, /) -> None:
        """The newest picture; older ones that came with it are left out."""


@dataclass(frozen=True)
class WelcomeInfo:
    """What an opened session tells its engine, the fields of `Welcome`, and who listens to it.

    Attributes:
        ear: hears what is said in this session; None is the handler itself, which then cannot tell
            one session from another.
    """

    rate: int = 48_000
    latency_ms: float = 0.0
    pcm: bool = False
    ear: Ear | None = None


class Handler(Ear, Protocol):
    """What a server does with what engines say.

    All calls come from the receive thread, which stops draining meanwhile: return quickly. `at` is
    when it happened, in seconds of the server's clock (now or in the past, further back after an
    outage; an event's may lie up to a minute ahead). Any call may raise
    `ValueError("field: what was expected")`, which the engine gets as an error reply; any other
    exception is logged and answered with code "internal". Neither ends the session.
    """

    def on_open(self, hello: Hello, peer: str, /) -> WelcomeInfo:
        """Open a session for `peer`; a `ValueError` refuses it."""

    def on_close(self, peer: str, /) -> None:
        """The session of `peer` is over; called exactly once for every `on_open` that returned."""


def deliver(ear: Ear, message: Said | Frame, at: float) -> None:
    """Tell `ear` of `message`, which happened `at` (seconds of the server's clock).

    Raises:
        Exception: whatever it raises.
    """
    match message:
        case Event():  # first: there may be ten thousand a second
            ear.on_event(message, at)
        case Prompt():
            ear.on_prompt(message, at)
        case Layers():
            ear.on_layers(message, at)
        case Parameter():
            ear.on_parameter(message, at)
        case Switch():
            ear.on_switch(message, at)
        case Bus():
            ear.on_bus(message, at)
        case PushSnapshot():
            ear.on_push_snapshot(message, at)
        case PopSnapshot():
            ear.on_pop_snapshot(message, at)
        case Loudness():
            ear.on_loudness(message, at)
        case Listener():
            ear.on_listener(message, at)
        case Frame():
            ear.on_frame(message, at)
