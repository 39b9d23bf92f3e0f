"""Words to embeddings: all-MiniLM-L6-v2 through ONNX Runtime, no torch.

"rain on a roof" -> wordpieces -> hidden states -> [ sentence | rain | on | a | roof | 0 | ... ]
                                                    slot 0      slots 1 .. TEXT_SLOTS - 1
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from diegetic.encoders.weights_folder import WEIGHTS, open_session, read_checked
from diegetic.snapshot import TEXT_DIM, TEXT_SLOTS, FloatArray

MAX_WORDPIECES = 128  # with the two markers around them; what the model was trained on
CACHED_TEXTS = 1024  # 18 KB each
BATCH = 32


class TextEncoder:
    """Encode text into `TEXT_SLOTS` unit vectors of `TEXT_DIM`.

    Slot 0 is the sentence: the mean of the last hidden states. The other slots are the hidden
    states of the first wordpieces, in order. Slots that nothing fills are zero; a text without
    words is all zero. Text beyond `MAX_WORDPIECES` is not read. About 5 ms a sentence on one core
    and at most 40 ms, nothing when the text was seen lately. Any thread may call it.

    Raises:
        WeightsError: a file is missing or damaged.
    """

    def __init__(self, folder: Path = WEIGHTS, *, threads: int = 1) -> None:
        self._tokenizer = Tokenizer.from_str(read_checked(folder, "tokenizer.json").decode())
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_WORDPIECES)
        self._session = open_session(folder, "minilm.onnx", threads)
        self._cached = lru_cache(CACHED_TEXTS)(self._encode)

    def encode(self, text: str) -> FloatArray:
        """Return (TEXT_SLOTS, TEXT_DIM), read-only, the same array for the same text."""
        return self._cached(text)

    def encode_many(self, texts: Sequence[str]) -> FloatArray:
        """Return (len(texts), TEXT_SLOTS, TEXT_DIM), each within 1e-5 of what `encode` returns.

        Texts of one length go through together, so none is padded; for training, not cached.
        """
        out = np.zeros((len(texts), TEXT_SLOTS, TEXT_DIM), np.float32)
        ids = [self._wordpieces(text) for text in texts]
        order = sorted(range(len(texts)), key=lambda index: len(ids[index]))
        for length, same in groupby(order, key=lambda index: len(ids[index])):
            if length <= 2:
                continue
            alike = list(same)
            for start in range(0, len(alike), BATCH):
                rows = alike[start : start + BATCH]
                out[rows] = self._embed([ids[row] for row in rows])
        return out

    def _encode(self, text: str) -> FloatArray:
        out: FloatArray = self.encode_many([text])[0]
        out.setflags(write=False)
        return out

    def _wordpieces(self, text: str) -> list[int]:
        """Return token ids with a marker on either side; half of a surrogate pair becomes "?"."""
        sound = text.encode("utf-8", "replace").decode("utf-8")
        ids: list[int] = self._tokenizer.encode(sound).ids
        return ids

    def _embed(self, ids: list[list[int]]) -> FloatArray:
        """Turn N rows of one length into (N, TEXT_SLOTS, TEXT_DIM)."""
        (hidden,) = self._session.run(None, {"ids": np.array(ids, np.int64)})
        out = np.zeros((len(ids), TEXT_SLOTS, TEXT_DIM), np.float32)
        words = hidden[:, 1:-1][:, : TEXT_SLOTS - 1]
        out[:, 0] = hidden.mean(1)
        out[:, 1 : 1 + words.shape[1]] = words
        out /= np.maximum(np.linalg.norm(out, axis=-1, keepdims=True), 1e-12)
        return out
