"""The Node client: its own tests, its types, the conformance scenario, and that a process may end.

npm's packages go into the folder that DIEGETIC_NODE_CACHE names, else into a temporary one.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bridge_recorder import ANYWHERE, WAIT, Recorder
from conformance import EXPECTED, run_conformance
from diegetic_bridge import BridgeServer
from diegetic_bridge.golden import VECTORS

SOURCE = Path(__file__).parents[1] / "engine_bridge" / "node"
NPM_PATIENCE = 600.0  # s
# Its zeromq brings the libraries for all usual systems along: no script needs to run.
NPM = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0"]
NOBODY = "tcp://127.0.0.1:1"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with everything that it needs beside it."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are needed")
    cache = os.environ.get("DIEGETIC_NODE_CACHE")
    folder = Path(cache) if cache else tmp_path_factory.mktemp("node")
    installed = folder / "package.json"
    is_new = not (folder / "node_modules").exists() or not installed.exists()
    is_new = is_new or installed.read_bytes() != (SOURCE / "package.json").read_bytes()
    for old in ("src", "test"):
        shutil.rmtree(folder / old, ignore_errors=True)
    ours = shutil.ignore_patterns("node_modules")
    shutil.copytree(SOURCE, folder, dirs_exist_ok=True, ignore=ours)
    if is_new:
        got = subprocess.run(NPM, cwd=folder, capture_output=True, text=True, timeout=NPM_PATIENCE)
        if got.returncode:
            installed.unlink()
            pytest.skip(f"npm cannot get its packages: {got.stderr[-300:]}")
    return folder


def node(package: Path, *arguments: str) -> str:
    """Run node in the package's folder; return what it printed."""
    done = subprocess.run(
        ["node", *arguments],
        cwd=package,
        env={**os.environ, "GOLDEN": str(VECTORS)},
        capture_output=True,
        text=True,
        timeout=2 * WAIT,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_package_passes_its_own_tests_and_the_golden_vectors(package: Path) -> None:
    printed = node(package, "--test", "--test-reporter=tap", "test/")
    assert "# fail 0" in printed
    assert "# pass 0" not in printed


def test_its_types_are_right(package: Path) -> None:
    node(package, str(package / "node_modules" / "typescript" / "bin" / "tsc"), "--noEmit")


def test_the_server_hears_of_the_node_client_what_it_hears_of_every_client(package: Path) -> None:
    assert run_conformance(["node", str(package / "conformance.mjs")]) == EXPECTED


GAME = """
import { Client } from "diegetic-bridge";
const client = new Client({ endpoint: process.argv[1], log: () => {} });
client.postEvent("shot");
const wait = setInterval(() => {
  if (client.stats.eventsAcked === Number(process.argv[3])) {
    clearInterval(wait);
    ({ end() {}, close: () => client.close(), exit: () => process.exit(0) })[process.argv[2]]();
  }
}, 5);
"""


@pytest.mark.parametrize("how", ["end", "close", "exit"])
def test_a_game_that_quits_is_not_held_up(package: Path, how: str) -> None:
    recorder = Recorder()
    with BridgeServer(ANYWHERE, recorder, timeout=1.0) as server:
        node(package, "--input-type=module", "--eval", GAME, server.endpoint, how, "1")
        assert recorder.events() == ["shot"]
        recorder.until(lambda: len(recorder.closed) == 1)
    node(package, "--input-type=module", "--eval", GAME, NOBODY, how, "0")


def test_a_restarted_server_hears_the_state_and_what_was_said_meanwhile(package: Path) -> None:
    game = """
import { createInterface } from "node:readline";
import { Client } from "diegetic-bridge";
const client = new Client({ endpoint: process.argv[1], log: console.log });
client.setPrompt("rain");
client.postEvent("before");
const look = setInterval(() => {
  if (client.stats.eventsAcked === 1) console.log("acknowledged"), clearInterval(look);
}, 5);
createInterface({ input: process.stdin }).on("line", (line) => {
  client.postEvent(line);
  client.setSwitch("surface", line);
});
"""
    first, second = Recorder(), Recorder()
    server = BridgeServer(ANYWHERE, first).start()
    with subprocess.Popen(
        ["node", "--input-type=module", "--eval", game, server.endpoint],
        cwd=package,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "acknowledged\n"
        assert first.events() == ["before"]
        server.close()
        assert process.stdout.readline().endswith("has gone; trying on\n")
        for number in range(3):
            print(number, file=process.stdin, flush=True)
        with BridgeServer(server.endpoint, second):
            second.until(lambda: len(second.heard) == 5)
        heard = [getattr(message, "name", "prompt") for message, _ in second.heard]
        assert heard == ["prompt", "0", "1", "2", "surface"]
        process.stdin.close()
        assert process.wait(WAIT) == 0
