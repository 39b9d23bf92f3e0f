import pytest

from diegetic.config import RATE, StreamConfig
from diegetic.headroom import RELEASE, Headroom

CONFIG = StreamConfig(lookahead=0.2)
LOOKAHEAD = CONFIG.lookahead_samples
MOST = CONFIG.most_lookahead_samples


def use(headroom: Headroom, samples: int, taken: int = 0) -> None:
    """A chunk that comes when so many of what was there are used up."""
    headroom.full()
    headroom.arrived(headroom.samples - samples, taken)


def test_chunks_in_time_change_nothing() -> None:
    headroom = Headroom(CONFIG)
    for chunk in range(100):
        use(headroom, LOOKAHEAD // 2, chunk * 7680)
    assert headroom.samples == LOOKAHEAD


def test_a_late_chunk_may_be_twice_as_late_next_time() -> None:
    headroom = Headroom(CONFIG)
    use(headroom, 6000)
    assert headroom.samples == 12_000
    use(headroom, 5000)
    assert headroom.samples == 12_000
    use(headroom, 7000)
    assert headroom.samples == 14_000


def test_several_late_chunks_in_a_row_count_as_their_worst() -> None:
    headroom = Headroom(CONFIG)
    headroom.full()
    for used in (5000, 7000, 6000):
        headroom.arrived(LOOKAHEAD - used, 0)
    assert headroom.samples == 14_000


def test_the_first_chunks_of_a_stream_are_not_late() -> None:
    headroom = Headroom(CONFIG)
    headroom.arrived(0, 0)
    headroom.arrived(100, 0)
    assert headroom.samples == LOOKAHEAD


def test_there_is_a_most() -> None:
    headroom = Headroom(CONFIG)
    for _ in range(10):
        use(headroom, headroom.samples)
    assert headroom.samples == MOST


def test_what_was_added_goes_slowly_and_not_below_the_lookahead() -> None:
    headroom = Headroom(CONFIG)
    use(headroom, 6000)
    use(headroom, 0, 100 * RATE)
    assert headroom.samples == pytest.approx(12_000 - 100 * RELEASE * RATE)
    use(headroom, 0, 1000 * RATE)
    assert headroom.samples == LOOKAHEAD
