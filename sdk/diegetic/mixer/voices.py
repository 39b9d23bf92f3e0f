"""One-shots: clips that start at an exact sample, move, are muffled, stopped and stolen.

    waiting (by start) --begin--> live --(clip over, or faded)--> gone

All voices of a bus are summed by one matrix product: their samples are the rows of X, their
transfers the columns of C. A voice on the move has each row twice, as it is (times where it comes
from) and along the curve (times the difference), so moving costs rows, not passes.
"""

import math
from bisect import insort
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from diegetic.config import CHANNELS, RATE
from diegetic.errors import DiegeticError
from diegetic.mixer.commands import (
    NOW,
    DropClip,
    LoadClip,
    MoveVoice,
    SetListener,
    StartVoice,
    StopVoice,
    Vector,
)
from diegetic.mixer.ramp import FADE, RAMP, Curve, Stretch, amplitude
from diegetic.mixer.spatial import DRY, MUFFLED, MUFFLED_HZ, Listener, listener, transfer
from diegetic.snapshot import FloatArray

MAX_WAITING = 4096  # voices with a start ahead; `at` an hour ahead costs a place until then
PIECE = 1024  # samples over which a clip's loudness is known
_STARTED_KEPT = 4096
_ROWS = 8  # of one voice at most: 2 channels, dry and muffled, as it is and along the curve


class Started(NamedTuple):
    """A voice has begun: `requested` is its command's `at`, `actual` its first output sample."""

    voice: int
    requested: int
    actual: int


class Clip:
    """Samples (n, 2), and about how loud each `PIECE` of them is (mean square)."""

    def __init__(self, data: bytes) -> None:
        self.samples: FloatArray = np.frombuffer(data, "<f4").reshape(-1, CHANNELS)
        self.length = len(self.samples)
        whole = self.length // PIECE * PIECE
        pieces = self.samples[:whole].reshape(-1, PIECE * CHANNELS)
        powers = np.einsum("ij,ij->i", pieces, pieces) / PIECE
        rest = self.samples[whole:]
        powers = np.append(powers, np.vdot(rest, rest) / PIECE)
        powers[:-1] = np.maximum(powers[:-1], powers[1:])  # see an onset just ahead
        self.powers: list[float] = powers.tolist()


