import logging

import numpy as np
import pytest

from diegetic.errors import DiegeticError
from diegetic.mixer.commands import (
    Command,
    DeclareBus,
    DeclareSnapshot,
    DropClip,
    Duck,
    MoveVoice,
    PopSnapshot,
    PushSnapshot,
    SetBus,
    SetListener,
    SetMaster,
    StartVoice,
    StopVoice,
)
from diegetic.mixer.mixer import Mixer
from diegetic.mixer.ramp import RAMP
from mixer_scene import LEVEL, bend, bow, clip, noise, play, steady

SECOND = 48_000


def test_a_bed_alone_passes_bit_for_bit_after_the_delay() -> None:
    bed = noise(3000, 0.1)
    assert np.array_equal(play(Mixer(), bed), bed)


@pytest.mark.parametrize("sizes", [(1,), (97,), (256,), (3, 256, 1, 31)])
def test_how_time_is_cut_into_calls_is_not_heard(sizes: tuple[int, ...]) -> None:
    whole = play(Mixer(voices=3), noise(6000, 0.4), everything(), (256,))
    cut = play(Mixer(voices=3), noise(6000, 0.4), everything(), sizes)
    # Sums over other lengths round otherwise, the limiter most; 1e-5 is -100 dBFS.
    np.testing.assert_allclose(cut, whole, rtol=0, atol=1e-5)


def everything() -> dict[int, list[Command]]:
    """Commands of all kinds, at samples that no block begins with."""
    voices: list[Command] = [
        StartVoice(n, n % 2, at=100 + 331 * n, gain_db=-n, position=(n - 3.0, 0.0, -1.0))
        for n in range(8)
    ]
    return {
        0: [
            clip(0, noise(2000, 0.3, seed=1)),
            clip(1, noise(700, 0.5, seed=2)),
            SetMaster(-30.0, -6.0),
            DeclareBus("steps", "events"),
            DeclareBus("beds", ducks=[Duck("events", -12.0, 0.01, 0.05)]),
            DeclareSnapshot("pause", {"events": -6.0, "steps": -20.0}),
            SetBus("beds", gain_db=-6.0, fade=0.03, at=777),
            SetBus("beds", mute=True, at=3001),
            *voices,
        ],
        500: [StartVoice(20, 0, bus="steps", occlusion=0.7, position=(2.0, 0.0, 1.0))],
        511: [MoveVoice(20, (-2.0, 0.0, 1.0), 0.2), StopVoice(0)],
        1033: [PushSnapshot("pause", 0.02), SetListener((1.0, 0.0, 0.0), (1.0, 0.0, 0.0))],
        1300: [PopSnapshot("pause", 0.04), StopVoice(1, 0.02)],
    }


def test_a_clip_lands_on_the_very_sample() -> None:
    sound = noise(300, 0.2, seed=3)
    starts = (0, 1, 255, 256, 257, 1000, 1023)
    for at in starts:
        mixer = Mixer()
        out = play(mixer, steady(2000, 0.0), {0: [clip(1, sound), StartVoice(1, 1, at=at)]})
        expected = steady(2000, 0.0)
        expected[at : at + 300] = sound
        assert np.array_equal(out, expected)
        assert mixer.take_started() == [(1, at, at)]
        assert mixer.take_started() == []


def test_voices_of_one_clip_add_up() -> None:
    sound = noise(300, 0.1)
    commands = [clip(1, sound), StartVoice(1, 1, at=10), StartVoice(2, 1, at=50, gain_db=-6.0)]
    out = play(Mixer(), noise(1000, 0.1, seed=1), {0: commands})
    expected = noise(1000, 0.1, seed=1)
    expected[10:310] += sound
    expected[50:350] += sound * np.float32(10 ** (-6 / 20))
    np.testing.assert_allclose(out, expected, atol=1e-7)


def test_a_late_voice_starts_at_once_and_is_counted() -> None:
    mixer = Mixer()
    commands = {0: [clip(1, steady(100))], 512: [StartVoice(1, 1, at=100), StartVoice(2, 1)]}
    out = play(mixer, steady(1000, 0.0), commands)
    assert not out[:512].any()
    assert out[512, 0] == 2 * LEVEL
    assert mixer.late == 1
    assert mixer.take_started() == [(1, 100, 512), (2, -1, 512)]


def test_a_player_that_takes_over_goes_on_counting() -> None:
    mixer = Mixer(position=1000)
    out = play(mixer, steady(600, 0.0), {0: [clip(1, steady(50)), StartVoice(1, 1, at=1300)]})
    assert np.flatnonzero(out[:, 0]).tolist() == list(range(300, 350))
    assert mixer.position == 1600 + mixer.delay
    assert mixer.take_started() == [(1, 1300, 1300)]


def test_what_cannot_be_done_is_counted_with_its_reason_and_the_sound_goes_on() -> None:
    mixer = Mixer()
    refusals: list[tuple[Command, str]] = [
        (DropClip(9), "clip must be a loaded one, got 9"),
        (StartVoice(1, 9), "clip must be a loaded one, got 9"),
        (StartVoice(1, 1, bus="nowhere"), "bus must be one of master, beds, events, got 'nowhere'"),
        (StartVoice(1, 1, gain_db=float("nan")), "Expected `float`"),
        (StartVoice(7, 1), "voice must be a new one, got 7 again"),
        (SetBus("nowhere", gain_db=0.0), "bus must be one of"),
        (SetBus("nowhere", gain_db=0.0, at=10**6), "bus must be one of"),
        (DeclareBus("a", parent="nowhere"), "bus must be one of"),
        (DeclareBus("a", ducks=[Duck("nowhere", -3.0)]), "bus must be one of"),
        (DeclareBus("master"), "bus must not be 'master'"),
        (DeclareBus("events", parent="events"), "must not lie below it"),
        (DeclareSnapshot("s", {"nowhere": -3.0}), "bus must be one of"),
        (PushSnapshot("nothing"), "snapshot must be one of (none), got 'nothing'"),
        (PopSnapshot("nothing"), "snapshot must be a pushed one, got 'nothing'"),
        (SetMaster(float("inf")), "Expected `float`"),
    ]
    mixer.apply(clip(1, steady(100, 0.0)))
    mixer.apply(StartVoice(7, 1, at=10**9))
    for number, (command, reason) in enumerate(refusals, 1):
        mixer.apply(command)
        assert mixer.refused == number
        assert reason in mixer.refusals[-1]
        assert mixer.refusals[-1].startswith(type(command).__name__)
    bed = noise(1000)
    assert np.array_equal(play(mixer, bed), bed)


