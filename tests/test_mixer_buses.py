from itertools import pairwise

import numpy as np
import pytest

from diegetic.mixer.commands import (
    Command,
    DeclareBus,
    DeclareSnapshot,
    Duck,
    PopSnapshot,
    PushSnapshot,
    SetBus,
    StartVoice,
)
from diegetic.mixer.mixer import Mixer
from diegetic.mixer.ramp import FADE, RAMP
from mixer_scene import LEVEL, bend, bow, clip, noise, play, steady

SIX_DB = 10 ** (-6 / 20)


def test_a_gain_is_reached_at_the_end_of_its_fade_and_stays() -> None:
    commands: dict[int, list[Command]] = {512: [SetBus("beds", gain_db=-6.0, fade=0.1)]}
    out = play(Mixer(), steady(8000), commands)
    assert (out[:512] == LEVEL).all()
    np.testing.assert_allclose(out[512 + 4800 :], LEVEL * SIX_DB, rtol=1e-6)
    assert (np.diff(out[512 : 512 + 4800, 0]) <= 0).all()
    assert bend(out) < bow(LEVEL, 4800)


def test_a_change_without_a_fade_still_has_no_click() -> None:
    commands: dict[int, list[Command]] = {512: [SetBus("beds", gain_db=-6.0)]}
    out = play(Mixer(), steady(3000), commands)
    np.testing.assert_allclose(out[512 + RAMP :], LEVEL * SIX_DB, rtol=1e-6)
    assert bend(out) < bow(LEVEL, RAMP)


def test_a_bus_changes_at_the_sample_it_was_told() -> None:
    commands: dict[int, list[Command]] = {0: [SetBus("beds", gain_db=-60.0, at=1001)]}
    out = play(Mixer(), steady(3000), commands)
    changed = np.flatnonzero(out[:, 0] != LEVEL)
    # A raised cosine leaves slowly: its first samples round to nothing.
    assert 1001 <= changed[0] <= 1004


def test_mute_is_silence_and_unmute_brings_all_back() -> None:
    commands: dict[int, list[Command]] = {
        512: [SetBus("beds", mute=True)],
        2048: [SetBus("beds", gain_db=-6.0)],  # unheard, and not forgotten
        4096: [SetBus("beds", mute=False)],
    }
    out = play(Mixer(), steady(6000), commands)
    assert not out[512 + FADE : 4096].any()
    assert bend(out) < bow(LEVEL, FADE)
    np.testing.assert_allclose(out[4096 + FADE :], LEVEL * SIX_DB, rtol=1e-6)


def test_a_mute_taken_back_on_the_way_turns_without_a_jump() -> None:
    commands: dict[int, list[Command]] = {
        500: [SetBus("beds", mute=True, fade=0.05)],
        1500: [SetBus("beds", mute=False, fade=0.05)],
    }
    out = play(Mixer(), steady(6000), commands)
    slope = LEVEL * np.pi / 2 / 2400
    assert np.abs(np.diff(out, axis=0)).max() < slope * 1.01
    assert out[-1, 0] == LEVEL


def test_gains_of_parents_multiply() -> None:
    commands: list[Command] = [
        DeclareBus("steps", "events"),
        DeclareBus("left foot", "steps"),
        clip(1, steady(9000)),
        SetBus("steps", gain_db=-6.0),
        SetBus("events", gain_db=-6.0),
        SetBus("master", gain_db=-6.0),
        StartVoice(1, 1, bus="left foot"),
        StartVoice(2, 1, bus="events"),
    ]
    out = play(Mixer(), steady(3000, 0.0), {0: commands})
    np.testing.assert_allclose(out[RAMP:], LEVEL * (SIX_DB**3 + SIX_DB**2), rtol=1e-5)


def test_a_bus_may_move_below_another() -> None:
    mixer = Mixer()
    for command in (
        DeclareBus("a"),
        DeclareBus("b"),
        DeclareBus("a", "b"),
        SetBus("b", mute=True),
        clip(1, steady(9000)),
        StartVoice(1, 1, bus="a"),
    ):
        mixer.apply(command)
    assert not play(mixer, steady(2000, 0.0))[FADE:].any()
    mixer.apply(DeclareBus("b", "a"))
    assert "must not lie below it" in mixer.refusals[-1]


