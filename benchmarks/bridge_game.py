"""Games of the bridge's benchmark, each a process of its own; what they found comes as JSON.

    python benchmarks/bridge_game.py pour ENDPOINT SECONDS [--rate 10000] [--cold]
    python benchmarks/bridge_game.py show ENDPOINT SECONDS
    python benchmarks/bridge_game.py play ENDPOINT
    python benchmarks/bridge_game.py mute

pour: events of 16 objects, from when their takes are ready, or before that. show: frames at 60 Hz
that carry the moment at which they were shown, and 10 events a second. play: what a game says at
60 Hz, and the sound back into it, until stdin ends; says when sound is heard, each time after a
silence. mute: a game without a client, which computes for as long as those calls take: what it
waits for, the machine makes it wait for.
"""

import argparse
import json
import sys
import threading
import time

import numpy as np

from diegetic_bridge import Client, EventSpec, ParameterSpec, PcmSpec, Welcome

OBJECTS = 16
POUR_HZ = 500  # times a second that events are posted
RATE = 60  # Hz
EVENTS_HZ = 10  # of show
PATIENCE = 60.0  # s that the server, its sound, or the last acknowledgements may take
WORK = 3e-4  # s of computing in a tick of mute: about what the calls of play take
HEARD = 1e-4  # louder is sound
PCM = PcmSpec(48_000, 512)


def pour(endpoint: str, seconds: float, rate: int, *, cold: bool) -> dict[str, object]:
    """Post `rate` events a second, if `cold` from the first moment on; return how they fared."""
    names = [f"object {number}" for number in range(OBJECTS)]
    specs = [EventSpec(name, variations=1, length=0.25) for name in names]
    posted = 0
    with Client(endpoint, engine="events", events=specs, event_ttl=PATIENCE) as client:
        _await_welcome(client)
        if not cold:
            _await_takes(client)
        print(json.dumps("open"), flush=True)
        welcomes, most = 1, 0
        start = time.perf_counter()
        while (now := time.perf_counter() - start) < seconds:
            while posted < now * rate:
                client.post_event(names[posted % OBJECTS])
                posted += 1
            welcomes += sum(isinstance(reply, Welcome) for reply in client.poll())
            most = max(most, client.stats.events_unacked)
            time.sleep(1 / POUR_HZ)
        took = time.perf_counter() - start
        end = time.monotonic() + PATIENCE
        while client.stats.events_unacked and time.monotonic() < end:
            welcomes += sum(isinstance(reply, Welcome) for reply in client.poll())
            time.sleep(0.01)
        stats = client.stats
    return {
        "posted": posted,
        "rate": posted / took,
        "most": most,
        "given_up": stats.events_expired,
        "errors": stats.errors,
        "reconnects": welcomes - 1,
    }


def show(endpoint: str, seconds: float) -> dict[str, object]:
    """Show frames that tell their own age; return how many, and how many events there were.

    `first`, `last`: monotonic s at which the first and the last frame were shown.
    """
    picture = np.zeros((72, 128, 3), np.uint8)
    stamp = picture.reshape(-1)[:8].view(np.float64)
    events = 0
    with Client(endpoint, engine="frames") as client:
        _await_welcome(client)
        start = last = time.monotonic()
        for tick in range(round(seconds * RATE)):
            time.sleep(max(0.0, start + tick / RATE - time.monotonic()))
            stamp[:] = last = time.monotonic()
            client.push_frame(picture)
            if tick * EVENTS_HZ // RATE >= events:
                client.post_event(f"event {events}", bus="beds")
                events += 1
        time.sleep(1.0)  # what came last is looked at, too
        stats = client.stats
    frames = stats.frames_sent + stats.frames_dropped
    return {"frames": frames, "events": events, "first": start, "last": last}


def play(endpoint: str) -> dict[str, object]:
    """Play at 60 Hz until stdin ends; return what each tick cost, and what was heard, with times.

    `ticks`: (monotonic s, ms that the calls took, ms from the tick before to this one). `heard`:
    monotonic s at which sound began after a silence; `welcomes`: at which a session opened.
    """
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    names = [f"parameter {number}" for number in range(5)]
    picture = np.zeros((72, 128, 3), np.uint8)
    ticks: list[tuple[float, float, float]] = []
    heard: list[float] = []
    welcomes: list[float] = []
    last_sound = 0.0
    with Client(
        endpoint,
        engine="game",
        parameters=[ParameterSpec(name) for name in names],
        events=["shot"],
        pcm=PCM,
    ) as client:
        client.set_prompt("rain on a tin roof")
        start = time.perf_counter()
        before = time.perf_counter()
        while not stop.is_set():
            time.sleep(max(0.0, start + len(ticks) / RATE - time.perf_counter()))
            moment = time.perf_counter()
            picture[:] = len(ticks) % 256
            client.push_frame(picture)
            for name in names:
                client.set_parameter(name, len(ticks) % RATE / RATE)
            for _ in range(2):
                client.post_event("shot")
            replies = client.poll()
            sound = client.read_pcm(PCM.rate // RATE)
            done = time.perf_counter()
            now = time.monotonic()
            ticks.append((now, 1000 * (done - moment), 1000 * (moment - before)))
            before = moment
            welcomes += [now for reply in replies if isinstance(reply, Welcome)]
            if np.abs(sound).max() > HEARD:
                if now - last_sound > 0.25:
                    heard.append(now)
                    print(json.dumps(now), flush=True)
                last_sound = now
            elif last_sound and now - last_sound > PATIENCE:
                raise SystemExit(f"there was no sound for {PATIENCE:g} s")
    return {"ticks": ticks, "heard": heard, "welcomes": welcomes}


def mute() -> list[tuple[float, float, float]]:
    """Compute for `WORK` s at 60 Hz until stdin ends; return ticks as `play` does."""
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    ticks: list[tuple[float, float, float]] = []
    start = before = time.perf_counter()
    while not stop.is_set():
        time.sleep(max(0.0, start + len(ticks) / RATE - time.perf_counter()))
        moment = time.perf_counter()
        computed = time.thread_time()
        while time.thread_time() - computed < WORK:
            pass
        done = time.perf_counter()
        ticks.append((time.monotonic(), 1000 * (done - moment), 1000 * (moment - before)))
        before = moment
    return ticks


def _await_welcome(client: Client) -> None:
    end = time.monotonic() + PATIENCE
    while not client.stats.connected:
        if time.monotonic() > end:
            raise SystemExit("the server never answered")
        time.sleep(0.01)
    client.poll()


def _await_takes(client: Client) -> None:
    """Wait as a game does behind its loading screen."""
    end = time.monotonic() + PATIENCE
    while (bank := client.bank_progress) is None or bank.ready < bank.wanted:
        if time.monotonic() > end:
            raise SystemExit("the takes were never ready")
        time.sleep(0.01)


def main() -> None:
    """Play what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("game", choices=("pour", "show", "play", "mute"))
    parser.add_argument("endpoint", nargs="?", default="")
    parser.add_argument("seconds", type=float, nargs="?", default=0.0)
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--cold", action="store_true")
    arguments = parser.parse_args()
    found: object
    if arguments.game == "mute":
        found = mute()
    elif arguments.game == "pour":
        found = pour(arguments.endpoint, arguments.seconds, arguments.rate, cold=arguments.cold)
    elif arguments.game == "show":
        found = show(arguments.endpoint, arguments.seconds)
    else:
        found = play(arguments.endpoint)
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
