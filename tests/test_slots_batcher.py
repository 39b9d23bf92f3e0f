"""Who is served next, and who is let in: on a clock that stands still."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diegetic.errors import DiegeticError
from diegetic.slots.batcher import AdmissionError, Batcher, Costs

HOP = 0.16
COSTS = {(4, 1): 0.010, (4, 2): 0.012, (4, 4): 0.016, (4, 8): 0.030, (2, 1): 0.006, (2, 4): 0.010}


def batcher(deadlines: dict[str, float], nfe: dict[str, int] | None = None) -> Batcher:
    made = Batcher(Costs(COSTS), most=64)
    for name, deadline in deadlines.items():
        made.join(name, nfe=(nfe or {}).get(name, 4), hop=HOP)
        made.want(name, deadline)
    return made


def names(made: Batcher, now: float = 0.0) -> list[str]:
    return [due.session for due in made.next_batch(now)]


def test_the_earliest_deadline_is_served_first() -> None:
    made = batcher({"late": 0.15, "early": 0.05, "middle": 0.1})
    assert names(made) == ["early", "middle", "late"]
    assert names(made) == []


def test_a_batch_grows_only_as_long_as_its_first_is_on_time() -> None:
    made = batcher({"a": 0.013, "b": 0.1, "c": 0.1, "d": 0.1})
    assert names(made) == ["a", "b"]  # two take 12 ms, four 16
    assert names(made, now=0.012) == ["c", "d"]


def test_a_session_that_is_too_late_delays_nobody() -> None:
    made = batcher({"missed": -1.0, "a": 0.0105, "b": 0.012})
    assert names(made) == ["a"]  # one row, and it is full
    assert names(made, now=0.0) == ["b"]
    assert names(made, now=0.02) == ["missed"]


def test_a_session_that_is_too_late_rides_along_in_a_row_that_is_computed_anyway() -> None:
    made = batcher({"missed": -1.0, "a": 0.1, "b": 0.1, "c": 0.1})
    assert names(made) == ["a", "b", "c", "missed"]


def test_mixed_nfe_are_separate_batches_and_wait_for_each_other_only_if_they_can() -> None:
    made = batcher({"a": 0.1, "x": 0.022, "b": 0.1, "c": 0.1}, {"x": 2})
    assert names(made) == ["x"]
    made = batcher({"a": 0.02, "x": 0.0205, "b": 0.1, "c": 0.1}, {"x": 2})
    assert names(made) == ["a", "b"]  # a third would take 16 ms, and x needs 6 of 20
    assert names(made, now=0.012) == ["x"]
    assert names(made, now=0.018) == ["c"]


def test_joins_and_leaves_take_effect_between_batches() -> None:
    made = batcher({"a": 0.1, "b": 0.11})
    made.leave("a")
    made.join("c", nfe=4, hop=HOP)
    made.want("c", 0.12)
    made.leave("nobody")
    assert names(made) == ["b", "c"]
    with pytest.raises(DiegeticError, match="'a' was not let in"):
        made.want("a", 1.0)


def test_the_newest_word_about_a_deadline_counts() -> None:
    made = batcher({"a": 0.1, "b": 0.11})
    made.want("a", 0.12)
    assert names(made) == ["b", "a"]


def test_who_would_break_the_p99_is_refused_in_words() -> None:
    made = Batcher(Costs({(4, 1): 0.01, (4, 4): 0.09}), most=64)
    for index in range(4):
        made.join(str(index), nfe=4, hop=0.1)
    with pytest.raises(
        AdmissionError, match=r"5 chunks would take 112 ms \(p99\), .* no more than 100 ms"
    ):
        made.join("one too many", nfe=4, hop=0.1)
    assert made.sessions == 4
    made.leave("0")
    made.join("in place of another", nfe=4, hop=0.1)


def test_groups_of_other_nfe_count_when_someone_wants_in() -> None:
    made = Batcher(Costs({(4, 1): 0.09, (1, 1): 0.02}), most=64)
    made.join("a", nfe=4, hop=0.1)
    with pytest.raises(AdmissionError, match="2 chunks would take 110 ms"):
        made.join("b", nfe=1, hop=0.1)


def test_the_slots_are_counted() -> None:
    made = Batcher(Costs({(4, 1): 0.001}), most=1)
    made.join("a", nfe=4, hop=HOP)
    with pytest.raises(AdmissionError, match="all 1 slots are taken"):
        made.join("b", nfe=4, hop=HOP)


def test_rare_slowness_counts_and_is_forgotten() -> None:
    costs = Costs({(4, 1): 0.01})
    for _ in range(60):
        costs.add(4, 1, 0.01)
    costs.add(4, 1, 0.2)
    assert costs.of(4, 1) == 0.2
    for _ in range(600):
        costs.add(4, 1, 0.01)
    assert costs.of(4, 1) == 0.01


def test_what_was_never_measured_is_taken_from_what_was() -> None:
    costs = Costs(COSTS)
    assert costs.of(4, 3) == 0.016
    assert costs.of(4, 16) == pytest.approx(0.06)
    with pytest.raises(DiegeticError, match="nothing was measured with nfe 3"):
        costs.of(3, 1)


def test_bad_words_are_refused() -> None:
    made = batcher({"a": 0.1})
    with pytest.raises(DiegeticError, match="'a' is in already"):
        made.join("a", nfe=4, hop=HOP)
    with pytest.raises(DiegeticError, match="hop must be positive"):
        made.join("b", nfe=4, hop=0.0)
    with pytest.raises(DiegeticError, match="deadline must be a finite time"):
        made.want("a", float("nan"))


@given(
    wanted=st.lists(
        st.tuples(st.floats(-0.05, 0.16), st.sampled_from([2, 4])), min_size=1, max_size=12
    )
)
def test_everybody_is_served_once_and_nobody_who_is_on_time_waits_for_the_late(
    wanted: list[tuple[float, int]],
) -> None:
    costs = Costs(COSTS)
    made = Batcher(costs, most=64)
    deadlines = {}
    for index, (deadline, nfe) in enumerate(wanted):
        made.join(str(index), nfe=nfe, hop=10.0)
        made.want(str(index), deadline)
        deadlines[str(index)] = (deadline, nfe)
    now, served = 0.0, []
    while batch := made.next_batch(now):
        count = len({deadlines[due.session][1] for due in batch})
        assert count == 1
        nfe = deadlines[batch[0].session][1]
        first = batch[0]
        alone = costs.of(nfe, 1)
        took = costs.of(nfe, len(batch))
        if now + alone <= first.deadline:
            assert now + took <= first.deadline
            waiting = [
                deadlines[name][0]
                for name in deadlines
                if name not in served
                and now + costs.of(deadlines[name][1], 1) <= deadlines[name][0]
            ]
            assert first.deadline == min(waiting)
        served += [due.session for due in batch]
        now += took
    assert sorted(served) == sorted(deadlines)
