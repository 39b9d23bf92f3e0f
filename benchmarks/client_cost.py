"""What a client costs the game's thread at 60 Hz: a 128 x 72 frame, 5 parameters, 2 events, a poll.

    python benchmarks/client_cost.py [--seconds 10] [--client "NAME=COMMAND"]...

Each client is a program of its own that talks to one server; COMMAND gets the endpoint and the
seconds, and prints a line {"ticks": n, "p50_ms": x, "p95_ms": x, "p99_ms": x}. Python's is in this
file; C++'s is built where there is a g++.
"""

import argparse
import contextlib
import json
import multiprocessing
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

from diegetic.report import machine
from diegetic_bridge import BridgeServer, Client, ParameterSpec, WelcomeInfo

CPP = Path(__file__).parents[1] / "engine_bridge" / "cpp"
RATE = 60  # Hz
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
    on_bus = on_push_snapshot = on_pop_snapshot = on_listener = on_frame = _pass


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
    p50, p95, p99 = np.quantile(costs, [0.5, 0.95, 0.99]).tolist()
    return {"ticks": len(costs), "p50_ms": p50, "p95_ms": p95, "p99_ms": p99}


def build_cpp(folder: Path) -> list[str]:
    """Build the C++ client's program."""
    program = folder / "cost"
    flags = ["-std=c++17", "-O2", "-fno-exceptions", "-fno-rtti", "-pthread"]
    source = CPP / "tests" / "cost.cpp"
    subprocess.run(["g++", *flags, f"-I{CPP / 'include'}", source, "-o", program], check=True)
    return [str(program)]


def main() -> None:
    """Run every client in turn; print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--client", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--play", metavar="ENDPOINT", help="be Python's client")
    arguments = parser.parse_args()
    if arguments.play:
        print(json.dumps(play(arguments.play, arguments.seconds)))
        return
    table = Table("client", "p50 (ms)", "p95 (ms)", "p99 (ms)", "p99 against Python's")
    ours, theirs = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        server = spawn.Process(target=serve, args=(theirs,), daemon=True)
        server.start()
        endpoint = ours.recv()
        seconds = str(arguments.seconds)
        commands = {"Python": [sys.executable, __file__, "--seconds", seconds, "--play", endpoint]}
        others = dict(entry.split("=", 1) for entry in arguments.client)
        for name, command in others.items():
            commands[name] = [*shlex.split(command), endpoint, seconds]
        if shutil.which("g++"):
            commands["C++"] = [*build_cpp(Path(folder)), endpoint, seconds]
        pythons = 0.0
        for name, program in commands.items():
            done = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True)
            cost = json.loads(done.stdout.splitlines()[-1])
            pythons = pythons or cost["p99_ms"]  # it comes first
            figures = [f"{cost[key]:.3f}" for key in ("p50_ms", "p95_ms", "p99_ms")]
            table.add_row(name, *figures, f"{cost['p99_ms'] / pythons:.2f}")
        ours.send("enough")
        server.join()
    Console().print(table)
    Console().print(", ".join(f"{key} {value}" for key, value in machine().items()))


if __name__ == "__main__":
    main()
