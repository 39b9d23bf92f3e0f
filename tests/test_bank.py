"""The bank as a whole, with a generator of clicks: order, choice, threads, files' place in it."""

import threading
from itertools import count, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bank_generator import ClickGenerator, event_conditioner
from diegetic.bank import Choice, Clip, EventBank, EventSpec, VariationMaker
from diegetic.bank.bank import MAX_BEGUN, MIN_MEMORY_BYTES
from diegetic.bank.plan import WORN
from diegetic.errors import DiegeticError
from diegetic.snapshot import FloatArray

STEP = EventSpec("footstep", "footstep on {surface}", variations=2, length=0.3)
SHOT = EventSpec("shot", variations=2, length=0.3, gain_db=-3.0, bus="weapons")
CONCRETE, GRASS = {"surface": "concrete"}, {"surface": "grass"}


def new_bank(
    memory_bytes: int = 4 * MIN_MEMORY_BYTES, embed: bool = False, seed: int = 0
) -> EventBank:
    """A bank of clicks to which each look at the clock is a second later."""
    networks = ClickGenerator(), event_conditioner
    maker = VariationMaker(lambda: networks, seed)
    return EventBank(
        maker,
        memory_bytes=memory_bytes,
        seed=seed,
        embed=letters if embed else None,
        clock=count().__next__,
    )


