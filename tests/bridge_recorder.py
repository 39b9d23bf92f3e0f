"""What the bridge's tests share: a handler that writes down what it hears, and ways to wait."""

import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

from diegetic_bridge import (
    Ack,
    Client,
    Error,
    Event,
    Frame,
    Hello,
    Status,
    Welcome,
    WelcomeInfo,
)

WAIT = 60.0  # seconds that a busy machine may take; no test depends on how long it takes
ANYWHERE = "tcp://127.0.0.1:0"
Reply = TypeVar("Reply", Ack, Error, Status, Welcome)


class Recorder:
    """A handler that writes down what it is told, and is as slow or as broken as a test wants."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.heard: list[tuple[object, float]] = []
        self.opened: list[tuple[Hello, str]] = []
        self.closed: list[str] = []
        self.frames_may_pass = threading.Event()
        self.frames_may_pass.set()
        self.frame_waits = threading.Event()
        self.fault: Exception | None = None

    def on_open(self, hello: Hello, peer: str) -> WelcomeInfo:
        if len(self.opened) > len(self.closed):
            raise ValueError("session: expected one at a time, got a second")
        with self.changed:
            self.opened.append((hello, peer))
            self.changed.notify_all()
        return WelcomeInfo(latency_ms=80.0)

    def _hear(self, message: object, at: float) -> None:
        if self.fault is not None:
            raise self.fault
        with self.changed:
            self.heard.append((message, at))
            self.changed.notify_all()

    on_prompt = on_layers = on_parameter = on_switch = on_event = _hear
    on_bus = on_push_snapshot = on_pop_snapshot = on_loudness = on_listener = _hear

    def on_frame(self, message: Frame, at: float) -> None:
        self.frame_waits.set()
        assert self.frames_may_pass.wait(WAIT)
        self._hear(message, at)

    def on_close(self, peer: str) -> None:
        with self.changed:
            self.closed.append(peer)
            self.changed.notify_all()

    def messages(self, *kinds: type) -> list[object]:
        return [message for message, _ in self.heard if isinstance(message, kinds)]

    def events(self) -> list[str]:
        return [event.name for event in self.messages(Event) if isinstance(event, Event)]

    def until(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, WAIT), f"still waiting; heard {self.heard}"


def until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(round(WAIT * 200)):
        if condition():
            return
        pause.wait(0.005)
    pytest.fail("it never came true")


def hear(client: Client, kind: type[Reply]) -> Reply:
    """Return the first reply of `kind`, passing over others."""
    heard: list[Reply] = []

    def came() -> bool:
        heard.extend(reply for reply in client.poll() if isinstance(reply, kind))
        return bool(heard)

    until(came)
    return heard[0]
