"""The runtime's editing of recordings, as the evaluation asks for it."""

from diegetic.generator import ChunkGenerator
from diegetic.inpaint import continue_audio, inpaint
from diegetic.snapshot import Conditioning, FloatArray


class GeneratorEditor:
    """Edits with `generator`."""

    def __init__(self, generator: ChunkGenerator) -> None:
        self._generator = generator

    def fill(
        self, audio: FloatArray, start_s: float, end_s: float, said: Conditioning, seed: int
    ) -> FloatArray:
        """`audio` (n, 2) with the stretch from `start_s` to `end_s` made anew."""
        return inpaint(self._generator, audio, start_s, end_s, said, seed)

    def go_on(self, audio: FloatArray, said: Conditioning, seconds: float, seed: int) -> FloatArray:
        """The `seconds` that follow `audio` (n, 2)."""
        return continue_audio(self._generator, audio, said, seconds, seed)[len(audio) :]
