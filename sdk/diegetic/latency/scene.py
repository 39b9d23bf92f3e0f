"""What is heard before the change, and the changes: known to both processes."""

from typing import TYPE_CHECKING, Literal

from diegetic.layers import UNDER_FOLEY
from diegetic_bridge.messages import EventSpec, ParameterSpec, SwitchSpec

if TYPE_CHECKING:
    from diegetic.session import Session
    from diegetic_bridge.client import Client

Kind = Literal["prompt", "switch", "parameter", "event"]
KINDS: tuple[Kind, ...] = ("prompt", "switch", "parameter", "event")

PROMPT, NEXT_PROMPT = "rain on a tin roof", "humming machinery in a dark corridor"
SURFACE = SwitchSpec("surface", ["concrete", "grass"])
THREAT = ParameterSpec("threat", 0.0, 1.0, 0.0)
SHOT = EventSpec("gunshot", variations=1, length=0.5)  # soon made: each trial begins without it


def prepare(session: "Session") -> "Session":
    """Say what holds from the first sample on, so that a twin can begin alike; return `session`."""
    session.declare_parameter(THREAT.name, THREAT.minimum, THREAT.maximum, THREAT.default)
    session.declare_switch(SURFACE.name, SURFACE.values)
    session.set_prompt(PROMPT)
    session.set_layers(UNDER_FOLEY)  # as if the event were declared already
    session.set_switch(SURFACE.name, SURFACE.values[0])
    return session


def change(client: "Client", kind: Kind) -> None:
    """Let the game say one thing."""
    if kind == "prompt":
        client.set_prompt(NEXT_PROMPT)
    elif kind == "switch":
        client.set_switch(SURFACE.name, SURFACE.values[1])
    elif kind == "parameter":
        client.set_parameter(THREAT.name, THREAT.maximum)
    else:
        client.post_event(SHOT.name)