def test_a_popped_snapshot_leaves_no_trace() -> None:
    bed, sound = noise(20_000), noise(20_000, seed=1)
    plain: list[Command] = [
        DeclareSnapshot("pause", {"beds": -7.3, "events": -11.1}),
        DeclareSnapshot("low", {"beds": -3.7, "master": 1.9}),
        SetBus("beds", gain_db=-2.3),
        clip(1, sound),
        StartVoice(1, 1),
    ]
    pushed: dict[int, list[Command]] = {
        0: plain,
        1000: [PushSnapshot("pause", 0.02)],
        2000: [PushSnapshot("low", 0.05)],
        3000: [PopSnapshot("pause", 0.03)],  # while the other still fades in
        6000: [PopSnapshot("low", 0.1)],
    }
    with_, without = play(Mixer(), bed, pushed), play(Mixer(), bed, {0: plain})
    assert np.array_equal(with_[:1000], without[:1000])
    assert not np.allclose(with_[2000:10_000], without[2000:10_000])
    assert np.array_equal(with_[6000 + 4800 :], without[6000 + 4800 :])


def test_snapshots_add_up_and_the_same_one_counts_twice() -> None:
    commands: dict[int, list[Command]] = {
        0: [DeclareSnapshot("a", {"beds": -6.0}), PushSnapshot("a"), PushSnapshot("a")],
        3000: [PopSnapshot("a")],
        6000: [PopSnapshot("a")],
    }
    mixer = Mixer()
    out = play(mixer, steady(9000), commands)
    np.testing.assert_allclose(out[2999], LEVEL * SIX_DB**2, rtol=1e-6)
    np.testing.assert_allclose(out[5999], LEVEL * SIX_DB, rtol=1e-6)
    assert out[-1, 0] == LEVEL
    assert bend(out[RAMP:]) < bow(LEVEL, RAMP)
    mixer.apply(PopSnapshot("a"))
    assert mixer.refused == 1


def test_two_pops_at_once_take_two_away() -> None:
    commands: dict[int, list[Command]] = {
        0: [DeclareSnapshot("a", {"beds": -6.0}), PushSnapshot("a"), PushSnapshot("a")],
        3000: [PopSnapshot("a"), PopSnapshot("a")],
    }
    assert play(Mixer(), steady(5000), commands)[-1, 0] == LEVEL


def test_a_snapshot_popped_on_the_way_in_turns_without_a_jump() -> None:
    commands: dict[int, list[Command]] = {
        0: [DeclareSnapshot("a", {"beds": -24.0})],
        1000: [PushSnapshot("a", 0.1)],
        2500: [PopSnapshot("a", 0.1)],
    }
    out = play(Mixer(), steady(9000), commands)
    assert np.abs(np.diff(out, axis=0)).max() < 2 * LEVEL * np.pi / 2 / 4800
    assert out[-1, 0] == LEVEL


def test_there_is_an_end_to_what_can_be_declared() -> None:
    mixer = Mixer()
    for n in range(70):
        mixer.apply(DeclareBus(f"bus {n}"))
    assert mixer.refused == 70 + 3 - 64
    for n in range(70):
        mixer.apply(DeclareSnapshot(f"snapshot {n}", {}))
    assert mixer.refused == 9 + 6
    for _ in range(20):
        mixer.apply(PushSnapshot("snapshot 0"))
    assert mixer.refused == 15 + 4
    for n in range(1030):
        mixer.apply(SetBus("beds", gain_db=0.0, at=10**9 + n))
    assert mixer.refused == 19 + 6


def test_the_loudest_of_everything_still_comes_out_below_the_ceiling() -> None:
    mixer = Mixer(voices=8)
    commands: list[Command] = [clip(1, noise(2000, 4.0).clip(-16, 16))]
    names = ["master", "events", *(f"bus {n}" for n in range(6))]
    commands += [DeclareBus(name, parent) for parent, name in pairwise(names[1:])]
    commands += [DeclareBus("events", ducks=[Duck("bus 5", -1.0)])]
    commands += [DeclareSnapshot("up", dict.fromkeys(names, 24.0)), PushSnapshot("up")]
    commands += [SetBus(name, gain_db=24.0) for name in names]
    commands += [StartVoice(n, 1, gain_db=24.0, bus="bus 5") for n in range(8)]
    out = play(mixer, noise(4000, 0.1), {0: commands})
    assert mixer.refused == 0
    assert np.isfinite(out).all()
    assert 0.1 < np.abs(out).max() < 0.87
    mixer.apply(PopSnapshot("up"))
    for name in names:
        mixer.apply(SetBus(name, gain_db=0.0))
    play(mixer, noise(100_000, 0.1))
    assert np.array_equal(play(mixer, noise(1000)), noise(1000))


