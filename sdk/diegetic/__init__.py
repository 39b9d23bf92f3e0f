"""Streaming generative audio for games: frames, words, parameters and events become endless sound.

Importing this package loads neither torch nor a device; each public name is loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diegetic.bank import EventSpec
    from diegetic.config import StreamConfig
    from diegetic.errors import DeviceError, DiegeticError, MediaError, WeightsError
    from diegetic.server import Server
    from diegetic.session import Session

__all__ = [
    "DeviceError",
    "DiegeticError",
    "EventSpec",
    "MediaError",
    "Server",
    "Session",
    "StreamConfig",
    "WeightsError",
    "__version__",
]

__version__ = "0.1.0"

_HOME = {
    "DeviceError": "diegetic.errors",
    "DiegeticError": "diegetic.errors",
    "EventSpec": "diegetic.bank",
    "MediaError": "diegetic.errors",
    "Server": "diegetic.server",
    "Session": "diegetic.session",
    "StreamConfig": "diegetic.config",
    "WeightsError": "diegetic.errors",
}


def __getattr__(name: str) -> object:
    """Load a public name from the module where it lives (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
