"""What torch can do with a card of this machine, in words; nothing is chosen here."""

import importlib.util
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diegetic.report import installed_version

if TYPE_CHECKING:
    import torch

GIBI = 2**30
LEAST_MEMORY = 2 * GIBI
"""Free bytes below which a card is called small: libraries and graphs alone take most of them."""


@dataclass(frozen=True)
class Fact:
    """One line: `finding` about `name`, which is of `use` or not, and what to do if not."""

    name: str
    use: bool
    finding: str
    remedy: str = ""


def why_no_cuda() -> str | None:
    """Why torch cannot compute on a card here, in one sentence; None where it can."""
    missing = [name for name in ("torch", "safetensors") if importlib.util.find_spec(name) is None]
    if missing:
        return f"{' and '.join(missing)} not installed (pip install 'diegetic[torch]')"
    import torch

    if torch.version.cuda is None:
        return f"torch {torch.__version__} was built without CUDA"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they say what the error says
            torch.cuda.init()  # type: ignore[no-untyped-call]
            (torch.zeros(1, device="cuda") + 1).item()
    except Exception as error:  # no driver, an old one, a card that this torch was not built for
        return f"torch {torch.__version__} for CUDA {torch.version.cuda}: {first_sentence(error)}"
    return None


def first_sentence(error: Exception) -> str:
    """The first sentence of what an error says; the rest is advice for developers."""
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return line.split(". ")[0].removesuffix(".")


def card_facts() -> list[Fact]:
    """What there is for sessions that share a card: the card, Triton, flash-attn."""
    why = why_no_cuda()
    if importlib.util.find_spec("torch") is None:
        return [Fact("GPU", False, f"none: {why}")]
    import torch

    if why is not None:
        return [Fact("GPU", False, f"none: {why}"), *_kernels(torch.device("cpu"))]
    device = torch.device("cuda", torch.cuda.current_device())
    return [_card(device), *_kernels(device)]


def _card(device: "torch.device") -> Fact:
    import torch

    major, minor = torch.cuda.get_device_capability(device)
    free, total = torch.cuda.mem_get_info(device)
    finding = (
        f"{torch.cuda.get_device_name(device)}, compute capability {major}.{minor}, "
        f"{free / GIBI:.1f} of {total / GIBI:.1f} GiB free; "
        f"torch {torch.__version__} for CUDA {torch.version.cuda}"
    )
    if free < LEAST_MEMORY:
        remedy = "end what else computes there, or take a smaller --max-sessions"
        return Fact("GPU", False, f"{finding}: little memory for many sessions", remedy)
    return Fact("GPU", True, finding)


def kernels_of_streams() -> str:
    """What the transformer of many sessions would run on, on the card that is current, and why."""
    import torch

    from diegetic.config import StreamConfig
    from diegetic.slots.transformer.kernels import choose_kernels
    from diegetic.slots.work import MOST_SESSIONS

    device = torch.device("cuda", torch.cuda.current_device())
    one, many = (
        choose_kernels("auto", StreamConfig(), sessions, device, torch.bfloat16)
        for sessions in (1, MOST_SESSIONS)
    )
    if one.impl == many.impl:
        return many.description
    return f"1 session: {one.description}; {MOST_SESSIONS} sessions: {many.description}"


def _kernels(device: "torch.device") -> list[Fact]:
    """What there is for our own kernels on `device`."""
    import torch

    from diegetic_kernels.choice import table, why_no_flash, why_no_triton

    versions = {name: installed_version(name) for name in ("triton", "flash-attn")}
    if device.type != "cuda":
        return [
            Fact(name, False, f"{version}, for a GPU alone" if version else "not installed")
            for name, version in versions.items()
        ]
    name = torch.cuda.get_device_name(device)
    why = why_no_triton(device)
    if why is not None:
        triton = Fact("triton", False, f"not used: {why}; torch's own kernels run instead")
    elif name in table():
        finding = f"{versions['triton']}; the table says where it beats torch's own kernels"
        triton = Fact("triton", True, finding)
    else:
        finding = f"{versions['triton']}; torch's own kernels run: {name!r} is not in the table"
        remedy = "python -m diegetic_kernels.tune measures it"
        triton = Fact("triton", False, finding, remedy)
    why = why_no_flash(device, torch.bfloat16)
    finding = f"not used: {why}" if why else f"{versions['flash-attn']}, where it is asked for"
    return [triton, Fact("flash-attn", why is None, finding)]
