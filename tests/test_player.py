import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from diegetic.errors import DeviceError, MediaError
from diegetic.mixer.mixer import Mixer
from diegetic.player import BLOCK, FADE, ClockOutput, Concealer, Player, outputs, play
from diegetic.ring import Command, Ring, Status, Underrun
from diegetic.snapshot import FloatArray
from diegetic.wav import WavWriter
from tape import Tape


def tone(start: int, count: int) -> FloatArray:
    wave = 0.5 * np.sin(2 * np.pi * 440 / 48_000 * np.arange(start, start + count))
    return np.stack([wave, wave], 1).astype(np.float32)


@pytest.fixture
def ring() -> Iterator[Ring]:
    ring = Ring.create(48_000)
    yield ring
    ring.close()


def biggest_jump(samples: FloatArray) -> float:
    return float(np.abs(np.diff(samples[:, 0])).max())


def test_all_that_was_written_is_played_and_recorded(ring: Ring, tmp_path: Path) -> None:
    record = WavWriter(tmp_path / "take.wav")
    ring.write(tone(0, 5000))
    ring.tell(Command.DRAIN)
    tape = Tape(lambda count: None)
    Player(ring, tape, record, Mixer(), deque()).run()
    record.close()
    assert np.array_equal(tape.sound[:5000], tone(0, 5000))
    assert ring.underruns == 0
    end = tape.sound[5000:]
    assert biggest_jump(tape.sound) <= 1.5 * biggest_jump(tone(0, 5000))
    # after the decay, silence for the latency and 50 ms more: what the device would cut off
    assert not end[FADE:].any()
    assert len(end) - FADE >= 0.06 * 48_000


def test_a_dry_ring_decays_is_counted_and_fades_in_again(ring: Ring) -> None:
    ring.write(tone(0, 1000))

    def producer(blocks: int) -> None:
        if blocks == 12:
            ring.write(tone(1000, 2000))
            ring.tell(Command.DRAIN)

    tape = Tape(producer)
    Player(ring, tape, None, Mixer(), deque()).run()
    gap = 12 * BLOCK - 1000
    assert ring.underruns == 1
    assert ring.concealed == gap
    assert ring.underrun_log() == [Underrun(1000, gap)]
    assert np.array_equal(tape.sound[:1000], tone(0, 1000))
    assert tape.sound[1000:1240].any()  # no hard zero
    assert not tape.sound[1000 + FADE : 12 * BLOCK].any()
    back = tape.sound[12 * BLOCK :]
    assert np.abs(back[:10]).max() < 0.01
    assert np.array_equal(back[FADE : FADE + 1000], tone(1000 + FADE, 1000))
    assert biggest_jump(tape.sound) <= 1.5 * biggest_jump(tone(0, 5000))


def test_a_gap_shorter_than_the_decay_overlaps_with_the_return(ring: Ring) -> None:
    ring.write(tone(0, BLOCK))

    def producer(blocks: int) -> None:
        if blocks == 2:
            ring.write(tone(BLOCK, 4 * BLOCK))
            ring.tell(Command.DRAIN)

    tape = Tape(producer)
    Player(ring, tape, None, Mixer(), deque()).run()
    assert ring.underrun_log() == [Underrun(BLOCK, BLOCK)]
    assert biggest_jump(tape.sound) <= 2.5 * biggest_jump(tone(0, 5000))  # two tones at once


def test_a_second_gap_is_logged_where_it_is_in_the_recording(ring: Ring) -> None:
    ring.write(tone(0, 1000))

    def producer(blocks: int) -> None:
        if blocks == 10:
            ring.write(tone(1000, 100))  # less than a block: not worth coming back for
        if blocks == 20:
            ring.write(tone(1100, 924))
        if blocks == 30:
            ring.tell(Command.STOP)

    tape = Tape(producer)
    Player(ring, tape, None, Mixer(), deque()).run()
    first = 20 * BLOCK - 1000
    assert ring.underrun_log() == [
        Underrun(1000, first),
        Underrun(20 * BLOCK + 1024, 6 * BLOCK),
    ]
    assert not tape.sound[1000 + FADE : 20 * BLOCK].any()


