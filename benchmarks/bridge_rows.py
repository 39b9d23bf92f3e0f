"""The rows of the bridge's benchmark: each starts its processes, and returns its figures."""

import contextlib
import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from bridge_figures import Figure, one, spread
from bridge_process import HERE, Program, free_endpoint, serving
from bridge_proxy import Cutter
from live import resident
from soak import GROWTH

CLIENTS = 50
CUTS = 3
STALL = 0.2  # s
WELL = 5.0  # s of play between two kills
ANSWER_MS = 50.0  # later than that, a pong is no good for a game
FRESH_MS = 25.0  # older than that, a frame is no longer what the player sees
LOOKS = 50  # at a server's memory
FLAT = f"<= {100 * GROWTH:g}"
SERVED, HALL = "diegetic serve", "all let in"


def fuzz(count: int, seed: int, settle: int) -> list[Figure]:
    """Half of `count` bad messages for `diegetic serve`, half for a server that lets all in.

    The first has one engine, which plays on; to it the hostile ones are never welcome. The second
    gives them sessions, so that it is asked about what lies behind.

    Each server gets `settle` messages more, before all others. What its memory has been at most by
    then is what it may not outgrow: the C library's allocator keeps what a coincidence of messages
    of 4 MiB has once needed, until that has been met with.
    """
    half = max(10, count // 2)
    figures = []
    endpoint = free_endpoint()
    with serving(endpoint) as server:
        figures += _under_fire(SERVED, server, endpoint, half, settle, seed)
    with Program(HERE / "bridge_hall.py") as server:
        figures += _under_fire(HALL, server, server.hear(), half, settle, seed + 1)
    return figures


def _under_fire(
    what: str, server: Program, endpoint: str, count: int, settle: int, seed: int
) -> list[Figure]:
    command = (HERE / "bridge_hostile.py", endpoint, settle + count, "--looks", LOOKS)
    settled = most = 0.0  # bytes
    with Program(HERE / "bridge_peers.py", endpoint, 1) as good:
        good.hear()
        start = time.monotonic()
        with Program(*command, "--seed", seed) as hostile:
            sent = 0
            while sent < settle + count:
                sent = hostile.hear()["sent"]
                most = max(most, resident(server.pid))
                if sent <= settle or not settled:
                    settled = most
            took = time.monotonic() - start
            hostile.wait()
        (peer,) = good.let_go()
    crashes = (not server.lives) + server.complaints().count("Traceback")
    growth = most / settled - 1 if settled else 0.0
    return [
        one("fuzz", f"{what}: messages", sent - settle),
        one("fuzz", f"{what}: messages a second", sent / took),
        one("fuzz", f"{what}: thrown away", peer["dropped"]),
        one("fuzz", f"{what}: crashes", crashes, "== 0"),
        one("fuzz", f"{what}: most memory of the first {settle:,}, MB", settled / 1e6),
        one("fuzz", f"{what}: growth of the most from there on, %", 100 * growth, FLAT),
        *_fared("fuzz", f"{what}: the good client", [peer]),
    ]


def events(seconds: float, rate: int) -> list[Figure]:
    """Events for a real session, through a wire that is cut three times."""
    with Program(HERE / "bridge_listener.py") as server:
        with (
            Cutter(server.hear()) as wire,
            Program(
                HERE / "bridge_game.py", "pour", wire.endpoint, seconds, "--rate", rate
            ) as game,
        ):
            game.hear()
            for _ in range(CUTS):
                time.sleep(seconds / (CUTS + 1))
                wire.cut()
            told = game.hear()
            game.wait()  # its goodbye comes last
        heard = server.let_go()
    return [
        one("events", "posted", told["posted"]),
        one("events", "posted a second", told["rate"], f">= {0.99 * rate:g}"),
        one("events", "reconnects", told["reconnects"], f">= {CUTS}"),
        *_accounted("events", told, heard),
    ]


def cold(seconds: float, rate: int) -> list[Figure]:
    """Events from the first moment on, when no take of any is ready."""
    with Program(HERE / "bridge_listener.py") as server:
        command = ("pour", server.hear(), seconds, "--rate", rate, "--cold")
        with Program(HERE / "bridge_game.py", *command) as game:
            game.hear()
            told = game.hear()
            game.wait()
        heard = server.let_go()
    return [
        one("cold", "posted", told["posted"]),
        one("cold", "errors told to the game", told["errors"], "== 0"),
        *_accounted("cold", told, heard),
    ]


def _accounted(row: str, told: dict[str, Any], heard: dict[str, Any]) -> list[Figure]:
    """Return what became of the events that were posted."""
    fates = heard["fates"]
    return [
        one(row, "lost", told["posted"] - heard["different"], "== 0"),
        one(row, "given up by the client", told["given_up"], "== 0"),
        one(row, "doubled", heard["heard"] - heard["different"], "== 0"),
        one(row, "out of order for their object", heard["disorder"], "== 0"),
        one(row, "the most that waited for an acknowledgement", told["most"]),
        one(row, "heard by a take of their own", fates["own"]),
        one(row, "by the nearest take", fates["nearest"]),
        one(row, "left to the bed", fates["bed"]),
        one(row, "over what the bed can make", fates["over"]),
        one(row, "refused", fates["refused"], "== 0"),
        one(row, "came, and not accounted for", heard["different"] - sum(fates.values()), "== 0"),
        one(row, "voices that gave way at the mixer's limit", heard["stolen"]),
        one(row, "voices that the mixer refused", heard["refused"], "== 0"),
        one(row, "the session's compute time per audio time, p95", heard["rtf_p95"]),
        one(row, "underruns", heard["underruns"]),
    ]


def frames(seconds: float) -> list[Figure]:
    """Frames and events for a generator that is held up for 200 ms at each chunk."""
    with Program(HERE / "bridge_listener.py", "--stall", STALL) as server:
        with Program(HERE / "bridge_game.py", "show", server.hear(), seconds) as game:
            shown = game.hear()
            game.wait()
        seen = server.let_go()
    ages = ages_ms(seen["looks"], shown["first"], shown["last"])
    return [
        one("frames", "shown", shown["frames"]),
        one("frames", "looks while frames were shown", len(ages)),
        one("frames", "looks before and after, left out", len(seen["looks"]) - len(ages)),
        spread("frames", "age of the frame used, ms", ages, f"p99 <= {FRESH_MS:g}"),
        one("frames", "events posted", shown["events"]),
        one("frames", "events not seen by the generator", shown["events"] - seen["seen"], "== 0"),
    ]


def ages_ms(looks: Sequence[tuple[float, float | None]], first: float, last: float) -> list[float]:
    """Return how old the newest frame was at each look at which there was a fresh one to be had.

    That is from `FRESH_MS` after the first one until `last`, when the last one was shown: later
    there is none that could be newer. A look without a frame counts as one of endless age.

    Args:
        looks: when, and when the frame that was seen was shown; monotonic s.
        first: when the first frame was shown.
        last: when the last one was.
    """
    return [
        math.inf if shown is None else 1000 * (moment - shown)
        for moment, shown in looks
        if first + FRESH_MS / 1000 <= moment <= last
    ]


def kill(times: int) -> list[Figure]:
    """`kill -9` of `diegetic serve` while a game plays, and another one in its place at once."""
    endpoint = free_endpoint()
    killed: list[float] = []
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(endpoint))
        mute = stack.enter_context(Program(HERE / "bridge_game.py", "mute"))
        game = stack.enter_context(Program(HERE / "bridge_game.py", "play", endpoint))
        game.hear()
        for _ in range(times):
            time.sleep(WELL)
            server.kill()
            killed.append(time.monotonic())
            server = stack.enter_context(serving(endpoint))
            while game.hear() < killed[-1]:
                pass
        time.sleep(WELL)
        story = game.let_go(until=dict)
        return tell(story, killed, mute.let_go(until=list))


