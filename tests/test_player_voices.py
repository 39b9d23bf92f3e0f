"""Voices in the player's loop: on the very sample, with and without a bed."""

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from diegetic.mixer.commands import Command, LoadClip, StartVoice
from diegetic.mixer.mixer import Mixer
from diegetic.player import BLOCK, FADE, Player
from diegetic.ring import Command as Wish
from diegetic.ring import MixCounts, Ring
from diegetic.snapshot import FloatArray
from diegetic.wav import WavWriter
from tape import Tape

DELAY = Mixer().delay
CLIP = np.linspace(0.1, 0.2, 600, dtype=np.float32)


@pytest.fixture
def ring() -> Iterator[Ring]:
    ring = Ring.create(48_000)
    yield ring
    ring.close()


def loaded(*voices: Command) -> deque[Command]:
    """A clip that is the same on both sides, and `voices` that play it."""
    return deque((LoadClip(1, np.stack([CLIP, CLIP], 1).astype("<f4").tobytes()), *voices))


def bed(count: int) -> FloatArray:
    return np.full((count, 2), 0.125, np.float32)


def at_block(number: int, do: Callable[[], object]) -> Callable[[int], None]:
    return lambda count: do() and None if count == number else None


def test_a_voice_is_heard_and_recorded_on_its_very_sample(ring: Ring, tmp_path: Path) -> None:
    ring.write(bed(5000))
    ring.tell(Wish.DRAIN)
    record = WavWriter(tmp_path / "take.wav")
    tape = Tape()
    Player(ring, tape, record, Mixer(), loaded(StartVoice(7, 1, at=1001))).run()
    record.close()
    expected = bed(5000)[:, 0]
    expected[1001:1601] += CLIP
    assert np.array_equal(tape.sound[:5000, 0], expected)
    take, _ = soundfile.read(tmp_path / "take.wav", dtype="float32")
    assert np.array_equal(take[:5000, 0], expected)
    starts, _ = ring.starts_since(0)
    assert [start[:3] for start in starts] == [(7, 1001, 1001)]


def test_a_voice_sounds_on_while_the_bed_is_missing(ring: Ring) -> None:
    ring.write(np.zeros((1000, 2), np.float32))
    tape = Tape(at_block(20, lambda: ring.tell(Wish.STOP)))
    Player(ring, tape, None, Mixer(), loaded(StartVoice(7, 1, at=2000))).run()
    assert ring.underruns == 1
    assert np.array_equal(tape.sound[2000:2600, 0], CLIP)


def test_a_voice_need_not_wait_for_the_bed(ring: Ring) -> None:
    """Its time begins with it, and what passes before the bed is counted as concealed."""
    ring.set_prime(1000)
    commands: deque[Command] = deque()
    turns = {
        3: lambda: commands.extend(loaded(StartVoice(7, 1))),
        8: lambda: ring.write(bed(2000)),
        12: lambda: ring.tell(Wish.STOP),
    }
    tape = Tape(lambda count: turns.get(count, lambda: None)())
    Player(ring, tape, None, Mixer(), commands).run()
    sound = tape.sound[:, 0]
    assert not sound[: 3 * BLOCK].any()
    assert np.array_equal(sound[3 * BLOCK :][:600], CLIP)
    assert (ring.underruns, ring.concealed) == (0, 5 * BLOCK)
    assert np.array_equal(sound[8 * BLOCK :][: 4 * BLOCK], bed(4 * BLOCK)[:, 0])
    assert ring.starts_since(0)[0][0].sample == 0


def test_voices_are_faded_at_the_end_and_the_fade_is_recorded(ring: Ring, tmp_path: Path) -> None:
    ring.write(np.zeros((1000, 2), np.float32))
    ring.tell(Wish.DRAIN)
    record = WavWriter(tmp_path / "take.wav")
    tape = Tape()
    Player(ring, tape, record, Mixer(), loaded(StartVoice(7, 1, at=900))).run()
    record.close()
    assert np.array_equal(tape.sound[900:1000, 0], CLIP[:100])
    fade = tape.sound[1000 : 1000 + FADE, 0] / CLIP[100 : 100 + FADE]
    assert np.all(np.diff(fade) <= 1e-6)
    assert 0 <= fade[-1] < 1e-4
    assert not tape.sound[1000 + FADE :, 0].any()
    assert soundfile.info(tmp_path / "take.wav").frames == 1000 + FADE


def test_the_clock_tells_what_the_device_has_and_not_what_the_mixer_holds(ring: Ring) -> None:
    ring.write(bed(3 * BLOCK + 10))
    seen: list[tuple[int, int, int]] = []

    def then(count: int) -> None:
        seen.append(ring.clock()[:3])  # as it is after the block before
        if count == 7:
            ring.tell(Wish.STOP)

    Player(ring, Tape(then), None, Mixer(), deque()).run()
    given = [count * BLOCK - DELAY for count in range(1, 7)]
    assert [output for _, output, _ in seen[1:7]] == given
    assert [bed for bed, _, _ in seen[1:7]] == [min(count, 3 * BLOCK + 10) for count in given]
    assert [handed for _, _, handed in seen[1:7]] == [count * BLOCK for count in range(1, 7)]
    assert ring.clock()[:2] == (3 * BLOCK + 10, 7 * BLOCK)


def test_a_voice_has_begun_when_the_device_has_its_first_sample(ring: Ring) -> None:
    ring.write(bed(5000))
    logged: list[int] = []
    tape = Tape(lambda count: logged.append(len(ring.starts_since(0)[0])))
    ring.tell(Wish.DRAIN)
    voice = StartVoice(7, 1, at=2 * BLOCK - 1)  # the mixer still holds it when the block is given
    Player(ring, tape, None, Mixer(), loaded(voice)).run()
    assert logged[:4] == [0, 0, 0, 1]  # seen at the block after


def test_a_player_that_takes_over_goes_on_counting(ring: Ring) -> None:
    ring.set_mix_counts(MixCounts(late=3, stolen=2, refused=1, reduction_db=4.0))
    ring.write(bed(5000))
    ring.read(1000)
    ring.conceal(100)
    ring.tell(Wish.DRAIN)
    commands = loaded(StartVoice(7, 1, at=2000), StartVoice(8, 1, at=10), StartVoice(9, clip=5))
    Player(ring, Tape(), None, Mixer(position=1100), commands, resumed=True).run()
    assert {start[:3] for start in ring.starts_since(0)[0]} == {(7, 2000, 2000), (8, 10, 1100)}
    assert ring.mix_counts() == (4, 2, 2, 4.0)


def test_ten_thousand_commands_at_once_do_not_hold_up_a_block(
    ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def costly(self: Mixer, command: Command) -> None:
        now[0] += 0.001

    monkeypatch.setattr("diegetic.player.loop.time.monotonic", lambda: now[0])
    monkeypatch.setattr(Mixer, "apply", costly)
    commands: deque[Command] = deque([StartVoice(1, 1)] * 10_000)
    left: list[int] = []
    ring.write(bed(5 * BLOCK))

    def then(count: int) -> None:
        left.append(len(commands))
        if count == 5:
            ring.tell(Wish.STOP)

    Player(ring, Tape(then), None, Mixer(), commands).run()
    assert left[:5] == [9998, 9996, 9994, 9992, 9990]
