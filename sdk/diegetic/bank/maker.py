"""Make one take, a chunk at a time, so that the stream's own chunks go in between.

    silence ──────────────────────────────────────────────
    event      * LEAD                                       said for a second, as in training
    chunks  |--------|--------|--------|--------|  until the sound is over

A take depends on the seed, the event's name and words, and its number, on nothing made before it.
"""

import math
from collections.abc import Callable

import numpy as np

from diegetic.bank.declaration import EventSpec, Variant
from diegetic.bank.prepare import audible, over, prepare
from diegetic.bank.store import draw
from diegetic.config import RATE
from diegetic.generator import Generator
from diegetic.snapshot import SILENCE, Conditioning, Event, FloatArray, Snapshot
from diegetic.stream import StreamState, advance
from diegetic.world import RING

# Measured: told as an event over "silence", it is one sound that starts on time and dies away; told
# as a prompt it is up to 60 dB softer, comes at any time and goes on.
Networks = Callable[[], tuple[Generator, Callable[[Snapshot], Conditioning]]]

FOLEY = frozenset({"foley"})  # nothing of an ambience is to be in a take
GUIDANCE = 3.0
LEAD = 0.04  # of silence before the event: the stream's fade-in must not soften it
SLACK = 0.12  # the sound may come that much after its event
ATTEMPTS = 3  # a take in which nothing is heard is made again
SHORTEST = 0.4  # made of any take before asking whether its sound is over


class VariationMaker:
    """Makes takes with a generator and a conditioner, which one thread at a time may use.

    `networks` gives both, loaded when the first take is made.
    """

    def __init__(self, networks: Networks, seed: int = 0) -> None:
        self.networks = networks
        self.seed = seed

    def begin(self, spec: EventSpec, variant: Variant, number: int) -> "Variation":
        """Return take `number` of `variant`, of which nothing is made yet."""
        return Variation(self, spec, variant, number)


class Variation:
    """One take in the making."""

    def __init__(
        self, maker: VariationMaker, spec: EventSpec, variant: Variant, number: int
    ) -> None:
        self.spec = spec
        self.variant = variant
        self.number = number
        self._maker = maker
        self._words = spec.words(variant)
        self._attempt = 0
        self._chunks: list[FloatArray] = []
        self._state = self._start()

    def step(self) -> FloatArray | None:
        """Make one more chunk; return the finished clip (n, 2) when that was the last."""
        generator, conditioner = self._maker.networks()
        config = generator.config
        t0 = len(self._chunks) * config.hop
        t1 = t0 + config.hop
        told = t0 - RING < LEAD < t1
        step = advance(
            self._state,
            Snapshot(
                t0=t0,
                t1=t1,
                prompt=SILENCE,
                layers=FOLEY,
                guidance=GUIDANCE,
                events=(Event(self._words, LEAD),) if told else (),
            ),
            generator=generator,
            conditioner=conditioner,
            config=config,
        )
        self._state = step.state
        self._chunks.append(step.samples)
        made = np.concatenate(self._chunks)
        full = len(self._chunks) >= math.ceil((LEAD + SLACK + self.spec.length) / config.hop)
        ended = len(made) >= SHORTEST * RATE and over(made, config.hop_samples)
        if not (full or ended):
            return None
        self._attempt += 1
        if not audible(made) and self._attempt < ATTEMPTS:
            self._chunks = []
            self._state = self._start()
            return None
        return prepare(made, self.spec.max_samples)

    def _start(self) -> StreamState:
        """The stream of this attempt, before its first chunk."""
        words = (self.spec.name, self._words, self.number, self._attempt)
        seed = draw(2**63, self._maker.seed, *words)
        generator, _ = self._maker.networks()
        return StreamState(generator.start(seed))
