"""Lengths are decided once: seconds become samples and latents here, and nowhere else.

    chunk k    |<------- hop ------->|<- overlap ->|
    chunk k+1                        |<- overlap ->|<- ... ->|

The overlap of two chunks is crossfaded, so each chunk brings one hop of new audio.
"""

from dataclasses import dataclass

from diegetic.errors import DiegeticError

RATE = 48_000
CHANNELS = 2
SAMPLES_PER_LATENT = 960
LATENT_DIM = 96
LATENT_RATE = RATE / SAMPLES_PER_LATENT
MOST_LOOKAHEAD = 3  # times the lookahead: what is made ahead at most, where the machine is late


@dataclass(frozen=True)
class StreamConfig:
    """Lengths of one stream, in seconds; each must be a whole number of latents (20 ms).

    Attributes:
        hop: new audio per chunk.
        overlap: tail that a chunk shares with its successor, crossfaded.
        prefix: past latents that the model still sees.
        lookahead: audio made ahead of the play cursor before the generator rests; where chunks
            come late, up to three times as much for a while (see `diegetic.headroom`).

    Raises:
        DiegeticError: a length is not positive or does not divide into latents.
    """

    hop: float = 0.16
    overlap: float = 0.06
    prefix: float = 1.28
    lookahead: float = 0.2

    def __post_init__(self) -> None:
        for name in ("hop", "overlap", "prefix", "lookahead"):
            _latents(name, getattr(self, name))
        if self.overlap >= self.hop:
            raise DiegeticError(
                f"overlap must be shorter than hop ({self.hop} s), got {self.overlap} s"
            )

    @property
    def hop_latents(self) -> int:
        return _latents("hop", self.hop)

    @property
    def overlap_latents(self) -> int:
        return _latents("overlap", self.overlap)

    @property
    def chunk_latents(self) -> int:
        return self.hop_latents + self.overlap_latents

    @property
    def prefix_latents(self) -> int:
        return _latents("prefix", self.prefix)

    @property
    def hop_samples(self) -> int:
        return self.hop_latents * SAMPLES_PER_LATENT

    @property
    def overlap_samples(self) -> int:
        return self.overlap_latents * SAMPLES_PER_LATENT

    @property
    def chunk_samples(self) -> int:
        return self.chunk_latents * SAMPLES_PER_LATENT

    @property
    def lookahead_samples(self) -> int:
        return _latents("lookahead", self.lookahead) * SAMPLES_PER_LATENT

    @property
    def most_lookahead_samples(self) -> int:
        return MOST_LOOKAHEAD * self.lookahead_samples

    @property
    def chunks_kept(self) -> int:
        """Chunks that a live stream may go back to, at most, and one more."""
        return -(-self.most_lookahead_samples // self.hop_samples) + 3


def _latents(name: str, seconds: float) -> int:
    """Return `seconds` as a whole, positive number of latents."""
    count = seconds * LATENT_RATE
    if not (count > 0.5 and abs(count - round(count)) < 1e-6):
        step = 1 / LATENT_RATE
        raise DiegeticError(f"{name} must be a positive multiple of {step:g} s, got {seconds!r} s")
    return round(count)
