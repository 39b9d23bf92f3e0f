"""Scenes in parts, each a file that is whole and checked: a stopped rendering goes on.

    out/parts/stamp.json    what they are rendered from; parts of anything else are not mixed in
    out/parts/00000.npz     the first PART scenes and the texts that they refer to
    out/scenes.npz          all of them, with their embeddings; then the parts are deleted
    out/scenes.json         the stamp of scenes.npz

Scene n depends on the stamp and n alone, so it is the same whoever renders it, and when.
"""

import json
import logging
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from diegetic.config import LATENT_DIM
from diegetic.errors import DiegeticError, MediaError
from diegetic.training.atomic import replace_text, replacing
from diegetic.training.dataset import NONE, SceneArrays
from diegetic.training.draft import LATENTS

log = logging.getLogger(__name__)

TEXT_FIELDS = ("text", "blend", "switch", "parameter", "event")

Stamp = Mapping[str, str | int]
Part = tuple[SceneArrays, list[str]]


class Parts:
    """The folder of the parts of one rendering."""

    def __init__(self, folder: Path, stamp: Stamp) -> None:
        """Open or begin `folder`.

        Raises:
            DiegeticError: it holds parts of another stamp.
        """
        found = read_stamp(folder / "stamp.json")
        if found is None:
            if any(folder.glob("*.npz")):
                raise DiegeticError(f"{folder} holds parts of unknown making: delete it")
            replace_text(folder / "stamp.json", json.dumps(dict(stamp), indent=1))
        elif found != stamp:
            others = [
                f"{name} {found.get(name)}, now {value}"
                for name, value in stamp.items()
                if found.get(name) != value
            ]
            raise DiegeticError(
                f"{folder} holds parts of another rendering ({'; '.join(others)}): "
                "go on with the same settings, or delete it"
            )
        self.folder = folder

    def path(self, number: int) -> Path:
        """The file of part `number`."""
        return self.folder / f"{number:05d}.npz"

    def whole(self, number: int, count: int) -> bool:
        """Whether part `number` is there and holds `count` good scenes; a bad one is deleted."""
        if not self.path(number).exists():
            return False
        try:
            read_part(self.path(number), count)
        except MediaError as error:
            log.warning("rendered again: %s", error)
            self.path(number).unlink()
            return False
        return True

    def delete(self) -> None:
        """Delete the folder, once the scenes lie elsewhere."""
        shutil.rmtree(self.folder)


def read_stamp(path: Path) -> dict[str, str | int] | None:
    """What `path` says its neighbours were made from; None if it is not there or damaged."""
    try:
        stamp: dict[str, str | int] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return stamp


def write_part(path: Path, part: Part, count: int) -> None:
    """Write `part`, checked, to `path`.

    Raises:
        MediaError: it is not `count` good scenes.
        DiegeticError: it could not be written.
    """
    arrays, texts = part
    _check(path, arrays, texts, count)
    with replacing(path) as file:
        np.savez(file, **vars(arrays), texts=np.array(texts, np.str_))


def read_part(path: Path, count: int) -> Part:
    """Read what `write_part` wrote.

    Raises:
        MediaError: it is damaged, or not `count` good scenes.
    """
    try:
        with path.open("rb") as file, np.load(file) as saved:
            arrays = SceneArrays(**{name: saved[name] for name in SceneArrays.__dataclass_fields__})
            texts = [str(text) for text in saved["texts"]]
    except (zipfile.BadZipFile, OSError, ValueError, KeyError, EOFError) as error:
        raise MediaError(f"{path} is damaged: {error}") from error
    _check(path, arrays, texts, count)
    return arrays, texts


def _check(path: Path, arrays: SceneArrays, texts: list[str], count: int) -> None:
    if arrays.latents.shape != (count, LATENTS, LATENT_DIM):
        raise MediaError(
            f"{path} must hold ({count}, {LATENTS}, {LATENT_DIM}) latents, "
            f"got {arrays.latents.shape}"
        )
    for name, array in vars(arrays).items():
        if len(array) != count:
            raise MediaError(f"{path}: {name} must be of {count} scenes, got {len(array)}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise MediaError(f"{path}: {name} holds values that are not finite numbers")
    for name in TEXT_FIELDS:
        numbers = getattr(arrays, name)
        if numbers.min() < NONE or numbers.max() >= len(texts):
            raise MediaError(f"{path}: {name} must refer to its {len(texts)} texts")
