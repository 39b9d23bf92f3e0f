"""What an engine says becomes calls of a session, whether it plays live or is read."""

from contextlib import AbstractContextManager
from types import TracebackType

from diegetic.bank import EventSpec
from diegetic.errors import DiegeticError
from diegetic.mixer import commands
from diegetic.mixer.commands import (
    DeclareBus,
    DeclareSnapshot,
    Duck,
    SetBus,
    SetListener,
    SetMaster,
)
from diegetic.session import Session
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
    Switch,
)
from diegetic_bridge.pixels import to_rgb


class Interpreter:
    """Tells `session`; the part of the bridge's handler between open and close.

    What the session refuses is raised as the bridge wants it, `ValueError("field: ...")`.
    """

    def __init__(self, session: Session | None = None) -> None:
        self.session = session

    def on_prompt(self, message: Prompt, at: float) -> None:
        with refusals("text"):
            self._present().set_prompt(
                message.weights if message.blend else message.text,
                ramp=message.ramp,
                guidance=message.guidance,
                sent=at,
            )

    def on_layers(self, message: Layers, at: float) -> None:
        with refusals("layers"):
            self._present().set_layers(message.layers, sent=at)

    def on_parameter(self, message: Parameter, at: float) -> None:
        with refusals("value"):
            self._present().set_parameter(message.name, message.value, message.ramp, sent=at)

    def on_switch(self, message: Switch, at: float) -> None:
        with refusals("value"):
            self._present().set_switch(message.name, message.value, sent=at)

    def on_event(self, message: Event, at: float) -> None:
        with refusals("name"):
            self._present().post_event(
                message.name,
                self._audio_time(at),
                gain_db=message.gain_db,
                bus=message.bus or None,
                position=message.position,
                occlusion=message.occlusion,
                sent=at,
            )

    def on_bus(self, message: Bus, at: float) -> None:
        with refusals("name"):
            self._present().mix(SetBus(message.name, message.gain_db, message.mute, message.fade))

    def on_push_snapshot(self, message: PushSnapshot, at: float) -> None:
        with refusals("name"):
            self._present().mix(commands.PushSnapshot(message.name, message.fade))

    def on_pop_snapshot(self, message: PopSnapshot, at: float) -> None:
        with refusals("name"):
            self._present().mix(commands.PopSnapshot(message.name, message.fade))

    def on_loudness(self, message: Loudness, at: float) -> None:
        with refusals("lufs"):
            self._present().mix(SetMaster(message.lufs))

    def on_listener(self, message: Listener, at: float) -> None:
        with refusals("position"):
            self._present().mix(SetListener(message.position, message.forward, message.up))

    def on_frame(self, message: Frame, at: float) -> None:
        with refusals("pixels"):
            self._present().push_frame(to_rgb(message))

    def _audio_time(self, at: float) -> float | None:
        """Return the audio time (s) of an event of the moment `at`; None leaves it to the sink."""
        return None

    def _present(self) -> Session:
        if self.session is None:
            raise ValueError("session: expected one to be open")
        return self.session


def declare(session: Session, hello: Hello) -> None:
    """Let `session` know all that the engine is going to talk about."""
    for parameter in hello.parameters:
        session.declare_parameter(
            parameter.name, parameter.minimum, parameter.maximum, parameter.default
        )
    for switch in hello.switches:
        session.declare_switch(switch.name, switch.values)
    for bus in hello.buses:
        ducks = [Duck(d.source, d.gain_db, d.attack, d.release) for d in bus.ducks]
        session.mix(DeclareBus(bus.name, bus.parent, ducks))
    for snapshot in hello.snapshots:
        session.mix(DeclareSnapshot(snapshot.name, snapshot.gains_db))
    for event in hello.event_specs:
        session.declare_event(
            EventSpec(
                event.name, event.text, event.variations, event.length, event.gain_db, event.bus
            )
        )


class refusals(AbstractContextManager[None]):  # noqa: N801
    """Turn our errors into those that the bridge answers with: "field: what was expected"."""

    def __init__(self, field: str) -> None:
        self._field = field

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, DiegeticError):
            raise ValueError(f"{self._field}: {error}") from error
