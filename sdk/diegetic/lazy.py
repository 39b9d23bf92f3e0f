"""The networks of a session, loaded when the first sound is asked for."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from diegetic.config import StreamConfig
from diegetic.snapshot import Conditioning, FloatArray, Snapshot

if TYPE_CHECKING:
    from diegetic.generator import Generator

Backend = Literal["auto", "onnx", "torch"]
Conditioner = Callable[[Snapshot], Conditioning]


class LazyNetworks:
    """A generator and a conditioner for it; any thread may be the first to want them.

    Args:
        config: lengths of the stream.
        nfe: network evaluations per chunk; None are as many as is usual with these weights.
        backend: what computes.
        weights: folder of weights; None are those that ship.
        generator: instead of loading one.
        conditioner: instead of loading the encoders.
    """

    def __init__(
        self,
        config: StreamConfig,
        nfe: int | None,
        backend: Backend,
        weights: Path | None,
        generator: "Generator | None",
        conditioner: Conditioner | None,
    ) -> None:
        self._config = config
        self._nfe = nfe
        self._backend: Backend = backend
        self._weights = weights
        self._lock = threading.Lock()
        self._generator = generator
        self._conditioner = conditioner

    def load(self) -> "tuple[Generator, Conditioner]":
        """Return both, loaded by the first call."""
        with self._lock:
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

    def embed(self, text: str) -> FloatArray | None:
        """Return `text` as a unit vector; None where the conditioner has no words for it."""
        from diegetic.conditioning import Conditioner as WorldConditioner

        _, conditioner = self.load()
        return conditioner.embed(text) if isinstance(conditioner, WorldConditioner) else None
