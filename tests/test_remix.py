"""All that was heard of a session, made again from what it and its sink wrote down."""

import os
import signal
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from diegetic import Session
from diegetic.bank import EventSpec
from diegetic.errors import DiegeticError, MediaError
from diegetic.mix_journal import Joined, MixJournal, Told, Whole, checksum, read_mix_journal
from diegetic.mixer.commands import (
    DeclareBus,
    DeclareSnapshot,
    DropClip,
    Duck,
    LoadClip,
    PopSnapshot,
    PushSnapshot,
    SetBus,
    SetListener,
    SetMaster,
    StartVoice,
)
from diegetic.mixer.mixer import Mixer
from diegetic.player import BLOCK, Player
from diegetic.replay import remix, replay
from diegetic.ring import Command, Ring, Status
from diegetic.sink import ClockSink, PcmSink, ThreadSink
from diegetic.sink.ring_sink import RingSink
from diegetic.snapshot import Conditioning, FloatArray
from tape import Tape
from tone_generator import ToneGenerator, ToneState, plain_conditioner

CLIP = LoadClip(1, np.full((600, 2), 0.25, "<f4").tobytes())


class Stalling(ToneGenerator):
    """Holds everything up once, for longer than is buffered."""

    stall_at = 0

    def generate(
        self, state: ToneState, conditioning: Conditioning
    ) -> tuple[FloatArray, ToneState]:
        if self.calls == self.stall_at:
            time.sleep(0.9)
        return super().generate(state, conditioning)


