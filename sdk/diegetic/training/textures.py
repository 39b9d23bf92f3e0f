"""Pictures of the ground, by surface: crops of games' textures, as cheap frames for training."""

import logging
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diegetic.errors import MediaError
from diegetic.training import catalog
from diegetic.training.atomic import replacing
from diegetic.training.catalog import Texture
from diegetic.training.fetch import package_folder

_log = logging.getLogger(__name__)

HEIGHT, WIDTH = 72, 128
PER_SURFACE = 80  # crops; a surface with few textures gives several crops of each
_CROPS_EACH = 4
_SMALLEST = 48  # pixels: below this a texture is an icon


@dataclass(frozen=True)
class Crops:
    """(n, 72, 128, 3) uint8 pixels, (n,) surfaces, and the paths that could not be read."""

    pixels: NDArray[np.uint8]
    surfaces: NDArray[np.str_]
    unread: tuple[str, ...]


def write_textures(root: Path, seed: int = 0) -> Crops:
    """Write root/build/textures.npz (pixels, surface) from the fetched packages.

    Raises:
        MediaError: no texture was fetched.
        DiegeticError: the disk is full.
    """
    crops = crop_textures(root, catalog.textures(), seed)
    if not len(crops.pixels):
        raise MediaError(f"no textures in {root}: run `diegetic data fetch` first")
    with replacing(root / "build" / "textures.npz") as out:
        np.savez_compressed(out, pixels=crops.pixels, surface=crops.surfaces)
    return crops


def crop_textures(root: Path, rows: Iterable[Texture], seed: int = 0) -> Crops:
    """Return up to `PER_SURFACE` random crops of each surface; the same for the same seed."""
    rng = random.Random(seed)
    order = [row for row in rows if (package_folder(root, row.package) / row.path).is_file()]
    rng.shuffle(order)
    count: Counter[str] = Counter()
    pixels: list[NDArray[np.uint8]] = []
    surfaces: list[str] = []
    unread: list[str] = []
    for _ in range(_CROPS_EACH):  # every texture once, before any is cropped again
        for row in order:
            path = package_folder(root, row.package) / row.path
            if count[row.surface] >= PER_SURFACE or str(path) in unread:
                continue
            try:
                pixels.append(_crop(path, rng))
            except MediaError as error:
                _log.info("%s %s is left out: %s", row.package, row.path, error)
                unread.append(str(path))
                continue
            surfaces.append(row.surface)
            count[row.surface] += 1
    shape = (0, HEIGHT, WIDTH, 3)
    stacked = np.stack(pixels) if pixels else np.zeros(shape, np.uint8)
    return Crops(stacked, np.array(surfaces, dtype="U16"), tuple(unread))


def _crop(path: Path, rng: random.Random) -> NDArray[np.uint8]:
    """Return a random (72, 128, 3) window; a small texture is tiled, as it is on the ground."""
    image = _read(path)
    height, width, _ = image.shape
    if min(height, width) < _SMALLEST:
        raise MediaError(f"{path.name} must be at least {_SMALLEST} pixels, got {width} x {height}")
    step = rng.choice([1, 1, 2]) if min(height, width) >= 2 * HEIGHT else 1
    small = image[::step, ::step]
    high, wide = small.shape[:2]
    if high < HEIGHT or wide < WIDTH:
        small = np.tile(small, (-(-HEIGHT // high) + 1, -(-WIDTH // wide) + 1, 1))
    top = rng.randrange(small.shape[0] - HEIGHT + 1)
    left = rng.randrange(small.shape[1] - WIDTH + 1)
    window: NDArray[np.uint8] = small[top : top + HEIGHT, left : left + WIDTH]
    return window


def _read(path: Path) -> NDArray[np.uint8]:
    """Return (height, width, 3); what is transparent gets the mean colour of the rest."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MediaError("textures need Pillow: pip install pillow") from error
    try:
        with Image.open(path) as opened:
            opened.thumbnail((512, 512))
            rgba: NDArray[Any] = np.asarray(opened.convert("RGBA"), np.float32)
    except (OSError, ValueError, NotImplementedError, SyntaxError) as error:
        raise MediaError(f"{path.name} cannot be read: {error}") from error
    alpha = rgba[..., 3:] / 255
    if float(alpha.mean()) < 0.5:
        raise MediaError(f"{path.name} is mostly transparent")
    mean = (rgba[..., :3] * alpha).sum(axis=(0, 1)) / alpha.sum()
    filled: NDArray[np.uint8] = np.round(rgba[..., :3] * alpha + mean * (1 - alpha)).astype(
        np.uint8
    )
    return filled
