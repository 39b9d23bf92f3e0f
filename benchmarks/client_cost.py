"""What a client costs the game's thread at 60 Hz: a 128 x 72 frame, 5 parameters, 2 events, a poll.

    python benchmarks/client_cost.py [--seconds 10] [--client "NAME=COMMAND"]...

Each client is a program of its own that talks to one server; COMMAND gets the endpoint and the
seconds, and prints a line {"ticks": n, "p50_ms": x, "p95_ms": x, "p99_ms": x}. Python's is in this
file; C++'s is built where there is a g++, C#'s where there are mcs and mono, and Godot's runs where
there is a godot3-server (5 s always). "no client" is 0.1 ms of work: what it takes longer, the
machine is busy. Exit status 1: a p99 is over 1 ms.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bridge_process import load
from diegetic.report import machine
from diegetic_bridge import BridgeServer, Client, ParameterSpec, WelcomeInfo

BRIDGE = Path(__file__).parents[1] / "engine_bridge"
CPP, GODOT = BRIDGE / "cpp", BRIDGE / "godot"
CSHARP = BRIDGE / "unity" / "com.diegetic.bridge" / "Runtime" / "Core"
RATE = 60  # Hz
MOST_MS = 1.0
WORK = 1e-4  # s
NOBODY = "nobody"
PARAMETERS, EVENTS = 5, 2


class Nobody:
    """A handler that opens sessions, and listens to nothing."""

    def on_open(self, hello: object, peer: str) -> WelcomeInfo:
        """Open a session."""
        return WelcomeInfo()

    def on_close(self, peer: str) -> None:
        """Let it go."""

    def _pass(self, message: object, at: float) -> None:
        pass

    on_prompt = on_layers = on_parameter = on_switch = on_event = _pass
    on_bus = on_push_snapshot = on_pop_snapshot = on_loudness = on_listener = on_frame = _pass


def serve(pipe: Connection) -> None:
    """Run a server until `pipe` says that it is enough; say where first."""
    with BridgeServer("tcp://127.0.0.1:0", Nobody()) as server:
        pipe.send(server.endpoint)
        with contextlib.suppress(EOFError):
            pipe.recv()


def play(endpoint: str, seconds: float) -> dict[str, float]:
    """Play with Python's client; return what it cost, in ms."""
    names = [f"parameter {number}" for number in range(PARAMETERS)]
    picture = np.zeros((72, 128, 3), np.uint8)
    costs = []
    parameters = [ParameterSpec(name) for name in names]
    with Client(endpoint, parameters=parameters, events=["shot"]) as client:
        start = time.perf_counter()
        for tick in range(round(seconds * RATE)):
            time.sleep(max(0.0, start + tick / RATE - time.perf_counter()))
            picture[:] = tick % 256
            before = time.perf_counter()
            client.push_frame(picture)
            for name in names:
                client.set_parameter(name, tick % RATE / RATE)
            for _ in range(EVENTS):
                client.post_event("shot")
            client.poll()
            costs.append(1000 * (time.perf_counter() - before))
    return told(costs)


def work(seconds: float) -> dict[str, float]:
    """Compute for `WORK` s at 60 Hz; return how long that took, in ms."""
    costs = []
    start = time.perf_counter()
    for tick in range(round(seconds * RATE)):
        time.sleep(max(0.0, start + tick / RATE - time.perf_counter()))
        before, computed = time.perf_counter(), time.thread_time()
        while time.thread_time() - computed < WORK:
            pass
        costs.append(1000 * (time.perf_counter() - before))
    return told(costs)


def told(costs: list[float]) -> dict[str, float]:
    """Return percentiles of `costs` (ms)."""
    p50, p95, p99 = np.quantile(costs, [0.5, 0.95, 0.99]).tolist()
    return {"ticks": len(costs), "p50_ms": p50, "p95_ms": p95, "p99_ms": p99}


def build_cpp(folder: Path) -> list[str]:
    """Build the C++ client's program."""
    program = folder / "cost"
    flags = ["-std=c++17", "-O2", "-fno-exceptions", "-fno-rtti", "-pthread"]
    source = CPP / "tests" / "cost.cpp"
    subprocess.run(["g++", *flags, f"-I{CPP / 'include'}", source, "-o", program], check=True)
    return [str(program)]


def build_csharp(folder: Path) -> list[str]:
    """Build the C# client's program."""
    program = folder / "cost.exe"
    sources = [*CSHARP.glob("*.cs"), BRIDGE / "csharp" / "Cost.cs"]
    subprocess.run(["mcs", "-langversion:7", f"-out:{program}", *map(str, sources)], check=True)
    return ["mono", str(program)]


def build_godot(folder: Path) -> list[str]:
    """Make a project of the addon for Godot 3; the command lacks the endpoint only."""
    for part in (GODOT, GODOT / "godot3"):
        ignored = shutil.ignore_patterns(".*", "*.uid", "godot3")
        shutil.copytree(part, folder / "godot", ignore=ignored, dirs_exist_ok=True)
    name = 'config_version=4\n[application]\nconfig/name="cost"\n'
    (folder / "godot" / "project.godot").write_text(name, encoding="utf-8")
    return ["godot3-server", "--path", str(folder / "godot"), "-s", "res://checks/cost.gd"]


def commands(
    folder: Path, endpoint: str, seconds: str, others: dict[str, str]
) -> dict[str, list[str]]:
    """Return the command of each client that can be run here."""
    python = [sys.executable, __file__, "--seconds", seconds, "--play"]
    found = {"no client": [*python, NOBODY], "Python": [*python, endpoint]}
    for name, command in others.items():
        found[name] = [*shlex.split(command), endpoint, seconds]
    if shutil.which("g++"):
        found["C++"] = [*build_cpp(folder), endpoint, seconds]
    if shutil.which("mcs") and shutil.which("mono"):
        found["C#"] = [*build_csharp(folder), endpoint, seconds]
    if shutil.which("godot3-server"):
        found["Godot 3"] = [*build_godot(folder), f"--endpoint={endpoint}"]
    return found


def main() -> int:
    """Run every client in turn; print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--client", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--play", metavar="ENDPOINT", help="be Python's client")
    arguments = parser.parse_args()
    if arguments.play:
        alone = arguments.play == NOBODY
        cost = work(arguments.seconds) if alone else play(arguments.play, arguments.seconds)
        print(json.dumps(cost))
        return 0
    table = Table("client", "p50 (ms)", "p95 (ms)", "p99 (ms)", f"p99 <= {MOST_MS:g}")
    ours, theirs = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    holds = True
    before = load()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = spawn.Process(target=serve, args=(theirs,), daemon=True)
        server.start()
        others = dict(entry.split("=", 1) for entry in arguments.client)
        homes = {f"XDG_{home}_HOME": str(folder / home) for home in ("DATA", "CONFIG", "CACHE")}
        every = commands(folder, ours.recv(), str(arguments.seconds), others)
        for client, program in every.items():
            done = subprocess.run(
                program, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | homes
            )
            cost = json.loads(done.stdout.splitlines()[-1])
            figures = [f"{cost[key]:.3f}" for key in ("p50_ms", "p95_ms", "p99_ms")]
            good = client == "no client" or cost["p99_ms"] <= MOST_MS
            holds = holds and good
            table.add_row(
                client, *figures, "" if client == "no client" else "yes" if good else "NO"
            )
        ours.send("enough")
        server.join()
    Console().print(table)
    facts = ", ".join(f"{key} {value}" for key, value in machine().items())
    Console(soft_wrap=True).print(f"{before} before, {load()} after; {facts}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