def test_a_tree_that_gets_too_deep_stays_as_it_was() -> None:
    mixer = Mixer()
    for n in range(6):
        mixer.apply(DeclareBus(f"a{n}", f"a{n - 1}" if n else "master"))
        mixer.apply(DeclareBus(f"b{n}", f"b{n - 1}" if n else "master"))
    mixer.apply(DeclareBus("a0", "b5"))
    assert mixer.refused == 1
    mixer.apply(DeclareBus("a6", "a5"))
    mixer.apply(DeclareBus("a7", "a6"))
    assert mixer.refused == 2
    assert all("at most 8 deep" in reason for reason in mixer.refusals)
    mixer.apply(DeclareBus("c"))  # what was refused is not there
    mixer.apply(DeclareBus("d", "a7"))
    assert mixer.refused == 3
    for command in (clip(1, steady(9000)), SetBus("b0", mute=True), StartVoice(1, 1, bus="a5")):
        mixer.apply(command)
    assert (play(mixer, steady(3000, 0.0))[FADE:] == LEVEL).all()


def ducked(duck: Duck, loudness: float = 0.1) -> np.ndarray:
    """The bed's level while a voice sounds from sample 9600 to 33600; the voice is muted after."""
    commands: list[Command] = [
        DeclareBus("speech", "events"),
        DeclareBus("beds", ducks=[duck]),
        clip(1, steady(24_000, loudness) * np.array([1, 0], np.float32)),
        StartVoice(1, 1, at=9600, bus="speech"),
    ]
    return play(Mixer(), steady(96_000), {0: commands})[:, 1]  # the voice is in the left only


def test_a_duck_goes_down_and_comes_back_with_its_time_constants() -> None:
    bed_db = 20 * np.log10(ducked(Duck("speech", -12.0, attack=0.05, release=0.1)) / LEVEL)
    assert not bed_db[:9600].any()
    attacked = 9600 + 2400
    assert bed_db[attacked] == pytest.approx(-12 * (1 - np.exp(-1)), abs=0.8)  # a block of 0.6 dB
    assert bed_db[33_000] == pytest.approx(-12.0, abs=0.01)
    released = 33_600 + 4800
    assert bed_db[released] == pytest.approx(-12 * np.exp(-1), abs=0.6)  # up to two blocks late
    assert bed_db[-1] == 0.0  # all the way
    steps = [after - before for before, after in pairwise(bed_db[9600:33_600:256])]
    assert max(steps) < 1e-4  # no flutter


def test_a_duck_moves_without_a_click() -> None:
    level = ducked(Duck("speech", -12.0, attack=0.05, release=0.2))
    # A straight line over each block: its slope and its corners are those of the attack at most.
    steepest = LEVEL * 12 / 2400 * np.log(10) / 20
    assert np.abs(np.diff(level)).max() < steepest
    assert np.abs(np.diff(level, 2)).max() < steepest


def test_a_murmur_ducks_less_and_a_whisper_not_at_all() -> None:
    duck = Duck("speech", -12.0, attack=0.01)
    loud, murmur, whisper = (ducked(duck, level)[33_000] for level in (0.1, 0.005, 0.0005))
    assert loud < murmur < whisper == LEVEL


def test_a_muted_source_does_not_duck() -> None:
    commands: list[Command] = [
        DeclareBus("beds", ducks=[Duck("events", -12.0)]),
        clip(1, steady(9000)),
        SetBus("events", mute=True),
        StartVoice(1, 1, at=2000),
    ]
    assert (play(Mixer(), steady(9000), {0: commands}) == LEVEL).all()


def test_a_duck_taken_away_comes_back_softly() -> None:
    commands: dict[int, list[Command]] = {
        0: [
            DeclareBus("beds", ducks=[Duck("events", -12.0, 0.01, 0.1)]),
            clip(1, steady(48_000) * np.array([1, 0], np.float32)),
            StartVoice(1, 1),
        ],
        24_000: [DeclareBus("beds")],
    }
    level = play(Mixer(), steady(96_000), commands)[:, 1]
    assert level[23_999] == pytest.approx(LEVEL * SIX_DB**2, rel=1e-3)
    assert np.abs(np.diff(level[24_000:])).max() < 1e-4
    assert level[-1] == LEVEL


def test_buses_that_duck_each_other_settle() -> None:
    commands: list[Command] = [
        DeclareBus("events", ducks=[Duck("beds", -6.0)]),
        DeclareBus("beds", ducks=[Duck("events", -6.0)]),
        clip(1, steady(96_000)),
        StartVoice(1, 1),
    ]
    out = play(Mixer(), steady(96_000), {0: commands})
    np.testing.assert_allclose(out[-4800:-500], 2 * LEVEL * SIX_DB, rtol=1e-3)
