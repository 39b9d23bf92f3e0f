"""The Godot addon does what every client does, in Godot 3, and in Godot 4 where there is one.

A project in a folder of its own is made of engine_bridge/godot/{addons,checks}, for Godot 3 with
engine_bridge/godot/godot3/ on top; the engine runs the scripts of checks/ in it.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge_recorder import ANYWHERE, Recorder
from conformance import EXPECTED, SERVER, Log, run_conformance
from diegetic_bridge import BridgeServer, Frame, Parameter

ADDON = Path(__file__).parents[1] / "engine_bridge" / "godot"
VECTORS = ADDON.parent / "golden" / "vectors.json"
IGNORED = shutil.ignore_patterns(".*", "*.uid")  # what is there for the editor
PATIENCE = 240.0  # s, of a busy machine
PASSED = {"link": 14, "zmtp": 7, "pcm": 5, "client": 7, "courier": 9}

PROJECTS = {
    "godot3": 'config_version=4\n[application]\nconfig/name="checks"\n',
    "godot4": 'config_version=5\n[application]\nconfig/name="checks"\n[debug]\n',
}
FORBIDDEN = """unassigned_variable unassigned_variable_op_assign unused_variable
unused_local_constant unused_private_class_variable unused_parameter unused_signal
shadowed_variable shadowed_variable_base_class shadowed_global_identifier unreachable_code
unreachable_pattern standalone_expression standalone_ternary incompatible_ternary
static_called_on_instance redundant_await integer_division narrowing_conversion
confusable_identifier confusable_local_declaration confusable_local_usage
native_method_override"""
"""Warnings of Godot 4 that are errors; Godot 3's servers know none."""