def test_nothing_sounds_before_the_ring_is_primed(ring: Ring) -> None:
    ring.set_prime(1000)
    ring.write(tone(0, 999))

    def producer(blocks: int) -> None:
        if blocks == 3:
            ring.write(tone(999, 1))
        if blocks == 5:
            ring.tell(Command.DRAIN)

    tape = Tape(producer)
    Player(ring, tape, None, Mixer(), deque()).run()
    assert not tape.sound[: 3 * BLOCK].any()
    assert np.array_equal(tape.sound[3 * BLOCK : 3 * BLOCK + 1000], tone(0, 1000))
    assert ring.underruns == 0


def test_stopping_at_once_fades_and_drops_the_rest(ring: Ring) -> None:
    ring.write(tone(0, 20_000))

    def producer(blocks: int) -> None:
        if blocks == 4:
            ring.tell(Command.STOP)

    tape = Tape(producer)
    Player(ring, tape, None, Mixer(), deque()).run()
    assert np.array_equal(tape.sound[: 4 * BLOCK], tone(0, 4 * BLOCK))
    assert not tape.sound[4 * BLOCK + FADE :].any()
    assert biggest_jump(tape.sound) <= 1.5 * biggest_jump(tone(0, 5000))


def test_a_dead_parent_lets_the_rest_be_played(ring: Ring) -> None:
    ring.write(tone(0, 3000))
    tape = Tape(lambda count: None)
    Player(ring, tape, None, Mixer(), deque(), parent_lives=lambda: len(tape.blocks) < 2).run()
    assert np.array_equal(tape.sound[:3000], tone(0, 3000))


def test_a_full_disk_ends_the_recording_and_not_the_sound(ring: Ring, tmp_path: Path) -> None:
    class Full(WavWriter):
        def write(self, samples: FloatArray) -> None:
            raise MediaError("cannot write take.wav: No space left on device")

    ring.write(tone(0, 3000))
    ring.tell(Command.DRAIN)
    tape = Tape(lambda count: None)
    record = Full(tmp_path / "take.wav")
    Player(ring, tape, record, Mixer(), deque()).run()
    record.close()
    assert np.array_equal(tape.sound[:3000], tone(0, 3000))
    assert (ring.status, "No space" in ring.error) == (Status.PLAYING, True)


def test_a_player_that_takes_over_plays_without_a_file_that_is_gone(
    ring: Ring, tmp_path: Path
) -> None:
    path = tmp_path / "gone" / "take.wav"
    said: list[str] = []

    def run(*, resumed: bool) -> bool:
        ring.write(tone(0, 3000))
        ring.tell(Command.DRAIN)
        tape = Tape(lambda blocks: said.append(ring.error))
        played = play(
            ring,
            lambda: tape,
            path,
            deque(),
            journal_path=None,
            resumed=resumed,
            parent_lives=lambda: True,
        )
        assert not played or tape.sound.any()
        return played

    assert not run(resumed=False)
    assert ring.status is Status.MEDIA_FAILED
    assert run(resumed=True)
    assert ring.status is Status.ENDED
    assert "cannot write" in said[0]


def test_a_resumed_player_fades_in() -> None:
    block = Concealer(fade_first=True).fill(np.ones((BLOCK, 2), np.float32), BLOCK)
    assert block[0].max() < 1e-4
    assert np.all(np.diff(block[:, 0]) >= 0)


def test_the_clock_output_keeps_pace_and_forgives_a_suspended_machine() -> None:
    now = [0.0]
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        now[0] += seconds

    output = ClockOutput(clock=lambda: now[0], sleep=sleep)

    def play(blocks: int) -> None:
        for _ in range(blocks):
            output.wait(480)
            output.write(np.zeros((480, 2), np.float32))

    play(100)
    output.wait(480)
    assert now[0] == pytest.approx(1.0)
    now[0] += 0.5  # a hiccup is made up for
    play(100)
    output.wait(480)
    assert now[0] == pytest.approx(2.0)
    now[0] += 3600
    play(2)
    output.wait(480)
    assert now[0] == pytest.approx(3602.02)


def test_missing_portaudio_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr(outputs.importlib, "import_module", missing)
    with pytest.raises(DeviceError, match="libportaudio2"):
        outputs.import_sounddevice()


def test_the_player_loads_nothing_heavy() -> None:
    code = (
        "import sys, diegetic.player.__main__; "
        "print([m for m in ('torch','onnxruntime','sounddevice','soundfile','zmq','scipy') "
        "if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "[]", answer.stderr