class Voice:
    """One playing of a clip; `bus` is any key that its samples are summed under."""

    __slots__ = (
        "bus",
        "clip",
        "curve",
        "ends",
        "fade",
        "gain",
        "number",
        "place",
        "power",
        "requested",
        "source",
        "start",
        "state",
        "target",
    )

    def __init__(self, command: StartVoice, clip: Clip, start: int) -> None:
        self.number = command.voice
        self.requested = command.at
        self.bus = command.bus
        self.clip = clip
        self.gain = amplitude(command.gain_db)
        self.start = start
        self.ends = start + clip.length
        self.place: tuple[Vector | None, float] = (command.position, command.occlusion)
        self.source = self.target = np.zeros((2, 4), np.float32)
        self.power = 0.0  # of the target: how much louder it is than its clip
        self.curve = Curve(start, 1)
        self.fade: Curve | None = None
        self.state: FloatArray | None = None  # (2,) of the low-pass, once it has been needed

    def put(self, ears: Listener) -> None:
        """Be at the place at once."""
        self._aim(ears)
        self.source = self.target

    def go(self, ears: Listener, position: int) -> None:
        """Leave for the place at sample `position`."""
        height = np.float32(self.curve.at(position - 1))
        source = self.source + (self.target - self.source) * height
        self._aim(ears)
        self.source = source
        self.curve = Curve(position, RAMP)

    def stop(self, position: int, length: int) -> None:
        """Fade out from sample `position` on; a fade that has begun is not begun again."""
        if self.fade is None:
            self.fade = Curve(position, length)
            self.ends = min(self.ends, position + length)

    def loudness(self, position: int) -> float:
        """Return about how loud the voice is at `position` (power)."""
        return self.clip.powers[(position - self.start) // PIECE] * self.power

    def _aim(self, ears: Listener) -> None:
        self.target = transfer(self.gain, *self.place, ears)
        self.power = float(np.vdot(self.target, self.target))
        if self.state is None and self.place[1] > 0:
            self.state = np.zeros(CHANNELS, np.float32)


class Voices:
    """All clips and voices; at most `limit` are heard, not counting those that fade.

    Attributes:
        late: voices whose `at` had passed.
        stolen: voices that gave way to louder ones, before or after they began.
    """

    def __init__(self, block: int, limit: int) -> None:
        self.late = 0
        self.stolen = 0
        self._limit = limit
        self._ears = Listener()
        self._clips: dict[int, Clip] = {}
        self._waiting: list[tuple[int, int, Voice]] = []  # by start, then by arrival
        self._arrivals = 0
        self._live: list[Voice] = []
        self._present: dict[int, Voice] = {}  # all that wait or are live
        self._started: deque[Started] = deque(maxlen=_STARTED_KEPT)
        slots = 2 * limit  # as many again may be fading
        self._rows = np.zeros((_ROWS * slots, block), np.float32)
        self._gains = np.zeros((CHANNELS, _ROWS * slots), np.float32)
        self._falling = np.zeros(block, np.float32)
        self._mixed = np.zeros(CHANNELS * block, np.float32)
        self._lowpass = _Lowpass(block, CHANNELS * slots)

    @property
    def sounding(self) -> int:
        """Voices that are heard, those that fade included."""
        return len(self._live)

    def take_started(self) -> list[Started]:
        """Return the voices that began since the last call (the newest 4096), in order."""
        started = list(self._started)
        self._started.clear()
        return started

    # Commands. `position` is the next sample to be mixed.

    def load(self, command: LoadClip) -> None:
        self._clips[command.id] = Clip(command.samples)

    def drop(self, command: DropClip) -> None:
        if self._clips.pop(command.id, None) is None:
            raise DiegeticError(f"clip must be a loaded one, got {command.id}")

    def start(self, command: StartVoice, position: int) -> None:
        clip = self._clips.get(command.clip)
        if clip is None:
            raise DiegeticError(f"clip must be a loaded one, got {command.clip}")
        if command.voice in self._present:
            raise DiegeticError(f"voice must be a new one, got {command.voice} again")
        if len(self._waiting) >= MAX_WAITING:
            raise DiegeticError(f"voices that wait must be at most {MAX_WAITING}")
        if NOW < command.at < position:
            self.late += 1
        voice = Voice(command, clip, max(command.at, position))
        voice.put(self._ears)
        self._present[voice.number] = voice
        self._arrivals += 1
        insort(self._waiting, (voice.start, self._arrivals, voice))

    def move(self, command: MoveVoice, position: int) -> None:
        voice = self._present.get(command.voice)
        if voice is not None:
            voice.place = (command.position, command.occlusion)
            self._send(voice, position)

    def stop(self, command: StopVoice, position: int) -> None:
        voice = self._present.get(command.voice)
        if voice is None:
            return
        if voice.start < position:
            voice.stop(position, max(FADE, round(command.fade * RATE)))
        else:
            self._waiting = [entry for entry in self._waiting if entry[2] is not voice]
            del self._present[voice.number]

    def set_listener(self, command: SetListener, position: int) -> None:
        self._ears = listener(command)
        for voice in self._present.values():
            if voice.place[0] is not None:
                self._send(voice, position)

    def _send(self, voice: Voice, position: int) -> None:
        if voice.start < position:
            voice.go(self._ears, position)
        else:
            voice.put(self._ears)

    # Mixing

    def mix(self, stretch: Stretch) -> Iterator[tuple[str, FloatArray]]:
        """Yield each bus that voices sound on with their sum, (2, count), until the next."""
        self._begin(stretch)
        if not self._live:
            return
        buses: dict[str, list[Voice]] = {}
        for voice in self._live:
            buses.setdefault(voice.bus, []).append(voice)
        for bus, voices in buses.items():
            yield bus, self._sum(voices, stretch)
        over = [voice for voice in self._live if voice.ends <= stretch.end]
        if over:
            self._live = [voice for voice in self._live if voice.ends > stretch.end]
            for voice in over:
                del self._present[voice.number]

    def _begin(self, stretch: Stretch) -> None:
        """Make live whoever starts within `stretch`, one by one at its own sample."""
        while self._waiting and self._waiting[0][0] < stretch.end:
            voice = self._waiting.pop(0)[2]
            if self._make_room(voice):
                self._live.append(voice)
                self._started.append(Started(voice.number, voice.requested, voice.start))
            else:
                self.stolen += 1
                del self._present[voice.number]

    def _make_room(self, newcomer: Voice) -> bool:
        """Let the quietest go; False when that is `newcomer`, or too many are still fading."""
        if len(self._live) >= 2 * self._limit:
            return False
        now, steady = newcomer.start, 0
        quietest, least = newcomer, math.inf
        for voice in self._live:
            if voice.fade is None and voice.ends > now:
                steady += 1
                loudness = voice.loudness(now)
                if loudness < least:
                    quietest, least = voice, loudness
        if steady < self._limit:
            return True
        if newcomer.loudness(now) < least:
            return False
        quietest.stop(now, FADE)
        self.stolen += 1
        return True

    def _sum(self, voices: list[Voice], stretch: Stretch) -> FloatArray:
        """Return the sum of `voices`, (2, count)."""
        muffled = [voice for voice in voices if voice.state is not None]
        voices = muffled + [voice for voice in voices if voice.state is None]
        rows, gains = self._rows[:, : stretch.count], self._gains
        for index, voice in enumerate(voices):
            _copy(voice, stretch, rows[2 * index : 2 * index + 2])
        used = 2 * len(voices)
        first_muffled = used
        if muffled:
            used += 2 * len(muffled)
            rows[first_muffled:used] = rows[: 2 * len(muffled)]
            self._lowpass(muffled, rows[first_muffled:used])
        for index, voice in enumerate(voices):
            dry = slice(2 * index, 2 * index + 2)
            spans = [(dry, DRY)]
            if voice.state is not None:
                spans.append((slice(first_muffled + dry.start, first_muffled + dry.stop), MUFFLED))
            if voice.fade is not None:
                falling = self._falling[: stretch.count]
                np.subtract(1.0, stretch.heights(voice.fade), out=falling)
                for span, _ in spans:
                    rows[span] *= falling
            if stretch.position >= voice.curve.end or voice.source is voice.target:
                for span, part in spans:
                    gains[:, span] = voice.target[:, part]
                continue
            rising, change = stretch.heights(voice.curve), voice.target - voice.source
            for span, part in spans:
                gains[:, span] = voice.source[:, part]
                np.multiply(rows[span], rising, out=rows[used : used + 2])
                gains[:, used : used + 2] = change[:, part]
                used += 2
        mixed = self._mixed[: CHANNELS * stretch.count].reshape(CHANNELS, stretch.count)
        np.matmul(gains[:, :used], rows[:used], out=mixed)
        return mixed


class _Lowpass:
    """y[k] = a y[k-1] + (1 - a) x[k] for many voices at once, as a scaled running sum.

    y[k] = a^(k+1) (y[-1] + sum of (1 - a) a^-(j+1) x[j] up to k). The newest terms are the largest,
    so nothing is lost to rounding.
    """

    def __init__(self, block: int, rows: int) -> None:
        power = (np.arange(block) + 1.0) * (2 * math.pi * MUFFLED_HZ / RATE)
        self._down = np.exp(-power).astype(np.float32)
        self._up = ((1 - self._down[0]) * np.exp(power)).astype(np.float32)
        self._states = np.zeros((rows, 1), np.float32)

    def __call__(self, voices: Iterable[Voice], rows: FloatArray) -> None:
        """Filter `rows` (2 per voice, count) in place; each voice's state moves on."""
        states = self._states[: len(rows)]
        kept = [voice.state for voice in voices if voice.state is not None]
        for index, state in enumerate(kept):
            states[2 * index : 2 * index + 2, 0] = state
        rows *= self._up[: rows.shape[1]]
        np.cumsum(rows, axis=1, out=rows)
        rows += states
        rows *= self._down[: rows.shape[1]]
        for index, state in enumerate(kept):
            state[:] = rows[2 * index : 2 * index + 2, -1]


def _copy(voice: Voice, stretch: Stretch, rows: FloatArray) -> None:
    """Write what `voice` plays in `stretch` into `rows` (2, count), silence around it."""
    sample = stretch.position - voice.start  # of the clip, at the first of the stretch
    skip = max(0, -sample)
    length = min(stretch.count - skip, voice.clip.length - sample - skip)
    if length < stretch.count:
        rows[:] = 0.0
    rows[:, skip : skip + length] = voice.clip.samples[sample + skip : sample + skip + length].T
