import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.shared_memory import SharedMemory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diegetic.errors import DiegeticError
from diegetic.ring import Command, MixCounts, Ring, Status, Underrun, VoiceStart
from diegetic.snapshot import FloatArray


@pytest.fixture
def ring() -> Iterator[Ring]:
    ring = Ring.create(100)
    yield ring
    ring.close()


def counter(start: int, count: int) -> FloatArray:
    ramp = (np.arange(start, start + count) / 2**24 - 0.5).astype(np.float32)
    return np.stack([ramp, -ramp], 1)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 130)), max_size=40))
def test_what_is_read_is_what_was_written_whatever_the_sizes(steps: list[tuple[bool, int]]) -> None:
    ring = Ring.create(97)
    try:
        written = read = 0
        for writes, count in steps:
            if writes:
                taken = ring.write(counter(written, count))
                assert taken == min(count, 97 - (written - read))
                written += taken
            else:
                got = ring.read(count)
                assert np.array_equal(got, counter(read, min(count, written - read)))
                read += len(got)
            assert ring.available == written - read
    finally:
        ring.close()


READER = """
import sys, time
import numpy as np
from diegetic.ring import Ring
ring = Ring.attach(sys.argv[1])
position = 0
while position < 200_000:
    samples = ring.read(173)
    expected = np.arange(position, position + len(samples)) / 2**24 - 0.5
    assert np.array_equal(samples[:, 0], expected.astype(np.float32)), position
    position += len(samples)
ring.close()
"""


def test_another_process_reads_every_sample_and_leaves_the_memory_to_its_creator() -> None:
    ring = Ring.create(1009)
    try:
        reader = subprocess.Popen([sys.executable, "-c", READER, ring.name], stderr=subprocess.PIPE)
        written = 0
        while written < 200_000 and reader.poll() is None:
            written += ring.write(counter(written, min(211, 200_000 - written)))
        _, complaints = reader.communicate(timeout=30)
        assert complaints == b""  # neither the reader nor its resource tracker
        assert reader.returncode == 0
        again = Ring.attach(ring.name)  # still there
        assert again.read_count == 200_000
        again.close()
    finally:
        ring.close()
    with pytest.raises(FileNotFoundError):
        Ring.attach(ring.name)


def test_counters_and_texts_are_seen_on_the_other_side(ring: Ring) -> None:
    other = Ring.attach(ring.name)
    try:
        ring.tell(Command.DRAIN)
        ring.set_prime(12)
        assert (other.command, other.prime, other.capacity) == (Command.DRAIN, 12, 100)
        other.set_status(Status.DEVICE_FAILED, "no device: größer " + "x" * 2000)
        other.set_latency(0.125)
        assert ring.status is Status.DEVICE_FAILED
        assert ring.error.startswith("no device: größer xxx")
        assert ring.latency == 0.125
        ring.restart()
        assert (ring.status, ring.error) == (Status.STARTING, "")
    finally:
        other.close()


def test_the_clock_pairs_samples_with_their_time(ring: Ring) -> None:
    ring.write(counter(0, 50))
    for turn in range(1, 8):
        ring.read(5)
        ring.set_clock(5 * turn, 7 * turn, 9 * turn, turn * 1_000_000_000)
        assert ring.clock() == (5 * turn, 7 * turn, 9 * turn, float(turn))


def test_underruns_are_logged_where_they_were_and_counted_beyond_the_log(ring: Ring) -> None:
    ring.begin_underrun(1000)
    ring.extend_underrun(256)
    ring.extend_underrun(100)
    ring.begin_underrun(5000)
    ring.extend_underrun(1)
    assert ring.underrun_log() == [Underrun(1000, 356), Underrun(5000, 1)]
    for position in range(2000):
        ring.begin_underrun(position)
        ring.extend_underrun(1)
    assert ring.underruns == 2002
    assert ring.concealed == 2357
    assert len(ring.underrun_log()) == 1024


def test_the_starts_of_voices_are_read_once_and_the_newest_are_kept(ring: Ring) -> None:
    for voice in range(3):
        ring.log_start(voice, -1, 100 + voice, 5_000_000_000)
    starts, seen = ring.starts_since(1)
    assert starts == [VoiceStart(1, -1, 101, 5.0), VoiceStart(2, -1, 102, 5.0)]
    assert ring.starts_since(seen) == ([], 3)
    for voice in range(3, 2000):
        ring.log_start(voice, voice, voice, 0)
    starts, seen = ring.starts_since(seen)
    assert seen == 2000
    assert [start.voice for start in starts] == list(range(2000 - 1024, 2000))


def test_what_the_mixer_counts_is_seen_on_the_other_side(ring: Ring) -> None:
    ring.set_mix_counts(MixCounts(1, 2, 3, 1.25))
    other = Ring.attach(ring.name)
    assert other.mix_counts() == (1, 2, 3, 1.25)
    other.close()


def test_foreign_memory_is_refused() -> None:
    memory = SharedMemory(create=True, size=100_000)
    try:
        with pytest.raises(DiegeticError, match="no diegetic ring"):
            Ring.attach(memory.name)
    finally:
        memory.close()
        memory.unlink()


def test_the_age_of_a_heartbeat_grows(ring: Ring) -> None:
    ring.beat()
    assert 0 <= ring.producer_age() < 5
    assert ring.consumer_age() == 0  # none yet is no sign of death
    ring.set_clock(0, 0, 0, 1)
    assert ring.consumer_age() > 0
