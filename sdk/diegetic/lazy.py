"""The networks of a session, loaded when the first sound is asked for."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from diegetic.config import StreamConfig
from diegetic.errors import DiegeticError
from diegetic.snapshot import Conditioning, FloatArray, Snapshot

if TYPE_CHECKING:
    from diegetic.generator import Generator
    from diegetic.inference import InferenceProcess

Backend = Literal["auto", "onnx", "torch", "bank"]
Conditioner = Callable[[Snapshot], Conditioning]


@runtime_checkable
class Embedder(Protocol):
    """What knows words as vectors, as conditioners of the world do."""

    def embed(self, text: str) -> FloatArray:
        """Return `text` as a unit vector (TEXT_DIM,); any thread may call."""
        ...


@runtime_checkable
class Onlooker(Protocol):
    """What can encode a picture before a snapshot shows it, as conditioners of the world do."""

    def look(self, pixels: NDArray[np.uint8]) -> None:
        """Encode `pixels` (height, width, 3), which snapshots are going to show."""
        ...


class LazyNetworks:
    """A generator and a conditioner for it; any thread may be the first to want them.

    Args:
        config: lengths of the stream.
        nfe: network evaluations per chunk; None are as many as is usual with these weights.
        backend: what computes; "bank" is nobody: the bed is silent.
        weights: folder of weights; None are those that ship.
        generator: instead of loading one.
        conditioner: instead of loading the encoders.
        isolated: load both in a process of their own.

    Raises:
        DiegeticError: `generator` is for other lengths than `config`, or there is nothing to load
            and `isolated`.
    """

    def __init__(
        self,
        config: StreamConfig,
        nfe: int | None,
        backend: Backend,
        weights: Path | None,
        generator: "Generator | None",
        conditioner: Conditioner | None,
        isolated: bool = False,
    ) -> None:
        given = not (generator is None and conditioner is None)
        if isolated and given:
            raise DiegeticError(
                "isolated loads generator and conditioner in a process of their own: leave both out"
            )
        if backend == "bank" and (given or isolated):
            raise DiegeticError("backend 'bank' has no generator: leave it out, and isolated too")
        if generator is not None:
            made, wanted = generator.config.chunk_samples, config.chunk_samples
            if made != wanted or generator.config.hop_samples != config.hop_samples:
                raise DiegeticError(f"config must be that of the generator, {generator.config}")
        self._config = config
        self._nfe = nfe
        self._backend: Backend = backend
        self._weights = weights
        self._lock = threading.Lock()
        self._generator = generator
        self._conditioner = conditioner
        self._isolated = isolated
        self._process: InferenceProcess | None = None

    def load(self) -> "tuple[Generator, Conditioner]":
        """Return both, loaded by the first call."""
        with self._lock:
            if self._backend == "bank":
                from diegetic.silent import SilentGenerator, unheard

                return SilentGenerator(self._config), unheard
            if self._isolated and self._process is None:
                from diegetic.inference import InferenceProcess

                self._process = process = InferenceProcess(
                    self._config, nfe=self._nfe, backend=self._backend, weights=self._weights
                )
                self._generator, self._conditioner = process, process.conditioner
            if self._generator is None:
                from diegetic.generator import load_generator

                self._generator = load_generator(
                    self._weights, backend=self._backend, nfe=self._nfe, config=self._config
                )
            if self._conditioner is None:
                from diegetic.conditioning import Conditioner as WorldConditioner
                from diegetic.encoders import ImageEncoder, TextEncoder

                self._conditioner = WorldConditioner(TextEncoder(), ImageEncoder())
            return self._generator, self._conditioner

    def close(self) -> None:
        """End the process of the networks, if they have one."""
        with self._lock:
            if self._process is not None:
                self._process.close()

    def embed(self, text: str) -> FloatArray | None:
        """Return `text` as a unit vector; None where the conditioner has no words for it."""
        _, conditioner = self.load()
        return conditioner.embed(text) if isinstance(conditioner, Embedder) else None
