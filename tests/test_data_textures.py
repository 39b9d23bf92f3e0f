"""Crops of textures: the right size, repeatable, and no icons."""

from pathlib import Path

import numpy as np
import pytest

from diegetic.errors import MediaError
from diegetic.training import catalog, fetch, textures
from diegetic.training.catalog import Texture

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def rows(tmp_path: Path) -> list[Texture]:
    """A large texture, one to tile, an icon, one mostly transparent, one damaged, one absent."""
    folder = fetch.package_folder(tmp_path, "pack")
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    Image.fromarray(noise).save(folder / "big.png")
    Image.fromarray(noise[:64, :64]).save(folder / "tile.png")
    Image.fromarray(noise[:16, :16]).save(folder / "icon.png")
    Image.new("RGBA", (100, 100), (9, 9, 9, 10)).save(folder / "clear.png")
    (folder / "damaged.png").write_bytes(b"\x89PNG no")
    names = ("big", "tile", "icon", "clear", "damaged", "absent")
    return [Texture("pack", f"{name}.png", "stone") for name in names]


def test_good_textures_are_cropped_and_bad_ones_listed(tmp_path: Path, rows: list[Texture]) -> None:
    crops = textures.crop_textures(tmp_path, rows)
    assert crops.pixels.shape == (8, 72, 128, 3)  # four of each of the two good ones
    assert {Path(path).name for path in crops.unread} == {"icon.png", "clear.png", "damaged.png"}
    assert set(crops.surfaces.tolist()) == {"stone"}


def test_same_seed_gives_the_same_crops(tmp_path: Path, rows: list[Texture]) -> None:
    first = textures.crop_textures(tmp_path, rows, seed=3).pixels
    assert np.array_equal(first, textures.crop_textures(tmp_path, rows, seed=3).pixels)
    assert not np.array_equal(first, textures.crop_textures(tmp_path, rows, seed=4).pixels)


def test_no_textures_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "textures", tuple)
    with pytest.raises(MediaError, match="diegetic data fetch"):
        textures.write_textures(tmp_path)
