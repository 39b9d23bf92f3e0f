"""Turn what the world said into the token slots that the model sees.

slot   0        1 .. 11   12 .. 13         14 .. 16  17 .. 18  19 .. 21    22 .. 25  26 .. 29
       prompt   its words further prompts  layers    switches  parameters  events    frames
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from diegetic.encoders import ImageEncoder, TextEncoder
from diegetic.snapshot import (
    BLEND_SLOTS,
    BLEND_TOKENS,
    DEFAULT_GUIDANCE,
    EVENT_SLOTS,
    EVENT_TOKENS,
    FRAME_SLOTS,
    FRAME_TOKENS,
    LAYER_TOKENS,
    LAYERS,
    PARAMETER_SLOTS,
    PARAMETER_TOKENS,
    SILENCE,
    SWITCH_SLOTS,
    SWITCH_TOKENS,
    TEXT_SLOTS,
    Conditioning,
    Event,
    FloatArray,
    Snapshot,
    null_conditioning,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

BLACK = 8  # a picture without anything brighter, of 255, shows nothing


class Conditioner:
    """Encode snapshots for one generator; call it from one thread at a time.

    A text costs about 5 ms the first time and nothing while the encoder remembers it; a frame costs
    about 4 ms once, and its embedding is kept while it is one of the latest 2 * `FRAME_SLOTS`.
    A snapshot with nothing new takes about 0.05 ms.
    """

    def __init__(self, text: TextEncoder, image: ImageEncoder) -> None:
        self._text = text
        self._image = image
        self._embedded: dict[int, tuple[NDArray[np.uint8], FloatArray | None]] = {}
        self._crowded: set[str] = set()

    def embed(self, text: str) -> FloatArray:
        """Return `text` as a unit vector (TEXT_DIM,), zero if it has no words; any thread may."""
        embedding: FloatArray = self._text.encode(text)[0]
        return embedding

    def silence(self) -> Conditioning:
        """Return the conditioning of a scene in which nothing is heard, with the usual guidance."""
        return self(Snapshot(t0=0.0, t1=1.0, prompt=SILENCE, guidance=DEFAULT_GUIDANCE))

    def __call__(self, snapshot: Snapshot) -> Conditioning:
        """Return `snapshot` as arrays of its own.

        Where more is said than there are slots, the last entries of `switches` and `parameters` win
        (a World puts the newest change last) and the latest events and frames. A black frame shows
        nothing. If nothing is said, seen or happening the answer is the conditioning of "silence",
        whatever the parameters are: the null conditioning would let the model make anything.
        """
        out = replace(null_conditioning(), guidance=snapshot.guidance)
        self._fill_prompts(out, snapshot)
        self._fill_switches(out, snapshot.switches)
        self._fill_events(out, snapshot)
        self._fill_frames(out, snapshot)
        if not out.present.any():
            return self.silence()
        self._fill_parameters(out, snapshot.parameters)
        for slot, layer in enumerate(LAYERS, LAYER_TOKENS.start):
            out.present[slot] = layer in snapshot.layers
        return out

    def _fill_prompts(self, out: Conditioning, snapshot: Snapshot) -> None:
        words = self._text.encode(snapshot.prompt)
        out.words[:TEXT_SLOTS] = words
        out.present[:TEXT_SLOTS] = words.any(axis=1)
        out.values[0] = float(out.present[0])
        if not snapshot.blend:
            return
        out.present[1:TEXT_SLOTS] = False  # the words would tell of one prompt alone
        for slot, (text, share) in enumerate(snapshot.blend[:BLEND_SLOTS], BLEND_TOKENS.start):
            self._say(out, slot, text)
            out.values[slot] = share
            out.values[0] -= share

    def _fill_switches(self, out: Conditioning, switches: dict[str, str]) -> None:
        for slot, (name, value) in enumerate(self._newest("switches", switches, SWITCH_SLOTS)):
            self._say(out, SWITCH_TOKENS.start + slot, f"{name} {value}")

    def _fill_parameters(self, out: Conditioning, parameters: dict[str, float]) -> None:
        chosen = self._newest("parameters", parameters, PARAMETER_SLOTS)
        for slot, (name, value) in enumerate(chosen):
            self._say(out, PARAMETER_TOKENS.start + slot, name)
            out.values[PARAMETER_TOKENS.start + slot] = value

    def _fill_events(self, out: Conditioning, snapshot: Snapshot) -> None:
        events: list[Event] = sorted(snapshot.events, key=lambda event: event.time)
        for slot, event in enumerate(events[-EVENT_SLOTS:]):
            self._say(out, EVENT_TOKENS.start + slot, event.name)
            out.values[EVENT_TOKENS.start + slot] = 10.0 ** (event.gain_db / 20.0)
            out.times[EVENT_TOKENS.start + slot] = event.time - snapshot.t0

    def look(self, pixels: NDArray[np.uint8]) -> None:
        """Encode a picture that is going to be shown: (height, width, 3) uint8 RGB."""
        # pixels are kept beside their embedding, so that their id stays their own
        known = self._embedded.pop(id(pixels), None)
        self._embedded[id(pixels)] = known or (pixels, self._encode(pixels))
        while len(self._embedded) > 2 * FRAME_SLOTS:
            del self._embedded[next(iter(self._embedded))]

    def _fill_frames(self, out: Conditioning, snapshot: Snapshot) -> None:
        frames = snapshot.frames[-FRAME_SLOTS:]
        for frame in frames:
            self.look(frame.pixels)
        slot = FRAME_TOKENS.start
        for frame in frames:
            shown = self._embedded[id(frame.pixels)][1]
            if shown is not None:
                out.frames[slot - FRAME_TOKENS.start] = shown
                out.times[slot] = frame.time - snapshot.t0
                out.present[slot] = True
                slot += 1

    def _encode(self, pixels: NDArray[np.uint8]) -> FloatArray | None:
        """The embedding of a picture, None where it is black."""
        return self._image.encode(pixels) if pixels.max(initial=0) > BLACK else None

    def _say(self, out: Conditioning, slot: int, words: str) -> None:
        """Put the sentence embedding of `words` into `slot`."""
        out.words[slot] = self._text.encode(words)[0]
        out.present[slot] = True

    def _newest(self, what: str, entries: dict[str, T], slots: int) -> Sequence[tuple[str, T]]:
        """Choose the last `slots` entries, sorted by name so that a change does not move them."""
        if len(entries) > slots and what not in self._crowded:
            self._crowded.add(what)
            log.warning(
                "%d %s are set, the model sees the %d changed last", len(entries), what, slots
            )
        return sorted(list(entries.items())[-slots:], key=lambda entry: entry[0])
