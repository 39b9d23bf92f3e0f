"""Write a WAV file that can be played at any moment, even when its writer dies.

    | RIFF size | fmt: float32 | fact | data size | samples ...

The two sizes are brought up to date every half second and at the end.
"""

import struct
from pathlib import Path

import numpy as np

from diegetic.config import CHANNELS, RATE
from diegetic.errors import MediaError
from diegetic.snapshot import FloatArray

_FLOAT = 3  # WAVE_FORMAT_IEEE_FLOAT: what was played, bit by bit
_FRAME_BYTES = CHANNELS * 4
_HEADER_BYTES = 58
_MAX_DATA_BYTES = (2**32 - 1 - _HEADER_BYTES) // _FRAME_BYTES * _FRAME_BYTES
_SYNC_SAMPLES = RATE // 2


class WavWriter:
    """A 48 kHz stereo float32 WAV file at `path`; `append` goes on with one left behind.

    A WAV holds 4 GiB (3.1 hours); what comes after that is not written.

    Raises:
        MediaError: the file cannot be written.
    """

    def __init__(self, path: Path, *, append: bool = False) -> None:
        self._path = path
        append = append and path.is_file() and path.stat().st_size >= _HEADER_BYTES
        try:
            self._file = path.open("r+b" if append else "wb")
        except OSError as error:
            raise MediaError(f"cannot write {path}: {error.strerror}") from error
        self._bytes = (path.stat().st_size - _HEADER_BYTES) if append else 0
        self._bytes -= self._bytes % _FRAME_BYTES
        self._unsynced = 0
        self.sync()

    def write(self, samples: FloatArray) -> None:
        """Append `samples` (n, 2).

        Raises:
            MediaError: the disk is full or gone.
        """
        data = np.ascontiguousarray(samples, "<f4").tobytes()[: _MAX_DATA_BYTES - self._bytes]
        try:
            self._file.write(data)
        except OSError as error:
            raise MediaError(f"cannot write {self._path}: {error.strerror}") from error
        self._bytes += len(data)
        self._unsynced += len(samples)
        if self._unsynced >= _SYNC_SAMPLES:
            self.sync()

    def sync(self) -> None:
        """Make the file playable as it is now."""
        try:
            self._file.flush()  # data first: the header never promises more than there is
            self._file.seek(0)
            self._file.write(_header(self._bytes))
            self._file.flush()
            self._file.seek(_HEADER_BYTES + self._bytes)
        except OSError as error:
            raise MediaError(f"cannot write {self._path}: {error.strerror}") from error
        self._unsynced = 0

    def close(self) -> None:
        if not self._file.closed:
            self.sync()
            self._file.close()


def _header(data_bytes: int) -> bytes:
    return struct.pack(
        "<4sI4s 4sIHHIIHHH 4sII 4sI",
        *(b"RIFF", _HEADER_BYTES - 8 + data_bytes, b"WAVE"),
        *(b"fmt ", 18, _FLOAT, CHANNELS, RATE, RATE * _FRAME_BYTES, _FRAME_BYTES, 32, 0),
        *(b"fact", 4, data_bytes // _FRAME_BYTES),
        *(b"data", data_bytes),
    )
