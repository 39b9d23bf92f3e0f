"""What a training begins from, or takes as given: checkpoints, or folders of weights that ship."""

from pathlib import Path

from diegetic.errors import WeightsError
from diegetic.model.decoder import Decoder
from diegetic.model.dit import DiT
from diegetic.torch_backend import load_modules
from diegetic.training.checkpoint import averaged, distilled, load_weights, read_checkpoint
from diegetic.weights import read_distilled


def load_decoder(path: Path) -> Decoder:
    """The decoder, and the latents, of a codec's checkpoint or of a weights folder.

    Raises:
        WeightsError: it is missing, damaged, or of another model or version.
    """
    if path.is_dir():
        return load_modules(path)[1]
    decoder = Decoder()
    load_weights(path, read_checkpoint(path).get("model", {}), decoder)
    return decoder


def load_teacher(path: Path) -> DiT:
    """The averaged weights of a transformer's checkpoint, or those of a weights folder, frozen.

    Raises:
        WeightsError: they are missing, damaged, a student's, or of another model or version.
    """
    if path.is_dir():
        _refuse_student(path, read_distilled(path))
        dit = load_modules(path)[0]
    else:
        if not path.is_file():
            raise WeightsError(f"there is no teacher in {path}: train the transformer first")
        saved = read_checkpoint(path)
        _refuse_student(path, distilled(path, saved))
        dit = DiT()
        load_weights(path, averaged(saved), dit)
    return dit.eval().requires_grad_(False)


def _refuse_student(path: Path, student: bool | None) -> None:
    if student:
        raise WeightsError(f"{path} is a student: it cannot be the teacher of another")
