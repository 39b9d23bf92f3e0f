"""Events ready before they happen: takes made ahead, chosen at once, played on the very sample."""

from diegetic.bank.bank import EventBank
from diegetic.bank.declaration import EventSpec, Variant
from diegetic.bank.maker import VariationMaker
from diegetic.bank.progress import Counters, Progress, Ready
from diegetic.bank.store import Choice, Clip

__all__ = [
    "Choice",
    "Clip",
    "Counters",
    "EventBank",
    "EventSpec",
    "Progress",
    "Ready",
    "Variant",
    "VariationMaker",
]
