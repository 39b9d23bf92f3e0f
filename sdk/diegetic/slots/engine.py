"""Many sessions on one device: chunks of all that are due, in one go.

    work    (state, what is said, NFE) ─┐
    work    (state, what is said, NFE) ─┼─> step ─> chunk, state · chunk, state · chunk, state
    work    (state, what is said, NFE) ─┘

The batched sister of `diegetic.generator.ChunkGenerator`: a state is a value, and a session's
chunks do not depend on who else is in the batch.
"""

import logging
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np
import torch

from diegetic.config import StreamConfig
from diegetic.errors import DiegeticError
from diegetic.flow import Solver, solver, student_solver, usual_evaluations
from diegetic.generator import WEIGHTS
from diegetic.hold import Hold
from diegetic.networks import FloatArray
from diegetic.scene import SETTLED, age_of, recalled
from diegetic.slots.chunk import ChunkMaker
from diegetic.slots.lanes import Lanes, buckets_for
from diegetic.slots.noise import NoiseAhead
from diegetic.slots.pages import BLANK, SCRAP, Page, PagePool
from diegetic.slots.transformer.kernels import Wanted, choose_kernels
from diegetic.slots.work import MOST_SESSIONS, Made, Progress, Work
from diegetic.snapshot import MAX_GUIDANCE, MIN_GUIDANCE, Conditioning, null_conditioning
from diegetic.torch_backend import load_modules
from diegetic.weights import read_distilled

DType = Literal["auto", "float32", "bfloat16"]
_NOISE_THREADS = 8
_FIELDS = ("words", "frames", "values", "times", "present")
_NULL = null_conditioning()

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Said:
    """What was said, and where on the device it lies, ready for attention."""

    conditioning: Conditioning
    page: Page


@dataclass(frozen=True, eq=False)
class SlotState:
    """Everything that the next chunk depends on besides its conditioning.

    It holds a page of the device until it is let go of.

    Attributes:
        seed: of the stream.
        position: latents made so far.
        page: ring of keys and values, decoder, synthesis.
        said: what was said last; said again, it costs nothing.
        age: of its scene, in chunks.
        hold: the page that it comes back to.
    """

    seed: int
    position: int
    page: Page
    said: Said
    age: int = SETTLED
    hold: Hold[Page] = field(default_factory=Hold)


