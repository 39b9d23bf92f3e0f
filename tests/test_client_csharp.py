"""The C# client, built by mono's compiler and run under mono; the Unity package around it."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge_recorder import ANYWHERE, Recorder
from conformance import EXPECTED, run_conformance
from diegetic_bridge import BridgeServer

BRIDGE = Path(__file__).parents[1] / "engine_bridge"
PACKAGE = BRIDGE / "unity" / "com.diegetic.bridge"
CORE = PACKAGE / "Runtime" / "Core"
TESTS = BRIDGE / "csharp"
PATIENCE = 180.0  # s, of a busy machine
SECONDS = 1.5
TICKS = 90  # in them

Build = Callable[..., Path]

needs_mono = pytest.mark.skipif(
    not (shutil.which("mcs") and shutil.which("mono")),
    reason="needs mono's mcs and mono (Debian: mono-mcs, mono-runtime)",
)


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return a compiler: of files into a program or a library, warnings being errors."""
    folder = tmp_path_factory.mktemp("csharp")

    def compiled(name: str, *sources: Path, options: tuple[str, ...] = ()) -> Path:
        target = folder / name
        kind = "library" if name.endswith(".dll") else "exe"
        command = ["mcs", "-warnaserror+", "-langversion:7", f"-target:{kind}", f"-out:{target}"]
        run([*command, *options, *map(str, sources)])
        return target

    return compiled


@pytest.fixture(scope="session")
def core(build: Build) -> Path:
    return build("Diegetic.Core.dll", *sorted(CORE.glob("*.cs")))


@pytest.fixture(scope="session")
def signatures(build: Build) -> Path:
    return build("UnitySignatures.dll", *sorted((TESTS / "UnitySignatures").glob("*.cs")))


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@needs_mono
def test_golden_vectors_are_what_csharp_says_and_hears(build: Build) -> None:
    sources = [*sorted(CORE.glob("*.cs")), *(TESTS / f"{name}.cs" for name in ("Json", "Expect"))]
    program = build("golden.exe", *sources, TESTS / "Golden.cs")
    vectors = BRIDGE / "golden" / "vectors.json"
    count = len(json.loads(vectors.read_text("utf-8"))["vectors"])
    assert run(["mono", str(program), str(vectors)]) == f"{count} vectors are right, 0 are not\n"


@needs_mono
def test_units_of_the_csharp_client(build: Build) -> None:
    sources = [*sorted(CORE.glob("*.cs")), *sorted(TESTS.glob("*Units.cs"))]
    program = build("units.exe", *sources, TESTS / "Expect.cs", TESTS / "Peer.cs")
    run(["mono", "--debug", str(program)])


@needs_mono
def test_the_server_hears_of_csharp_what_it_hears_of_every_client(build: Build, core: Path) -> None:
    program = build("conformance.exe", TESTS / "Conformance.cs", options=(f"-r:{core}",))
    assert run_conformance(["mono", str(program)]) == EXPECTED


@needs_mono
def test_what_a_tick_costs_the_games_thread_is_printed(build: Build, core: Path) -> None:
    program = build("cost.exe", TESTS / "Cost.cs", options=(f"-r:{core}",))
    recorder = Recorder()
    with BridgeServer(ANYWHERE, recorder) as server:
        line = run(["mono", str(program), server.endpoint, str(SECONDS)])
    print(line)
    cost = json.loads(line)
    assert cost["ticks"] == TICKS
    assert cost["p50_ms"] <= cost["p95_ms"] <= cost["p99_ms"]
    assert len(recorder.events()) > 0


@needs_mono
def test_a_domain_with_an_open_client_unloads_after_a_bye(build: Build, signatures: Path) -> None:
    sources = [*sorted(CORE.glob("*.cs")), PACKAGE / "Runtime" / "Unity" / "OpenClients.cs"]
    sources += [TESTS / f"{name}.cs" for name in ("Expect", "Peer", "Reload")]
    program = build("reload.exe", *sources, options=(f"-r:{signatures}",))
    assert run(["mono", "--debug", str(program)]) == "unloaded\n"


@needs_mono
@pytest.mark.parametrize("defines", [(), ("-d:UNITY_EDITOR",)])
def test_the_unity_part_compiles_against_signatures_of_unity(
    build: Build, core: Path, signatures: Path, defines: tuple[str, ...]
) -> None:
    known = (f"-r:{core}", f"-r:{signatures}")
    part = build(
        "Diegetic.Unity.dll",
        *sorted((PACKAGE / "Runtime" / "Unity").glob("*.cs")),
        options=(*known, *defines),
    )
    sample = PACKAGE / "Samples~" / "Minimal" / "MinimalScene.cs"
    build("Sample.dll", sample, options=(*known, f"-r:{part}"))


def test_every_asset_of_the_package_has_an_identity_of_its_own() -> None:
    """Unity ignores what has none in an installed package, and scenes refer to scripts by it."""
    assets = [
        path
        for path in PACKAGE.rglob("*")
        if path.suffix != ".meta" and not any(part.endswith("~") for part in path.parts)
    ]
    assert len(assets) > 20
    guids = [re.search(r"^guid: ([0-9a-f]{32})$", meta(path), re.MULTILINE) for path in assets]
    assert all(guids), assets
    assert len({guid[1] for guid in guids if guid}) == len(assets)
    for path in PACKAGE.rglob("*.meta"):
        assert path.with_suffix("").exists(), path


def meta(asset: Path) -> str:
    return asset.with_name(asset.name + ".meta").read_text("utf-8")


def test_the_package_names_what_is_in_it() -> None:
    package = json.loads((PACKAGE / "package.json").read_text("utf-8"))
    assert package["name"] == PACKAGE.name
    assert [(PACKAGE / sample["path"]).is_dir() for sample in package["samples"]] == [True]
    parts = [json.loads(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.asmdef"))]
    assert [part["name"] for part in parts] == ["Diegetic.Core", "Diegetic.Unity"]
    assert [part["noEngineReferences"] for part in parts] == [True, False]
    assert parts[1]["references"] == [parts[0]["name"]]