class Godot:
    """An engine and a project of checks for it."""

    def __init__(self, kind: str, program: str, folder: Path) -> None:
        self.said = ""  # by the latest run
        self._kind = kind
        self._program = program
        self._project = ["--path", str(folder)]
        self._homes = {
            f"XDG_{home}_HOME": str(folder / home) for home in ("DATA", "CONFIG", "CACHE")
        }
        for part in ("addons", "checks"):
            shutil.copytree(ADDON / part, folder / part, ignore=IGNORED)
        if kind == "godot3":
            shutil.copytree(ADDON / "godot3", folder, ignore=IGNORED, dirs_exist_ok=True)
        (folder / "project.godot").write_text(PROJECTS[kind] + _warnings(kind))
        vectors = json.loads(VECTORS.read_text())["vectors"]
        source = f"func all():\n\treturn {json.dumps(vectors, ensure_ascii=False)}\n"
        (folder / "checks" / "vectors.gd").write_text(source)

    def command(self, script: str) -> list[str]:
        """Return the command that runs a script of checks/."""
        headless = ["--headless"] if self._kind == "godot4" else []
        return [self._program, *headless, *self._project, "-s", f"res://checks/{script}.gd"]

    def run(self, script: str, *arguments: str) -> dict[str, Any]:
        """Run a script of checks/ and return the JSON on its last line."""
        return self._run([*self.command(script), *arguments])

    def draw(self, script: str, display: str) -> dict[str, Any]:
        """Run a script of checks/ with a screen, drawn by the CPU where there is no GPU."""
        if self._kind == "godot3":
            runner = shutil.which("godot3-runner")
            how = ["--video-driver", "GLES2"]
        else:
            runner = self._program
            how = ["--display-driver", "x11", "--rendering-driver", "opengl3"]
        if runner is None:
            pytest.skip("no Godot 3 that draws: apt-get install godot3-runner libgl1-mesa-dri")
        how += ["--audio-driver", "Dummy", "-s", f"res://checks/{script}.gd"]
        return self._run([runner, *self._project, *how], {"DISPLAY": display})

    def _run(self, command: list[str], more: Mapping[str, str] | None = None) -> dict[str, Any]:
        done = subprocess.run(
            command,
            env=os.environ | self._homes | dict(more or {}),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.said = f"{done.stderr}\n{done.stdout}"
        assert "SCRIPT ERROR" not in self.said, self.said
        assert "Thread object" not in self.said, self.said  # that one was lost while it ran
        assert done.returncode == 0, self.said
        report: dict[str, Any] = json.loads(self.said.splitlines()[-1])
        return report


def _warnings(kind: str) -> str:
    if kind == "godot3":
        return ""
    rules = ["exclude_addons=false", 'directory_rules={"res://addons": 1}']
    rules += [f"{warning}=2" for warning in FORBIDDEN.split()]
    return "".join(f"gdscript/warnings/{rule}\n" for rule in rules)


@pytest.fixture(scope="module", params=["godot3", "godot4"])
def godot(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Godot:
    kind = str(request.param)
    program = os.environ.get(kind.upper())
    if kind == "godot3":
        program = program or shutil.which("godot3-server")
        how = "no Godot 3: apt-get install godot3-server"
    else:
        how = "no Godot 4: GODOT4=/path/to/godot pytest tests/test_client_godot.py"
    if program is None:
        pytest.skip(how)
    return Godot(kind, program, tmp_path_factory.mktemp(kind))


@pytest.fixture
def display() -> Iterator[str]:
    """Return the name of a screen that nobody sees."""
    program = shutil.which("Xvfb")
    if program is None:
        pytest.skip("no screen: apt-get install xvfb")
    screen = ["-screen", "0", "640x360x24", "-displayfd", "1"]
    with subprocess.Popen(
        [program, *screen], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        yield f":{process.stdout.readline().strip()}"
        process.terminate()


@contextlib.contextmanager
def server() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the real server; its endpoint, and the process, which writes its log at the end."""
    with subprocess.Popen(
        [sys.executable, str(SERVER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield f"tcp://localhost:{process.stdout.readline().strip()}", process
        finally:
            process.kill()


def log_of(process: subprocess.Popen[str]) -> Log:
    written, _ = process.communicate(timeout=PATIENCE)
    return msgspec.json.decode(written.splitlines()[-1], type=Log)


def test_golden_vectors_are_made_and_read(godot: Godot) -> None:
    vectors = json.loads(VECTORS.read_text())["vectors"]
    assert godot.run("golden") == {"vectors": len(vectors), "wrong": []}


@pytest.mark.parametrize("suite", PASSED)
def test_each_part_keeps_its_promises(godot: Godot, suite: str) -> None:
    assert godot.run(f"{suite}_suite") == {"passed": PASSED[suite], "failed": []}


def test_a_mistake_is_logged_once(godot: Godot) -> None:
    godot.run("client_suite")
    assert godot.said.count("ramp: expected a number from 0") == 1 + 1  # a client each
    assert godot.said.count("for the log") == 63  # one more mistake was told before


def test_the_server_hears_of_godot_what_it_hears_of_every_client(godot: Godot) -> None:
    script = f'exec {shlex.join(godot.command("conformance"))} "--endpoint=$0"'
    assert run_conformance(["sh", "-c", script]) == EXPECTED


def test_nodes_tell_of_the_server_by_signals_and_are_heard(godot: Godot) -> None:
    with server() as (endpoint, process):
        report = godot.run("nodes", f"--endpoint={endpoint}")
        log = log_of(process)
    assert report == {"welcomes": 1, "losses": 1, "wrong": "value", "done": 1}
    assert [event.name for event in log.events] == ["shot"]
    assert log.frame is None  # nothing is drawn without a screen
    assert log.bye


def test_the_games_thread_never_touches_the_socket_and_none_outlives_its_node(
    godot: Godot,
) -> None:
    recorder = Recorder()
    with BridgeServer(ANYWHERE, recorder) as server:
        report = godot.run("thread", f"--endpoint={server.endpoint}")
    main, others, acked = True, True, 60
    assert report["threaded"] == [not main, others, acked]
    assert report["alone"] == [main, not others, acked]  # where no thread can be had
    assert report["freed"] == [True, True, True]  # closed, untouched, gone
    assert report["signals"] == [True]  # on the game's thread
    assert recorder.events() == ["shot"] * 120


def test_a_game_that_ends_says_goodbye_and_leaves_no_thread(godot: Godot) -> None:
    with server() as (endpoint, process):
        assert godot.run("quit", f"--endpoint={endpoint}") == {"welcomes": 1}
        log = log_of(process)
    assert log.bye


def test_the_capture_sees_the_picture_as_the_player_does(godot: Godot, display: str) -> None:
    seen = godot.draw("capture", display)
    assert seen == {"first": [255, 0, 0], "right": [0, 255, 0], "last": [0, 0, 255]}


def test_the_cost_of_a_tick_is_told_and_nothing_is_lost(
    godot: Godot, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = Recorder()
    with BridgeServer(ANYWHERE, recorder) as server:
        report = godot.run("cost", f"--endpoint={server.endpoint}")
    with capsys.disabled():
        print(f"\n{json.dumps(report)}")
    assert report["ticks"] == 300
    assert len(recorder.events()) == 600
    assert len(recorder.messages(Frame)) > 0
    assert len(recorder.messages(Parameter)) >= 5


def test_what_godot_3_has_for_itself_stands_in_for_a_file_of_godot_4() -> None:
    own = [path.relative_to(ADDON / "godot3") for path in (ADDON / "godot3").rglob("*.gd")]
    assert own
    assert all((ADDON / path).is_file() for path in own)
    shared = re.compile(r"\b(Packed|Pool)\w+Array\b|@export|@tool|\bexport var\b")
    for path in (ADDON / "addons" / "diegetic" / "core").glob("*.gd"):
        if path.name != "platform.gd":
            assert not shared.search(path.read_text()), path
