"""The C++ client: built by g++ and by clang, held against the golden vectors and the real server.

The core must build as game engines build: no exceptions, no RTTI, every warning an error.
"""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from conformance import EXPECTED, run_conformance

ROOT = Path(__file__).parents[1]
BRIDGE = ROOT / "engine_bridge"
CPP = BRIDGE / "cpp"
UNREAL = BRIDGE / "unreal" / "Diegetic"
VECTORS = BRIDGE / "golden" / "vectors.json"

STANDARD = ("-std=c++17", "-fno-exceptions", "-fno-rtti")
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
SANITIZERS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
MINGW = "x86_64-w64-mingw32-g++-posix"
WAIT = 600.0  # seconds that a busy machine may take to build or run one program


def needs(tool: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")


compilers = pytest.mark.parametrize(
    "compiler", [pytest.param(name, marks=needs(name)) for name in ("g++", "clang++")]
)


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(
    compiler: str, name: str, folder: Path, *options: str, libraries: Sequence[str] = ()
) -> Path:
    """Build one program of the C++ client's tests into `folder`."""
    program = folder / name
    source = CPP / "tests" / f"{name}.cpp"
    flags = (*STANDARD, *WARNINGS, *options, "-pthread", f"-I{CPP / 'include'}")
    run(compiler, *flags, source, "-o", program, *libraries)
    return program


@compilers
def test_bytes_are_those_of_the_golden_vectors(compiler: str, tmp_path: Path) -> None:
    said = run(build(compiler, "golden", tmp_path), VECTORS)
    assert said.startswith("golden: ")


@compilers
@pytest.mark.parametrize("name", ["units", "wire", "sound", "client"])
def test_the_units_hold(compiler: str, name: str, tmp_path: Path) -> None:
    assert "passed" in run(build(compiler, name, tmp_path))


@compilers
def test_the_server_hears_what_every_client_says(compiler: str, tmp_path: Path) -> None:
    assert run_conformance([str(build(compiler, "conformance", tmp_path))]) == EXPECTED


@needs("g++")
def test_no_bytes_of_a_mad_server_do_harm(tmp_path: Path) -> None:
    fuzz = build("g++", "fuzz", tmp_path, *SANITIZERS)
    assert "messages understood" in run(fuzz, VECTORS, "3000")


@compilers
def test_the_core_builds_among_the_macros_of_unreal(compiler: str) -> None:
    macros = [f"-D{name}(condition)=error" for name in ("check", "verify", "ensure")]
    source = CPP / "tests" / "conformance.cpp"
    flags = (*STANDARD, *WARNINGS, *macros, "-fsyntax-only", f"-I{CPP / 'include'}")
    run(compiler, *flags, source)


@needs(MINGW)
def test_it_builds_for_windows(tmp_path: Path) -> None:
    build(MINGW, "conformance", tmp_path, "-static", libraries=["-lws2_32"])


@needs("g++")
def test_the_cost_is_printed(tmp_path: Path) -> None:
    said = json.loads(run(build("g++", "cost", tmp_path), "tcp://127.0.0.1:1", "1"))
    assert said["ticks"] == 60
    assert 0 < said["p50_ms"] <= said["p95_ms"] <= said["p99_ms"]


@needs("g++")
@needs("cmake")
def test_a_game_finds_it_with_cmake(tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.14)\nproject(game LANGUAGES CXX)\n"
        f"add_subdirectory({CPP} diegetic)\n"
        "add_executable(game game.cpp)\ntarget_link_libraries(game PRIVATE diegetic::client)\n"
    )
    readme = (CPP / "README.md").read_text()
    (tmp_path / "game.cpp").write_text(readme.split("```cpp\n")[1].split("```")[0])
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build")
    run("cmake", "--build", tmp_path / "build")
    assert (tmp_path / "build" / "game").exists()


def test_the_unreal_plugin_is_described_well() -> None:
    plugin = json.loads((UNREAL / "Diegetic.uplugin").read_text())
    [module] = plugin["Modules"]
    source = UNREAL / "Source" / module["Name"]
    assert (source / f"{module['Name']}.Build.cs").exists()
    headers = {path.name for path in (source / "Public").glob("*.h")}
    sources = {path.stem for path in (source / "Private").glob("*.cpp")}
    assert {Path(name).stem for name in headers} <= sources | {"DiegeticTypes"}


def test_the_unreal_plugin_includes_only_what_the_core_has() -> None:
    included = {
        line.split('"')[1]
        for path in (UNREAL / "Source").rglob("*.*")
        for line in path.read_text().splitlines()
        if line.startswith('#include "diegetic/')
    }
    assert included == {"diegetic/client.hpp"}
    assert (CPP / "include" / "diegetic" / "client.hpp").exists()
