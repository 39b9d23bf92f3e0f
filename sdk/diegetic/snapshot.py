"""What the world said about [t0, t1), and what the networks get to see of it.

A `Snapshot` is made of words, numbers and pictures; a `Conditioning` is the same as arrays, in a
fixed layout of token slots. Times inside a `Conditioning` are seconds relative to the start of the
chunk.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

TEXT_DIM = 384
FRAME_DIM = 1280

TEXT_SLOTS = 12  # slot 0: the whole sentence; slots 1..11: its words
BLEND_SLOTS = 2  # whole sentences of further prompts
LAYERS = ("ambience", "music", "foley")  # a slot each
LAYER_SLOTS = len(LAYERS)
SWITCH_SLOTS = 2
PARAMETER_SLOTS = 3
EVENT_SLOTS = 4
FRAME_SLOTS = 4
# All slots that live in text space.
WORD_SLOTS = TEXT_SLOTS + BLEND_SLOTS + LAYER_SLOTS + SWITCH_SLOTS + PARAMETER_SLOTS + EVENT_SLOTS
SLOTS = WORD_SLOTS + FRAME_SLOTS

# Where each kind lies among the slots, after the text.
BLEND_TOKENS = slice(TEXT_SLOTS, TEXT_SLOTS + BLEND_SLOTS)
LAYER_TOKENS = slice(BLEND_TOKENS.stop, BLEND_TOKENS.stop + LAYER_SLOTS)
SWITCH_TOKENS = slice(LAYER_TOKENS.stop, LAYER_TOKENS.stop + SWITCH_SLOTS)
PARAMETER_TOKENS = slice(SWITCH_TOKENS.stop, SWITCH_TOKENS.stop + PARAMETER_SLOTS)
EVENT_TOKENS = slice(PARAMETER_TOKENS.stop, WORD_SLOTS)
FRAME_TOKENS = slice(WORD_SLOTS, SLOTS)

MIN_GUIDANCE = 1.0  # the model was trained within these
MAX_GUIDANCE = 5.0
SILENCE = "silence"  # the prompt of a scene in which nothing is heard
DEFAULT_GUIDANCE = 2.0


@dataclass(frozen=True)
class Event:
    """Something heard once: `name` in words ("shot"), at `time` (seconds of audio time)."""

    name: str
    time: float
    gain_db: float = 0.0


@dataclass(frozen=True)
class Frame:
    """What the player saw at `time`: `pixels` is (height, width, 3) uint8 RGB, top row first."""

    pixels: NDArray[np.uint8]
    time: float


@dataclass(frozen=True)
class Snapshot:
    """The world over [t0, t1), in seconds of audio time.

    Attributes:
        prompt: what is heard, in words.
        blend: up to BLEND_SLOTS further prompts and their shares of the sound, in 0..1; the
            prompt has the rest, and no less than any of them.
        layers: which of LAYERS are to be heard; none said means all.
    """

    t0: float
    t1: float
    prompt: str = ""
    blend: tuple[tuple[str, float], ...] = ()
    layers: frozenset[str] = frozenset()
    guidance: float = DEFAULT_GUIDANCE
    parameters: dict[str, float] = field(default_factory=dict)  # normalised to 0..1
    switches: dict[str, str] = field(default_factory=dict)
    events: tuple[Event, ...] = ()  # heard in this chunk, or lately enough to still ring
    frames: tuple[Frame, ...] = ()  # oldest first, at most FRAME_SLOTS

    @property
    def empty(self) -> bool:
        """True when nothing is said, seen or happening: the scene is silent."""
        return not (self.prompt or self.switches or self.events or self.frames)


@dataclass(frozen=True)
class Conditioning:
    """Token slots for one chunk, in the order of the `..._TOKENS` above.

    Attributes:
        words: (WORD_SLOTS, TEXT_DIM) text embeddings; zero where absent.
        frames: (FRAME_SLOTS, FRAME_DIM) image embeddings; zero where absent.
        values: (SLOTS,) a prompt's share, a parameter's value in 0..1, an event's gain as
            amplitude; otherwise 0.
        times: (SLOTS,) seconds from the chunk's start, negative in the past; 0 for timeless slots.
        present: (SLOTS,) bool, which slots are said at all. All False is the null conditioning.
        guidance: how closely to follow the conditioning, MIN_GUIDANCE (plain) to MAX_GUIDANCE.
    """

    words: FloatArray
    frames: FloatArray
    values: FloatArray
    times: FloatArray
    present: NDArray[np.bool_]
    guidance: float = 1.0


def null_conditioning(layers: Iterable[str] = ()) -> Conditioning:
    """Nothing is known but perhaps which of LAYERS are asked for: the model may make anything."""
    said = Conditioning(
        words=np.zeros((WORD_SLOTS, TEXT_DIM), np.float32),
        frames=np.zeros((FRAME_SLOTS, FRAME_DIM), np.float32),
        values=np.zeros(SLOTS, np.float32),
        times=np.zeros(SLOTS, np.float32),
        present=np.zeros(SLOTS, np.bool_),
    )
    for layer in layers:
        said.present[LAYER_TOKENS.start + LAYERS.index(layer)] = True
    return said
