import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import soundfile

import diegetic
from tone_generator import ToneGenerator, plain_conditioner

ROOT = Path(__file__).resolve().parents[1]


def test_the_front_door_opens_neither_torch_nor_a_device() -> None:
    code = (
        "import diegetic, sys; diegetic.Session; diegetic.StreamConfig();"
        "heavy = {'torch', 'sounddevice', 'vizdoom', 'matplotlib', 'av'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_every_public_name_can_be_had() -> None:
    for name in diegetic.__all__:
        assert getattr(diegetic, name) is not None
    assert set(diegetic.__all__) <= set(dir(diegetic))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Sesion'"):
        diegetic.Sesion  # noqa: B018


def test_the_version_is_that_of_the_distribution() -> None:
    assert metadata.version("diegetic") == diegetic.__version__


@pytest.mark.parametrize("root", ["sdk", "kernels", "engine_bridge"])
def test_a_source_root_is_no_package(root: str) -> None:
    assert not (ROOT / root / "__init__.py").exists()


def test_the_leaves_do_not_know_the_runtime() -> None:
    code = (
        "import diegetic_bridge.client, diegetic_bridge.server, sys;"
        "assert not {m for m in sys.modules if m == 'diegetic' or m.startswith('diegetic.')}"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_the_ten_lines_of_the_readme_make_a_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = (ToneGenerator(), plain_conditioner)
    monkeypatch.setattr("diegetic.lazy.LazyNetworks.load", lambda self: networks)
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = text.split("## Ten lines")[1].split("```python\n")[1].split("```")[0]
    exec(compile(block, "README.md", "exec"), {})
    assert soundfile.info("weather.wav").duration == 8.0