class SlotEngine:
    """Makes chunks for up to `sessions` sessions; any thread may call it, one is served at a time.

    Args:
        weights: folder with the weights; those that are shipped, unless given.
        config: lengths of all streams.
        nfe: network evaluations per chunk that sessions may ask for, the usual one first; as for
            `ChunkGenerator`.
        sessions: that are to be served.
        kept: states of a session that are held at a time; enough for a live one, unless given.
        device: "cpu", "cuda" or "cuda:N".
        dtype: of weights, keys and values; `auto` is bfloat16 on a GPU and float32 elsewhere.
        graphs: hold chunks in CUDA graphs, one a bucket; the CPU has none.
        kernels: that the transformer runs on, for as long as the engine lives; `auto` is what the
            card's table says.
        progress: is told of the warm-up, which is over when the engine is made.

    Raises:
        WeightsError: the weights are missing, damaged or of another version.
        DiegeticError: an argument is out of its limits, or the device is not there or too small.
    """

    def __init__(
        self,
        weights: Path | None = None,
        *,
        config: StreamConfig | None = None,
        nfe: Sequence[int] | None = None,
        sessions: int = 8,
        kept: int | None = None,
        device: str = "cpu",
        dtype: DType = "auto",
        graphs: bool = True,
        kernels: Wanted = "auto",
        progress: Progress | None = None,
    ) -> None:
        self.config = StreamConfig() if config is None else config
        if not 1 <= sessions <= MOST_SESSIONS:
            raise DiegeticError(f"sessions must be in 1 .. {MOST_SESSIONS}, got {sessions}")
        folder = WEIGHTS if weights is None else weights
        distilled = read_distilled(folder)
        if nfe is None:
            nfe = (usual_evaluations(distilled),)
        if not nfe or min(nfe) < 1:
            raise DiegeticError(f"nfe must be one or more numbers from 1 on, got {tuple(nfe)}")
        if self.config.prefix_latents < self.config.hop_latents:
            raise DiegeticError(
                f"prefix must be no shorter than hop ({self.config.hop} s), "
                f"got {self.config.prefix} s"
            )
        self.device = _device(device)
        self.dtype = _dtype(dtype, self.device)
        way = student_solver if distilled else solver
        self._solvers: dict[int, Solver] = {count: way(count) for count in nfe}
        self.nfe = next(iter(self._solvers))
        self.sessions = sessions
        self.buckets = buckets_for(sessions)
        most = self.buckets[-1]
        self.kernels = choose_kernels(kernels, self.config, most, self.device, self.dtype)
        log.info("the transformer runs on %s", self.kernels.description)
        self.stages_ms: dict[str, float] = {}
        self.costs: dict[tuple[int, int], float] = {}
        self._lock = threading.Lock()
        held = sessions * (1 + (self.config.chunks_kept + 1 if kept is None else kept))
        self._states = PagePool(held, "state")
        self._texts = PagePool(held, "conditioning")
        try:
            self._load(folder, graphs, progress)
        except torch.OutOfMemoryError as error:
            raise DiegeticError(
                f"{self.device} has too little memory for {sessions} sessions: {error}"
            ) from error
        threads = min(_NOISE_THREADS, os.cpu_count() or 1) if self._on_gpu else 0
        self._noise = NoiseAhead(self.config, threads, 2 * self.buckets[-1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def state_type(self) -> type[SlotState]:
        return SlotState

    def close(self) -> None:
        """Let go of the threads that make noise."""
        self._noise.close()

    @property
    def room(self) -> int:
        """States that can still be made before older ones are let go of."""
        return self._states.free

    def start(self, seed: int) -> SlotState:
        """The state before the first chunk: nothing was heard yet.

        Raises:
            DiegeticError: `seed` is negative or does not fit 63 bits.
        """
        if not 0 <= seed < 2**63:
            raise DiegeticError(f"seed must be in 0 .. 2**63 - 1, got {seed}")
        return SlotState(seed, 0, self._states.blank, Said(_NULL, self._texts.blank))

    def generate(
        self, state: SlotState, conditioning: Conditioning
    ) -> tuple[FloatArray, SlotState]:
        """Make the next chunk of one session, (config.chunk_samples, 2), and the state after it."""
        made = self.step([Work(state, conditioning)])[0]
        return made.chunk, made.state

    def step(self, work: Sequence[Work[SlotState]]) -> list[Made[SlotState]]:
        """Make the next chunk of every session in `work`; no state is modified.

        Those with the same NFE are made together, `buckets` at a time.

        Raises:
            DiegeticError: a conditioning or a state is not for this engine, an NFE was not
                prepared, or more states are held than there is room for.
        """
        for entry in work:
            self.check(entry)
        with self._lock:
            start = time.perf_counter()
            said = self._say(work)
            spoken = time.perf_counter()
            made: dict[int, Made[SlotState]] = {}
            self.stages_ms = {"conditioning": (spoken - start) * 1000, "noise": 0.0, "chunk": 0.0}
            for nfe, way in self._solvers.items():
                group = [k for k, entry in enumerate(work) if (entry.nfe or self.nfe) == nfe]
                for begin in range(0, len(group), self.buckets[-1]):
                    part = group[begin : begin + self.buckets[-1]]
                    made.update(self._make(part, work, said, way))
        return [made[k] for k in range(len(work))]

    def wait_for_noise(self) -> None:
        """Return when the noise of all next chunks is made."""
        self._noise.wait()

    def check(self, entry: Work[SlotState]) -> None:
        """Refuse what would fail on the device, where errors are hard to read.

        Raises:
            DiegeticError: as `step`.
        """
        state, said = entry.state, entry.conditioning
        if state.page.owner is not self._states or state.said.page.owner is not self._texts:
            raise DiegeticError("state must be one of this engine's, got another engine's")
        if entry.nfe is not None and entry.nfe not in self._solvers:
            known = ", ".join(map(str, self._solvers))
            raise DiegeticError(f"nfe must be one that was prepared, {known}; got {entry.nfe}")
        if not MIN_GUIDANCE <= said.guidance <= MAX_GUIDANCE:
            raise DiegeticError(
                f"guidance must be in {MIN_GUIDANCE:g} .. {MAX_GUIDANCE:g}, got {said.guidance}"
            )
        for name in _FIELDS:
            wanted, got = getattr(_NULL, name).shape, getattr(said, name).shape
            if wanted != got:
                raise DiegeticError(f"{name} of a conditioning must be {wanted}, got {got}")

    # How it is done

    @property
    def _on_gpu(self) -> bool:
        return self.device.type == "cuda"

    def _load(self, weights: Path, graphs: bool, progress: Progress | None) -> None:
        dit, decoder = load_modules(weights)
        self._maker = ChunkMaker(
            dit,
            decoder,
            self.config,
            states=self._states.size,
            said=self._texts.size,
            device=self.device,
            dtype=self.dtype,
            kernels=self.kernels,
        )
        most = self.buckets[-1]
        self._lanes = Lanes(self._maker, self.config, most, self.device, graphs and self._on_gpu)
        for solved in self._solvers.values():
            self._maker.prepare(solved)
        ways: list[tuple[int, Solver | None]] = [(0, None), *self._solvers.items()]
        done, total = 0, len(ways) * len(self.buckets)
        for nfe, way in ways:
            for bucket in reversed(self.buckets):
                took = self._lanes.prepare(bucket, way)
                if way is not None:
                    self.costs[nfe, bucket] = took
                done += 1
                what = "conditioning" if way is None else f"nfe {nfe}"
                log.info("warm: %s for %d sessions, %.1f ms", what, bucket, took * 1000)
                if progress is not None:
                    progress(f"{what}, {bucket} sessions", done, total)

    def _bucket(self, count: int) -> int:
        """How many rows are computed for `count` sessions."""
        if not self._on_gpu:
            return count
        return next(bucket for bucket in self.buckets if bucket >= count)

    def _say(self, work: Sequence[Work[SlotState]]) -> list[Said]:
        """Write to pages what was not said before; return what every session says."""
        said: list[Said] = []
        fresh: dict[int, Said] = {}
        for entry in work:
            told = entry.conditioning
            if _same(told, entry.state.said.conditioning):
                said.append(Said(told, entry.state.said.page))
                continue
            if id(told) not in fresh:  # two sessions may share what is said
                fresh[id(told)] = Said(told, self._texts.take())
            said.append(fresh[id(told)])
        new, rows = list(fresh.values()), self._lanes.said
        for begin in range(0, len(new), self.buckets[-1]):
            part = new[begin : begin + self.buckets[-1]]
            for row, new_said in enumerate(part):
                for name in _FIELDS:
                    getattr(rows, name).numpy()[row] = getattr(new_said.conditioning, name)
                rows.write[row] = new_said.page.index
            bucket = self._bucket(len(part))
            rows.write[len(part) : bucket] = SCRAP
            self._lanes.say(bucket)
        return said

    def _make(
        self,
        part: Sequence[int],
        work: Sequence[Work[SlotState]],
        said: Sequence[Said],
        way: Solver,
    ) -> dict[int, Made[SlotState]]:
        """Make the chunks of one batch: `part` are places in `work`."""
        start = time.perf_counter()
        rows, bucket = self._lanes.chunk, self._bucket(len(part))
        pages = [self._states.take() for _ in part]
        noises = [self._noise.take(work[k].state.seed, work[k].state.position) for k in part]
        into = rows.noise.numpy()
        for row, noise in enumerate(noises):
            into[row] = noise
        ready = time.perf_counter()
        fill = bucket - len(part)
        hop, ring = self.config.hop_latents, self.config.prefix_latents
        ages = {k: _age(work[k]) for k in part}
        holds = {k: work[k].state.hold.under(work[k].conditioning) for k in part}
        read = {k: work[k].state.page.index for k in part}
        back = {k: holds[k].due for k in part}
        joined = {k: read[k] if page is None else page.index for k, page in back.items()}
        heard = {k: recalled(ages[k], hop, ring, held=holds[k].memory is not None) for k in part}
        for tensor, values in (
            (rows.read, [*read.values(), *[BLANK] * fill]),
            (rows.joined, [*joined.values(), *[BLANK] * fill]),
            (rows.write, [*(page.index for page in pages), *[SCRAP] * fill]),
            (rows.said, [*(said[k].page.index for k in part), *[BLANK] * fill]),
            (rows.guidance, [*(work[k].conditioning.guidance for k in part), *[1.0] * fill]),
            (rows.recalled, [*heard.values(), *[ring] * fill]),
        ):
            tensor.numpy()[:bucket] = values
        self._lanes.make(bucket, way)
        samples = self._lanes.samples.numpy()
        made = {}
        for row, k in enumerate(part):
            state = work[k].state
            hold = holds[k].after(work[k].conditioning, pages[row])
            after = SlotState(state.seed, state.position + hop, pages[row], said[k], ages[k], hold)
            made[k] = Made(samples[row].copy(), after)
        places = [(work[k].state.seed, work[k].state.position) for k in part]
        self._noise.expect([(*at, noise) for at, noise in zip(places, noises, strict=True)])
        self.stages_ms["noise"] += (ready - start) * 1000
        self.stages_ms["chunk"] += (time.perf_counter() - ready) * 1000
        return made


def _age(work: Work[SlotState]) -> int:
    """The age of the scene of the next chunk; the first one has no scene before it."""
    state = work.state
    before = state.said.conditioning if state.position else None
    return age_of(work.conditioning, before, state.age)


def _same(ours: Conditioning, theirs: Conditioning) -> bool:
    """Whether both say the same; guidance is not part of what is kept."""
    return ours is theirs or all(
        np.array_equal(getattr(ours, name), getattr(theirs, name)) for name in _FIELDS
    )


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DiegeticError(f"device must be 'cpu', 'cuda' or 'cuda:N', got {name!r}") from error
    if device.type not in ("cpu", "cuda"):
        raise DiegeticError(f"device must be 'cpu', 'cuda' or 'cuda:N', got {name!r}")
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise DiegeticError(
                f"device {name!r} is not there: torch {torch.__version__} sees {count} CUDA devices"
            )
        return torch.device("cuda", device.index or 0)
    return device


def _dtype(name: DType, device: torch.device) -> torch.dtype:
    if name not in get_args(DType):
        raise DiegeticError(f"dtype must be one of {', '.join(get_args(DType))}, got {name!r}")
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32
