"""The networks through torch, from the same weights file."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from diegetic.codec import FRAMES_PER_LATENT
from diegetic.errors import WeightsError
from diegetic.model import decoder as decoder_model
from diegetic.model import dit as dit_model
from diegetic.model.decoder import Decoder
from diegetic.model.dit import Cross as TorchCross
from diegetic.model.dit import DiT
from diegetic.model.dit import Memory as TorchMemory
from diegetic.networks import Cross, FloatArray, Memory, Shapes
from diegetic.snapshot import Conditioning
from diegetic.weights import SCALE, TENSORS, check_weights, read_distilled

SHAPES = Shapes(
    layers=dit_model.BLOCKS,
    heads=dit_model.HEADS,
    head_dim=dit_model.HEAD_DIM,
    decoder_state=(decoder_model.BLOCKS, decoder_model.KERNEL - 1, decoder_model.WIDTH),
    frames_per_latent=FRAMES_PER_LATENT,
)


class TorchNetworks:
    """Transformer and decoder as torch modules, on the CPU in float32."""

    shapes = SHAPES

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        """Load the weights in `folder`; `threads` sets torch's, for the whole process.

        Raises:
            WeightsError: a file is missing, damaged, or of another version or shape.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        self._dit, self._decoder = load_modules(folder)
        self.distilled = read_distilled(folder)

    @torch.inference_mode()
    def analyse(self, levels: FloatArray) -> FloatArray:
        """Latents of band levels."""
        latents: FloatArray = self._decoder.latents.project(torch.from_numpy(levels)).numpy()
        return latents

    @torch.inference_mode()
    def condition(self, said: Conditioning) -> Cross:
        """Keys and values of the conditioning's tokens."""
        arrays = (said.words, said.frames, said.values, said.times, said.present)
        tensors = (torch.from_numpy(array[None].astype(np.float32)) for array in arrays)
        return Cross(*(tensor.numpy() for tensor in self._dit.conditioning(*tensors)))

    @torch.inference_mode()
    def evaluate(
        self, latents: FloatArray, t: float, guidance: float, cross: Cross, prefix: Memory
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Velocity, and keys and values of `latents`."""
        batch = latents.shape[0]
        velocity, keys, values = self._dit(
            torch.from_numpy(latents),
            torch.full((batch,), t),
            torch.full((batch,), guidance),
            TorchCross(*(torch.from_numpy(array) for array in vars(cross).values())),
            TorchMemory(*(torch.from_numpy(array) for array in vars(prefix).values())),
        )
        return velocity.numpy(), keys.numpy(), values.numpy()

    @torch.inference_mode()
    def decode(
        self, latents: FloatArray, noise: FloatArray, state: FloatArray, kept: int
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Spectra, the levels of their bands, and the state after `kept` latents."""
        given, white, before = (torch.from_numpy(array) for array in (latents, noise, state))
        spectra, after = self._decoder(
            given, white.permute(1, 2, 3, 4, 0), before, torch.tensor([kept])
        )
        levels = self._decoder.latents.levels(given)
        return spectra.permute(4, 0, 1, 2, 3).numpy(), levels.numpy(), after.numpy()


def load_modules(folder: Path) -> tuple[DiT, Decoder]:
    """Transformer and decoder with the weights in `folder`, on the CPU in float32.

    Raises:
        WeightsError: a file is missing, damaged, or of another version or shape.
    """
    check_weights(folder)
    tensors = _dequantised(load_file(folder / TENSORS))
    dit, decoder = DiT().eval(), Decoder().eval()
    for prefix, module in (("dit.", dit), ("decoder.", decoder)):
        part = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
        try:
            module.load_state_dict(part)
        except RuntimeError as error:
            raise WeightsError(f"{folder / TENSORS} has other shapes: {error}") from error
    return dit, decoder


def _dequantised(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """All tensors of a weights file as float32."""
    return {
        name: tensor.float() * stored[name + SCALE][:, None]
        if tensor.dtype == torch.int8
        else tensor.float()
        for name, tensor in stored.items()
        if not name.endswith(SCALE)
    }
