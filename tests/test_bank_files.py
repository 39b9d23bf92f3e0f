"""Bank files: what was saved comes back; what is damaged says so."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diegetic.bank import EventSpec, Variant, files
from diegetic.bank.files import SavedClip, load, save
from diegetic.errors import DiegeticError
from diegetic.snapshot import FloatArray

SPECS = [
    EventSpec("step", "step on {surface}", 3, 0.5, -2.0, "feet"),
    EventSpec("shöt", length=0.1),
]


def noise(samples: int, seed: int = 0) -> FloatArray:
    values = np.random.default_rng(seed).uniform(-0.9, 0.9, (samples, 2))
    return values.astype(np.float32)


def clips() -> list[SavedClip]:
    grass = Variant("step", (("surface", "grass"),))
    return [
        SavedClip(grass, 7, noise(1234)),
        SavedClip(grass, 8, noise(1, 1)),
        SavedClip(Variant("shöt"), 0, noise(4800, 2)),
    ]


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    path = tmp_path / "game.bank"
    save(path, SPECS, clips())
    return path


def rewrite(path: Path, change: Any = None, drop: str = "") -> None:
    """Change the manifest with `change`, leave out the file `drop`."""
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist() if name != drop}
    if change is not None:
        manifest = json.loads(members[files.MANIFEST])
        change(manifest)
        members[files.MANIFEST] = json.dumps(manifest).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)


def test_what_was_saved_comes_back_within_24_bits(bank: Path) -> None:
    specs, loaded = load(bank)
    assert specs == SPECS
    assert [(clip.variant, clip.number) for clip in loaded] == [
        (clip.variant, clip.number) for clip in clips()
    ]
    for ours, theirs in zip(loaded, clips(), strict=True):
        assert ours.samples.dtype == np.float32
        np.testing.assert_allclose(ours.samples, theirs.samples, atol=2.0**-23, rtol=0)


def test_what_was_loaded_is_saved_as_the_same_bytes(bank: Path, tmp_path: Path) -> None:
    save(tmp_path / "again.bank", *load(bank))
    assert (tmp_path / "again.bank").read_bytes() == bank.read_bytes()


def test_an_empty_bank_comes_back_empty(tmp_path: Path) -> None:
    save(tmp_path / "none.bank", [], [])
    assert load(tmp_path / "none.bank") == ([], [])


def test_a_failed_save_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "game.bank").mkdir()
    with pytest.raises(DiegeticError, match="cannot write bank"):
        save(tmp_path / "game.bank", SPECS, [])
    assert [path.name for path in tmp_path.iterdir()] == ["game.bank"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DiegeticError, match=r"cannot read bank .*gone\.bank"):
        load(tmp_path / "gone.bank")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_file_cut_short_says_so(bank: Path, share: float) -> None:
    data = bank.read_bytes()
    bank.write_bytes(data[: int(share * len(data))])
    with pytest.raises(DiegeticError, match="damaged or cut short"):
        load(bank)


def set_version(manifest: Any) -> None:
    manifest["version"] = 2
    del manifest["events"]  # another version may look quite different


def set_long(manifest: Any) -> None:
    manifest["events"][0]["length"] = 0.02


def set_short(manifest: Any) -> None:
    manifest["events"][1]["length"] = 0.05


def set_switch(manifest: Any) -> None:
    manifest["clips"][0]["values"] = [["weather", "rain"]]


def set_sum(manifest: Any) -> None:
    manifest["clips"][2]["sha256"] = "0" * 64


def set_event(manifest: Any) -> None:
    manifest["clips"][0]["event"] = "other"


def set_number(manifest: Any) -> None:
    manifest["clips"][0]["number"] = -1


def set_many(manifest: Any) -> None:
    manifest["events"] = manifest["events"] * 600


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_version, "of version 1, got .* of version 2"),
        (set_long, "length of event 'step' must be a number from 0.05 to 4"),
        (set_short, "must be 1 to 2400 samples"),
        (set_switch, "must have values of"),
        (set_sum, "another sha256"),
        (set_event, "belongs to no event"),
        (set_number, "clips/00000.flac"),
        (set_many, "at most 1024 events, got 1200"),
        (lambda manifest: manifest.clear(), "damaged manifest"),
    ],
)
def test_a_wrong_manifest_says_what_is_wrong(bank: Path, change: Any, message: str) -> None:
    rewrite(bank, change)
    with pytest.raises(DiegeticError, match=message):
        load(bank)


def test_a_missing_clip_is_named(bank: Path) -> None:
    rewrite(bank, drop="clips/00001.flac")
    with pytest.raises(DiegeticError, match=r"clips/00001\.flac is missing"):
        load(bank)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_damaged_byte_is_harmless_or_an_error_of_ours(bank: Path, data: st.DataObject) -> None:
    good = bank.read_bytes()
    place = data.draw(st.integers(0, len(good) - 1))
    damaged = bytearray(good)
    damaged[place] ^= data.draw(st.integers(1, 255))
    path = bank.with_name("damaged.bank")
    path.write_bytes(damaged)
    try:
        specs, _ = load(path)
    except DiegeticError:
        return
    assert specs == SPECS