def letters(text: str) -> FloatArray:
    """Words that share letters mean alike."""
    counts = np.array([text.count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"], np.float32)
    return counts / max(float(np.linalg.norm(counts)), 1e-6)


def work_off(bank: EventBank) -> int:
    """Work until there is nothing to do; return how many chunks that took."""
    chunks = 0
    while bank.work():
        chunks += 1
        assert chunks < 5000
    return chunks


def posted(bank: EventBank, name: str, switches: dict[str, str] | None = None) -> Choice:
    choice = bank.post(name, switches)
    assert choice is not None
    return choice


def walking() -> EventBank:
    """A bank that has all it wants, standing on concrete."""
    bank = new_bank()
    bank.declare_switch("surface", ["concrete", "grass"])
    bank.set_switches(CONCRETE)
    bank.declare(STEP)
    work_off(bank)
    return bank


def test_a_bank_that_was_told_nothing_has_nothing_to_do() -> None:
    bank = new_bank()
    assert not bank.work()
    assert bank.progress().total == (0, 0)
    assert bank.wait_ready(0.0)


def test_a_take_is_made_chunk_by_chunk() -> None:
    bank = new_bank()
    bank.declare(EventSpec("shot", variations=1))
    assert bank.work()
    assert bank.progress().total == (0, 1)
    assert work_off(bank) > 1
    assert bank.progress().total == (1, 1)


def test_progress_counts_what_holds_now_and_what_is_one_switch_away() -> None:
    bank = new_bank()
    bank.declare_switch("surface", ["concrete", "grass", "metal"])
    bank.set_switches(CONCRETE)
    bank.declare(STEP)
    bank.declare(SHOT)
    while not bank.progress().present.complete:
        assert bank.work()
    assert bank.progress().present == (4, 4)
    assert bank.progress().total == (4, 8)
    assert bank.progress().events == {"footstep": (2, 6), "shot": (2, 2)}
    work_off(bank)
    assert bank.progress().total == (8, 8)


def test_turning_a_switch_changes_the_very_next_footstep() -> None:
    bank = walking()
    before = posted(bank, "footstep")
    bank.set_switches(GRASS)
    after = posted(bank, "footstep")
    assert after.exact
    assert not np.array_equal(before.samples, after.samples)
    assert after.clip == posted(bank, "footstep", GRASS).clip or after.exact
    clips: list[Clip] = []
    bank.attach(clips.append, lambda clip: None)
    values = {clip.id: dict(clip.variant.values) for clip in clips}
    assert (values[before.clip], values[after.clip]) == (CONCRETE, GRASS)


def test_a_choice_carries_what_was_declared() -> None:
    bank = new_bank()
    bank.declare(SHOT)
    work_off(bank)
    choice = posted(bank, "shot")
    assert (choice.exact, choice.gain_db, choice.bus) == (True, -3.0, "weapons")


def test_no_take_comes_twice_in_a_row_while_fresh_ones_come_in() -> None:
    bank = new_bank()
    bank.declare(SHOT)
    work_off(bank)
    order = []
    for _ in range(8 * WORN):
        order.append(posted(bank, "shot").clip)
        bank.work()
    assert all(one != other for one, other in pairwise(order))
    assert len(set(order)) > SHOT.variations


def test_a_worn_take_is_retired_only_when_its_successor_is_there() -> None:
    bank = new_bank()
    bank.declare(SHOT)
    work_off(bank)
    for _ in range(2 * WORN):
        posted(bank, "shot")
    while bank.counters.dropped == 0:
        assert bank.progress().total == (2, 2)
        assert bank.work()
    assert bank.progress().total == (2, 2)
    assert bank.counters.made == 3


def test_an_unheard_value_is_answered_with_the_nearest_counted_and_made_next() -> None:
    bank = walking()
    bank.declare(EventSpec("door", variations=4))
    bank.declare_switch("surface", ["concrete", "grass", "lava"])
    bank.work()  # the door is in the making
    choice = posted(bank, "footstep", {"surface": "lava"})
    assert not choice.exact
    assert bank.counters.missed == 1
    while not posted(bank, "footstep", {"surface": "lava"}).exact:
        assert bank.work()
    assert bank.progress().events["door"].ready == 0


def test_what_was_half_made_is_finished_later() -> None:
    bank, undisturbed = new_bank(), new_bank()
    for each in (bank, undisturbed):
        each.declare(EventSpec("door", variations=1))
        each.work()
    bank.post("shot")
    steps = work_off(bank)
    only_shot = new_bank()
    only_shot.declare(EventSpec("shot"))
    assert steps == work_off(undisturbed) + work_off(only_shot)


def test_more_half_made_takes_than_are_kept_are_all_made_in_the_end() -> None:
    bank = new_bank()
    names = [f"e{n}" for n in range(2 * MAX_BEGUN)]
    for name in reversed(names):
        bank.declare(EventSpec(name, variations=1))
    for name in names:
        bank.post(name)
        bank.work()
    work_off(bank)
    assert bank.progress().total == (len(names), len(names))


def test_an_undeclared_name_is_declared_by_posting_it() -> None:
    bank = new_bank()
    assert bank.post("door_slam") is None
    work_off(bank)
    assert posted(bank, "door_slam").exact
    assert (bank.counters.posted, bank.counters.missed) == (2, 1)


def test_an_undeclared_name_sounds_like_the_event_nearest_in_words() -> None:
    bank = new_bank(embed=True)
    bank.declare(EventSpec("door"))
    bank.declare(EventSpec("glass"))
    work_off(bank)
    choice = posted(bank, "doors")
    assert not choice.exact
    assert choice.clip in {posted(bank, "door").clip for _ in range(40)}


@pytest.mark.parametrize("name", ["", " ", "x" * 201])
def test_a_name_that_no_event_can_have_is_refused(name: str) -> None:
    with pytest.raises(DiegeticError, match="event name"):
        new_bank().post(name)


def test_the_1025th_event_is_refused_and_the_others_go_on() -> None:
    bank = new_bank()
    for n in range(1024):
        bank.post(f"e{n}")
    for refused in (lambda: bank.post("more"), lambda: bank.declare(SHOT)):
        with pytest.raises(DiegeticError, match="at most 1024"):
            refused()
    assert bank.work()


def test_other_words_make_all_takes_anew_and_the_same_words_none() -> None:
    bank = walking()
    made = bank.counters.made
    bank.declare(EventSpec("footstep", STEP.text, variations=2, length=0.3, gain_db=-6.0))
    assert not bank.work()
    bank.declare(EventSpec("footstep", "boots on {surface}", variations=2, length=0.3))
    assert bank.post("footstep") is None
    work_off(bank)
    assert bank.counters.made == 2 * made


def test_too_little_memory_is_refused() -> None:
    with pytest.raises(DiegeticError, match="memory_bytes must be at least"):
        EventBank(memory_bytes=MIN_MEMORY_BYTES - 1)


def test_a_take_is_announced_before_it_plays_and_dropped_after() -> None:
    bank = new_bank(memory_bytes=MIN_MEMORY_BYTES)
    known: set[int] = set()

    def play(choice: Choice) -> None:
        assert choice.clip in known

    bank.attach(lambda clip: known.add(clip.id), known.remove)
    bank.declare_switch("surface", ["a", "b", "c", "d"])
    bank.declare(STEP)
    bank.declare(SHOT)
    for surface in "abcdabcd" * 4:
        bank.set_switches({"surface": surface})
        for _ in range(7):
            bank.work()
        for name in ("shot", "footstep"):
            bank.post(name, play=play)
    clips: list[Clip] = []
    bank.attach(clips.append, lambda clip: None)
    assert {clip.id for clip in clips} == known


def test_no_one_is_called_after_detaching() -> None:
    bank = new_bank()
    called: list[Clip] = []
    bank.attach(called.append, lambda clip: None)
    bank.detach()
    bank.declare(SHOT)
    work_off(bank)
    assert called == []


def test_waiting_ends_when_all_is_there() -> None:
    bank = new_bank()
    bank.declare(SHOT)
    assert not bank.wait_ready(0.0)
    worker = threading.Thread(target=work_off, args=(bank,))
    worker.start()
    assert bank.wait_ready(60.0, neighbours=True)
    worker.join()


def test_waiting_ends_when_the_switch_turns_back() -> None:
    bank = walking()
    bank.set_switches({"surface": "lava"})
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(bank.wait_ready(60.0)))
    waiting.start()
    bank.set_switches(CONCRETE)
    waiting.join(30.0)
    assert answers == [True]


def test_the_same_seed_gives_the_same_clips_in_any_order_of_making() -> None:
    def clips(specs: list[EventSpec], seed: int) -> dict[tuple[str, int], bytes]:
        bank = new_bank(seed=seed)
        for spec in specs:
            bank.declare(spec)
        work_off(bank)
        found: list[Clip] = []
        bank.attach(found.append, lambda clip: None)
        return {(c.variant.name, c.number): c.samples.tobytes() for c in found}

    door = EventSpec("door", length=0.2)
    first = clips([SHOT, door], seed=3)
    assert first == clips([door, SHOT], seed=3)
    assert set(first) == {("shot", n) for n in range(2)} | {("door", n) for n in range(5)}
    assert len(set(first.values())) == len(first)
    assert not set(first.values()) & set(clips([SHOT, door], seed=4).values())


def test_a_loaded_bank_needs_no_generator(tmp_path: Path) -> None:
    bank = walking()
    bank.save(tmp_path / "game.bank")
    alone = EventBank()
    alone.load(tmp_path / "game.bank")
    alone.set_switches(GRASS)
    assert not alone.work()
    assert alone.wait_ready(0.0)
    assert posted(alone, "footstep").exact
    assert posted(alone, "footstep", {"surface": "lava"}).exact is False
    assert alone.post("shot") is None


def test_a_loaded_bank_starts_warm_and_goes_on_with_fresh_takes(tmp_path: Path) -> None:
    walking().save(tmp_path / "game.bank")
    bank = new_bank()
    bank.declare_switch("surface", ["concrete", "grass"])
    bank.set_switches(CONCRETE)
    bank.declare(STEP)
    bank.load(tmp_path / "game.bank")
    assert not bank.work()
    bank.load(tmp_path / "game.bank")  # nothing is there twice
    assert bank.progress().total == (4, 4)
    for _ in range(2 * WORN):
        posted(bank, "footstep")
    assert work_off(bank) > 0
    clips: list[Clip] = []
    bank.attach(clips.append, lambda clip: None)
    assert max(clip.number for clip in clips) == 2 * STEP.variations - 1


def test_saved_takes_in_other_words_are_left_out(tmp_path: Path) -> None:
    walking().save(tmp_path / "game.bank")
    bank = new_bank()
    bank.declare(EventSpec("footstep", "boots on {surface}"))
    bank.load(tmp_path / "game.bank")
    assert bank.memory_used == 0


def test_a_file_that_memory_cannot_hold_changes_nothing(tmp_path: Path) -> None:
    bank = new_bank()
    for n in range(8):
        bank.declare(EventSpec(f"e{n}", length=0.3, variations=6))
    work_off(bank)
    bank.save(tmp_path / "big.bank")
    assert bank.memory_used > MIN_MEMORY_BYTES
    small = EventBank(memory_bytes=MIN_MEMORY_BYTES)
    with pytest.raises(DiegeticError, match=f"at least {bank.memory_used}"):
        small.load(tmp_path / "big.bank")
    assert (small.memory_used, small.progress().total) == (0, (0, 0))


actions = st.lists(
    st.one_of(
        st.just(("work", "")),
        st.tuples(st.just("switch"), st.sampled_from("abc")),
        st.tuples(st.just("post"), st.sampled_from(["footstep", "shot", "door", "new"])),
        st.tuples(st.just("declare"), st.sampled_from(["long", "other words", "more"])),
    ),
    max_size=60,
)


@settings(max_examples=12, deadline=None)
@given(actions)
def test_whatever_is_said_memory_holds_and_all_is_ready_in_the_end(
    actions: list[tuple[str, str]],
) -> None:
    bank = new_bank(memory_bytes=MIN_MEMORY_BYTES)
    known: set[int] = set()
    bank.attach(lambda clip: known.add(clip.id), known.remove)
    bank.declare_switch("surface", "abc")
    bank.declare(STEP)
    last: dict[str, tuple[int, int]] = {}
    for action, what in actions:
        if action == "switch":
            bank.set_switches({"surface": what})
        elif action == "post":
            choice = bank.post(what)
            if choice is not None and choice.exact:
                assert choice.clip in known
                last[what] = (choice.clip, len(known))
        elif action == "declare":
            bank.declare(
                EventSpec(
                    "door",
                    text="" if what == "long" else what + " {surface}",
                    variations=3 if what == "more" else 2,
                    length=0.5 if what == "long" else 0.3,
                )
            )
        else:
            bank.work()
        assert bank.memory_used <= MIN_MEMORY_BYTES
    work_off(bank)
    assert bank.memory_used <= MIN_MEMORY_BYTES
    assert bank.progress().total.complete


def test_a_take_can_be_had_at_once_by_whoever_works() -> None:
    bank = new_bank()
    bank.declare(SHOT)
    bank.declare(STEP)
    bank.set_switches(GRASS)
    bank.make_ready("footstep")
    made = bank.counters.made
    choice = bank.post("footstep")
    assert choice is not None
    assert choice.exact
    bank.make_ready("footstep")
    assert bank.counters.made == made
    bank.make_ready("a bell")  # not declared
    assert bank.post("a bell") is not None
    EventBank().make_ready("a bell")  # nothing can make it: no harm