def tell(
    story: dict[str, Any], killed: list[float], mute: list[tuple[float, float, float]]
) -> list[Figure]:
    """Tell outages, each from a kill to the sound's return, from the time when all was well.

    `story` is what the game `play` says at its end, `mute` what the game without a client does,
    which shows how much of it is the machine's: another server that starts takes its cores.
    `killed` are monotonic seconds.
    """
    back = [_first(story["heard"], moment) for moment in killed]
    opened = [_first(story["welcomes"], moment) for moment in killed]
    from_when = story["heard"][0] + 1.0
    outages = list(zip(killed, back, strict=True))
    well, away = _split(story["ticks"], from_when, outages)
    well_mute, away_mute = _split(mute, from_when, outages)
    return [
        one("kill", "times killed", len(killed)),
        spread("kill", "the game's calls while all is well, ms", well[1]),
        spread("kill", "the game's calls without a server, ms", away[1], "p99 <= 1"),
        spread("kill", "as much work without a client, all is well, ms", well_mute[1]),
        spread("kill", "as much work without a client, without a server, ms", away_mute[1]),
        spread("kill", "from tick to tick while all is well, ms", well[2]),
        spread("kill", "from tick to tick without a server, ms", away[2]),
        spread("kill", "the same without a client, all is well, ms", well_mute[2]),
        spread("kill", "the same without a client, without a server, ms", away_mute[2]),
        spread("kill", "from the kill to a session, s", _since(killed, opened)),
        spread("kill", "from the kill to sound, s", _since(killed, back), "max <= 2"),
    ]