def test_commands_for_a_voice_that_has_ended_are_no_mistake() -> None:
    mixer = Mixer()
    play(mixer, steady(500, 0.0), {0: [clip(1, steady(10)), StartVoice(1, 1)]})
    mixer.apply(MoveVoice(1, None))
    mixer.apply(StopVoice(1))
    assert mixer.refused == 0
    mixer.apply(StartVoice(1, 1))  # its id may be used again
    assert mixer.refused == 0


def test_ten_thousand_voices_at_once_leave_bed_and_mixer_whole(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL)
    mixer = Mixer(voices=8)
    mixer.apply(clip(1, steady(100, 0.0)))
    for number in range(10_000):
        mixer.apply(StartVoice(number, 1))
    bed = noise(2000)
    assert np.array_equal(play(mixer, bed), bed)
    assert mixer.refused == 10_000 - 4096
    assert len(mixer.take_started()) + mixer.stolen >= 4096
    mixer.apply(StartVoice(20_000, 1))
    play(mixer, noise(300))
    assert mixer.take_started() == [(20_000, -1, 2000 + mixer.delay)]


def test_a_bed_that_is_no_sound_is_mended_and_leaves_no_trace() -> None:
    bed = noise(2000)
    bed[300] = np.nan
    bed[301] = (np.inf, -np.inf)
    mixer = Mixer()
    out = play(mixer, bed, {0: [SetMaster(-20.0)]})
    assert np.isfinite(out).all()
    assert mixer.refused == 1
    assert "bed must be finite" in mixer.refusals[0]
    assert np.array_equal(bed[300:302].view(np.uint32), bed[300:302].view(np.uint32))
    after = play(mixer, noise(48_000))[-1000:]
    np.testing.assert_allclose(after, noise(48_000)[-1000:], rtol=0.2)


def test_the_loudness_target_is_reached_slowly_and_without_a_step() -> None:
    mixer = Mixer()
    bed = steady(12 * SECOND, 0.0)
    bed[:] = (0.02 * np.sin(np.arange(len(bed)) * (2 * np.pi * 997 / 48_000)))[:, None]
    out = play(mixer, bed, {0: [SetMaster(-26.0)]})  # the sine is at -34 LUFS
    assert 7.5 < mixer.loudness_gain_db < 8.1
    gain = out[:, 0].reshape(-1, 4800).std(axis=1) / bed[:, 0].reshape(-1, 4800).std(axis=1)
    steps_db = np.diff(20 * np.log10(gain))
    assert steps_db.max() < 0.102  # 1 dB/s
    assert bend(out[:, :1]) < bend(bed[:, :1]) * gain.max() * 1.001


def test_the_loudness_gain_is_the_same_however_time_is_cut() -> None:
    bed = noise(SECOND, 0.02)
    outs = [play(Mixer(), bed, {0: [SetMaster(-16.0)]}, (size,)) for size in (256, 97)]
    assert np.abs(outs[0][-100:]).max() > np.abs(bed[-100:]).max() * 1.05
    np.testing.assert_allclose(outs[1], outs[0], rtol=0, atol=1e-7)


def test_without_a_target_the_gain_comes_home() -> None:
    mixer = Mixer()
    play(mixer, noise(4 * SECOND, 0.02), {0: [SetMaster(-16.0)]})
    assert mixer.loudness_gain_db > 2
    mixer.apply(SetMaster(None))
    play(mixer, noise(16 * SECOND, 0.02))
    assert mixer.loudness_gain_db == 0.0


def test_moving_the_listener_turns_the_scene_without_a_zipper() -> None:
    commands: dict[int, list[Command]] = {
        0: [clip(1, steady(9000)), StartVoice(1, 1, position=(0.0, 0.0, -1.0))],
        4000: [SetListener(forward=(1.0, 0.0, 0.0))],  # it is at the left now
    }
    out = play(Mixer(), steady(8000, 0.0), commands)
    np.testing.assert_allclose(out[:4000], LEVEL, rtol=1e-6)
    np.testing.assert_allclose(out[-1], (LEVEL * np.sqrt(2), 0.0), atol=1e-6)
    assert bend(out) < bow(LEVEL, RAMP)


def test_the_shapes_of_bed_and_out_must_fit() -> None:
    mixer = Mixer()
    for bed, out in (((257, 2), (257, 2)), ((5, 1), (5, 1)), ((5, 2), (4, 2))):
        with pytest.raises(ValueError, match="bed and out must be"):
            mixer.mix(np.zeros(bed, np.float32), np.zeros(out, np.float32))
    assert mixer.position == 0


@pytest.mark.parametrize(("block", "voices"), [(15, 8), (1025, 8), (256, 0)])
def test_a_mixer_of_no_sensible_size_is_refused(block: int, voices: int) -> None:
    with pytest.raises(DiegeticError, match="must be"):
        Mixer(block, voices)