def wait_until(condition: Callable[[], bool], patience: float = 20.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def recorded(path: Path) -> FloatArray:
    samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
    return np.asarray(samples, np.float32)


def heard_again(session: Path, mix: Path) -> FloatArray:
    return remix(session, mix, generator=ToneGenerator(), conditioner=plain_conditioner)


def declare(session: Session) -> None:
    session.declare_event(EventSpec("shot", length=0.3, variations=2))
    session.mix(DeclareBus("far", "events"))
    session.mix(DeclareBus("beds", ducks=[Duck("events", -9.0, 0.01, 0.1)]))
    session.mix(DeclareSnapshot("pause", {"beds": -6.0}))
    session.mix(SetMaster(-20.0))


def play(session: Session, sink: RingSink, seed: int = 0) -> None:
    """A second and a half in which much happens."""
    session.play(sink)
    rng = np.random.default_rng(seed)
    for index in range(20):
        session.set_prompt("rain" * int(rng.integers(1, 4)))
        x, z = (float(value) for value in rng.uniform(-4, 4, 2))
        session.post_event("shot", position=(x, 0.0, z), occlusion=float(rng.uniform()))
        session.mix(SetListener((x, 0.0, 0.0)))
        session.mix(SetBus("far", gain_db=float(rng.uniform(-20, 0)), fade=0.03))
        if index % 5 == 1:
            session.mix(PushSnapshot("pause", 0.1))
        if index % 5 == 4:
            session.mix(PopSnapshot("pause", 0.05))
        heard = sink.output_clock().sample
        wait_until(lambda heard=heard: sink.output_clock().sample > heard + 3000)
    session.stop()


def thread(**files: Path) -> RingSink:
    return ThreadSink(use_device=False, **files)


def engine(**files: Path) -> RingSink:
    return PcmSink(lambda block: None, 44_100, **files)


@pytest.mark.parametrize("kind", [ClockSink, thread, engine])
def test_a_session_full_of_changes_is_mixed_again_bit_for_bit(
    kind: Callable[..., RingSink], tmp_path: Path
) -> None:
    paths = [tmp_path / name for name in ("session.journal", "mix.journal", "take.wav")]
    generator = Stalling()
    session = Session(generator=generator, conditioner=plain_conditioner, record=paths[0])
    with session:
        declare(session)
        session.bank.work()
        while session.bank.work():
            pass
        generator.stall_at = generator.calls + 8
        sink = kind(record=paths[2], journal=paths[1])
        play(session, sink)
        assert session.metrics.counts()["chunks made again"] > 0
        assert len(session.voices()) == 20
    assert sink.underruns > 0
    assert sink.mix_counts.refused == 0
    take = recorded(paths[2])
    assert len(take) > 60_000
    again = heard_again(paths[0], paths[1])
    assert np.array_equal(again, take)
    bed = replay(paths[0], generator=ToneGenerator(), conditioner=plain_conditioner)
    assert len(bed) < len(take)  # what was concealed is none of it


def test_each_play_of_a_session_is_told_from_the_others(tmp_path: Path) -> None:
    path = tmp_path / "session.journal"
    with Session(generator=ToneGenerator(), conditioner=plain_conditioner, record=path) as session:
        declare(session)
        session.set_prompt("hail")
        session.read(0.5)
        for number in range(2):
            files = [tmp_path / f"{number}.wav", tmp_path / f"{number}.mix"]
            play(session, ThreadSink(use_device=False, record=files[0], journal=files[1]), number)
            session.read(0.1)
        assert session.metrics.counts()["chunks made again"] > 4
    for number in range(2):
        take = recorded(tmp_path / f"{number}.wav")
        assert np.array_equal(heard_again(path, tmp_path / f"{number}.mix"), take)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_after_a_player_that_was_killed_the_mix_is_right_again(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("session.journal", "mix.journal", "take.wav")]
    with Session(
        generator=ToneGenerator(), conditioner=plain_conditioner, record=paths[0]
    ) as session:
        session.set_prompt("rain on a roof")
        session.mix(SetBus("beds", gain_db=-3.0))
        sink = ClockSink(record=paths[2], journal=paths[1])
        session.play(sink)
        wait_until(lambda: sink.played() > 60_000)
        assert sink.player_pid is not None
        os.kill(sink.player_pid, signal.SIGKILL)
        wait_until(lambda: sink.respawns == 1)
        before = sink.output_clock().sample
        wait_until(lambda: sink.output_clock().sample > before + 30_000)
        session.stop()
    take, again = recorded(paths[2]), heard_again(paths[0], paths[1])
    assert len(again) == sink.output_clock().sample  # in its place: what is missing is silence
    _, back = [entry for entry in read_mix_journal(paths[1])[1] if isinstance(entry, Joined)]
    resumed = again[back.position :]  # with its fade
    assert len(resumed) > 30_000
    assert np.array_equal(resumed, take[-len(resumed) :])
    assert np.array_equal(again[:40_000], take[:40_000])


def test_what_belongs_to_no_play_of_the_session_is_refused(tmp_path: Path) -> None:
    for name, prompt in (("a", "rain"), ("b", "storm")):
        with Session(
            generator=ToneGenerator(), conditioner=plain_conditioner, record=tmp_path / name
        ) as session:
            session.set_prompt(prompt)
            session.play(ThreadSink(use_device=False, journal=tmp_path / f"{name}.mix"))
            wait_until(lambda session=session: session.live.sink.taken() > 20_000)
    assert len(heard_again(tmp_path / "a", tmp_path / "a.mix")) > 20_000
    with pytest.raises(DiegeticError, match=r"b\.mix must be of a play of .*a, got another bed"):
        heard_again(tmp_path / "a", tmp_path / "b.mix")


def test_of_files_that_are_cut_there_is_what_they_have(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("session.journal", "mix.journal")]
    with Session(
        generator=ToneGenerator(), conditioner=plain_conditioner, record=paths[0]
    ) as session:
        session.set_prompt("rain")
        session.play(ThreadSink(use_device=False, journal=paths[1]))
        wait_until(lambda: session.live is not None and session.live.sink.taken() > 110_000)
    whole = heard_again(*paths)
    data = paths[1].read_bytes()
    paths[1].write_bytes(data[:-3])
    cut = heard_again(*paths)
    assert 90_000 < len(cut) < len(whole)
    assert np.array_equal(cut, whole[: len(cut)])
    paths[1].write_bytes(data)
    paths[0].write_bytes(paths[0].read_bytes()[:-100])
    cut = heard_again(*paths)
    assert 40_000 < len(cut) < len(whole)
    assert np.array_equal(cut, whole[: len(cut)])


def test_what_is_no_mix_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mix.journal"
    with pytest.raises(MediaError, match="cannot read"):
        read_mix_journal(path)
    for data in (b"", b"RIFF" * 100, struct.pack("<I", 3) + b"abc"):
        path.write_bytes(data)
        with pytest.raises(MediaError, match="must be a mix journal"):
            read_mix_journal(path)
    journal = MixJournal(path, BLOCK)
    journal.told(SetBus("beds", gain_db=-3.0))
    journal.close()
    data = path.read_bytes()
    path.write_bytes(data.replace(b"\xa6format\x01", b"\xa6format\x63"))
    with pytest.raises(MediaError, match="of format 1, got 99"):
        read_mix_journal(path)
    path.write_bytes(data.replace(b"beds", b"\xff\xff\xff\xff"))
    with pytest.raises(MediaError, match="damaged at entry 1"):
        list(read_mix_journal(path)[1])
    with pytest.raises(MediaError, match="cannot write"):
        MixJournal(tmp_path / "none" / "x", BLOCK)


def test_a_clip_is_written_once_and_only_if_it_is_played(tmp_path: Path) -> None:
    path = tmp_path / "mix.journal"
    journal = MixJournal(path, BLOCK)
    other = LoadClip(2, CLIP.samples)
    told = [CLIP, other, StartVoice(1, 1), StartVoice(2, 1), DropClip(2), DropClip(1)]
    for command in told:
        journal.told(command)
    journal.close()
    entries = [entry.command for entry in read_mix_journal(path)[1] if isinstance(entry, Told)]
    assert entries == [CLIP, StartVoice(1, 1), StartVoice(2, 1), DropClip(1)]


def test_a_journal_that_is_gone_on_with_leaves_out_what_was_half_written(tmp_path: Path) -> None:
    path = tmp_path / "mix.journal"
    bed = np.ones((BLOCK, 2), np.float32)
    journal = MixJournal(path, BLOCK)
    for _ in range(3):
        journal.mixed(bed)
    journal.close()
    path.write_bytes(path.read_bytes() + b"\x40\x00\x00\x00half")
    journal = MixJournal(path, BLOCK, append=True)
    journal.mixed(bed)
    journal.close()
    three = checksum(np.concatenate([bed, bed, bed]))
    assert list(read_mix_journal(path)[1]) == [Whole(3, three), Whole(1, checksum(bed))]


@pytest.fixture
def ring() -> Iterator[Ring]:
    ring = Ring.create(48_000)
    yield ring
    ring.close()


def test_a_full_disk_ends_the_journal_and_not_the_sound(ring: Ring, tmp_path: Path) -> None:
    class Full(MixJournal):
        def mixed(self, bed: FloatArray) -> None:
            raise MediaError("cannot write mix.journal: No space left on device")

    sound = np.random.default_rng(0).uniform(-0.5, 0.5, (3000, 2)).astype(np.float32)
    ring.write(sound)
    ring.tell(Command.DRAIN)
    tape = Tape()
    journal = Full(tmp_path / "mix.journal", BLOCK)
    Player(ring, tape, None, Mixer(), deque(), journal=journal).run()
    journal.close()
    assert np.array_equal(tape.sound[:3000], sound)
    assert (ring.status, "No space" in ring.error) == (Status.PLAYING, True)


def test_a_folder_for_the_journal_that_does_not_exist_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"cannot write .*nowhere"):
        ClockSink(journal=tmp_path / "nowhere" / "mix.journal").start()