def crowd(seconds: float, seed: int) -> list[Figure]:
    """49 good clients and a hostile one, at a server that lets all in."""
    with Program(HERE / "bridge_hall.py") as server:
        endpoint = server.hear()
        with (
            Program(HERE / "bridge_peers.py", endpoint, CLIENTS - 1) as good,
            Program(
                HERE / "bridge_hostile.py", endpoint, 0, "--seed", seed, "--connections", 1
            ) as hostile,
        ):
            good.hear()
            time.sleep(seconds)
            peers = good.let_go()
            lived = hostile.lives
        counts = server.ask("how are things?")
    each = [float(np.quantile(peer["answers_ms"] or [np.inf], 0.99)) for peer in peers]
    return [
        one("crowd", "good clients", len(peers), f"== {CLIENTS - 1}"),
        one("crowd", "hostile clients, to the end", lived, "== 1"),
        one("crowd", "of its messages thrown away", counts["dropped"]),
        *_fared("crowd", "good clients", peers),
        one("crowd", "their events not heard", _sum(peers, "said") - counts["heard"], "== 0"),
        one("crowd", "their events heard twice", counts["doubled"], "== 0"),
        spread("crowd", "p99 of each, ms", each),
        one("crowd", "worst p99 over the middle one", max(each) / float(np.median(each)), "<= 3"),
    ]


def _fared(row: str, who: str, peers: list[dict[str, Any]]) -> list[Figure]:
    """Return how good clients were answered."""
    answers = [value for peer in peers for value in peer["answers_ms"]]
    acks = [value for peer in peers for value in peer["acks_ms"]]
    return [
        one(row, f"{who}: pings not answered", _sum(peers, "unanswered"), "== 0"),
        one(row, f"{who}: events not acknowledged", _sum(peers, "unacked"), "== 0"),
        one(row, f"{who}: errors", sum(len(peer["errors"]) for peer in peers), "== 0"),
        spread(row, f"{who}: ping to pong, ms", answers, f"p99 <= {ANSWER_MS:g}"),
        spread(row, f"{who}: event to ack, ms", acks),
    ]


def _sum(peers: list[dict[str, Any]], name: str) -> int:
    return sum(peer[name] for peer in peers)


def _split(
    ticks: list[tuple[float, float, float]], since: float, outages: list[tuple[float, float]]
) -> tuple[list[list[float]], list[list[float]]]:
    """Return the columns of ticks later than `since` and outside `outages`; those within."""
    table = np.array(ticks)
    moments = table[:, 0]
    out = np.zeros(len(table), bool)
    for begin, end in outages:
        out |= (moments >= begin) & (moments <= end)
    return table[(moments > since) & ~out].T.tolist(), table[out].T.tolist()


def _first(moments: list[float], after: float) -> float:
    """Return the first of `moments` later than `after`; infinity if there is none."""
    return min((moment for moment in moments if moment > after), default=np.inf)


def _since(killed: list[float], back: list[float]) -> list[float]:
    return [end - begin for begin, end in zip(killed, back, strict=True)]
