"""The networks through ONNX Runtime: the base install, no torch."""

import json
from pathlib import Path

import numpy as np
import onnxruntime

from diegetic.errors import DiegeticError, WeightsError
from diegetic.networks import Cross, FloatArray, Memory, Precision, Shapes
from diegetic.snapshot import Conditioning
from diegetic.weights import FORMAT, check_weights, distilled_in, read_distilled

OLDEST = (1, 21)  # ONNX Runtime that knows all that our graphs are made of
THREADS = 1  # a chunk is a few tokens: a second thread costs the game more than it gains


def check_runtime(version: str) -> None:
    """Refuse an ONNX Runtime that could not run our graphs; some of them end the process.

    Raises:
        DiegeticError: `version` is older than `OLDEST`.
    """
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        needed = ".".join(map(str, OLDEST))
        raise DiegeticError(
            f"ONNX Runtime must be {needed} or later, got {version}: "
            f"pip install 'onnxruntime>={needed}'"
        )


class OnnxNetworks:
    """Four graphs that share one weights file."""

    def __init__(
        self, folder: Path, threads: int | None = None, precision: Precision = "int8"
    ) -> None:
        """Open the weights in `folder`.

        Raises:
            DiegeticError: ONNX Runtime is too old.
            WeightsError: a file is missing, damaged, of another version or refused by ONNX Runtime,
                or the transformer's graph is not of the tensors' kind.
        """
        check_runtime(onnxruntime.__version__)
        check_weights(folder)
        self.distilled = read_distilled(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS if threads is None else threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3

        def load(name: str) -> onnxruntime.InferenceSession:
            path = folder / f"{name}.onnx"
            try:
                return onnxruntime.InferenceSession(
                    str(path), options, providers=["CPUExecutionProvider"]
                )
            except Exception as error:  # ONNX Runtime raises bare exceptions of many kinds
                raise WeightsError(
                    f"ONNX Runtime {onnxruntime.__version__} cannot open {path}: {error}"
                ) from error

        self._analysis = load("analysis")
        live = ".int8" if precision == "int8" else ""
        self._conditioning = load(f"conditioning{live}")
        self._transformer = load(f"transformer{live}")
        self._decoder = load(f"decoder{live}")
        meta = self._transformer.get_modelmeta().custom_metadata_map
        if meta.get("format") != FORMAT:
            raise WeightsError(
                f"weights must be of format {FORMAT}, got {meta.get('format')}: {folder}"
            )
        if distilled_in(meta, folder / f"transformer{live}.onnx") != self.distilled:
            kinds = ("teacher", "student") if self.distilled else ("student", "teacher")
            raise WeightsError(
                f"the transformer's graph is a {kinds[0]}'s, its tensors are a {kinds[1]}'s, "
                f"they must be exported together: {folder}"
            )
        layers, heads, head_dim, per_latent, *state = json.loads(meta["shapes"])
        self.shapes = Shapes(layers, heads, head_dim, tuple(state), per_latent)

    def analyse(self, levels: FloatArray) -> FloatArray:
        """Latents of band levels."""
        latents: FloatArray = self._analysis.run(None, {"levels": levels})[0]
        return latents

    def condition(self, said: Conditioning) -> Cross:
        """Keys and values of the conditioning's tokens."""
        keys, values, bias, summary = self._conditioning.run(
            None,
            {
                "words": said.words[None],
                "frames": said.frames[None],
                "values": said.values[None],
                "times": said.times[None],
                "present": said.present[None].astype(np.float32),
            },
        )
        return Cross(keys, values, bias, summary)

    def evaluate(
        self, latents: FloatArray, t: float, guidance: float, cross: Cross, prefix: Memory
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Velocity, and keys and values of `latents`."""
        batch = latents.shape[0]
        velocity, keys, values = self._transformer.run(
            None,
            {
                "latents": latents,
                "t": np.full(batch, t, np.float32),
                "guidance": np.full(batch, guidance, np.float32),
                "cross_keys": cross.keys,
                "cross_values": cross.values,
                "cross_bias": cross.bias,
                "summary": cross.summary,
                "prefix_keys": prefix.keys,
                "prefix_values": prefix.values,
                "prefix_bias": prefix.bias,
            },
        )
        return velocity, keys, values

    def decode(
        self, latents: FloatArray, noise: FloatArray, state: FloatArray, kept: int
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Spectra, the levels of their bands, and the state after `kept` latents."""
        given = {"latents": latents, "noise": noise, "state": state, "kept": np.array([kept])}
        spectra, levels, after = self._decoder.run(None, given)
        return spectra, levels, after
