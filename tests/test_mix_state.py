import numpy as np

from diegetic.mixer.commands import (
    Command,
    DeclareBus,
    DeclareSnapshot,
    DropClip,
    Duck,
    LoadClip,
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
from diegetic.sink.mix_state import MixState

SOUND = np.full((100, 2), 0.25, "<f4").tobytes()


def replayed(
    *commands: Command, now: float = 0.0, position: int = 0, begun: frozenset[int] = frozenset()
) -> list[Command]:
    state = MixState()
    for command in commands:
        state.note(command, 0.0, 0)
    return state.replay(now, position, set(begun))


def test_what_was_undone_is_not_done_again() -> None:
    assert replayed(
        LoadClip(1, SOUND),
        LoadClip(2, SOUND),
        DropClip(1),
        DeclareSnapshot("menu", {"beds": -20}),
        PushSnapshot("menu", 1.0),
        PushSnapshot("menu"),
        PopSnapshot("menu", 1.0),
        PopSnapshot("never pushed"),
        SetListener((1, 2, 3)),
        SetListener((4, 5, 6)),
        SetMaster(-20),
        SetMaster(None),
    ) == [
        DeclareSnapshot("menu", {"beds": -20}),
        PushSnapshot("menu"),
        SetListener((4, 5, 6)),
        SetMaster(None),
        LoadClip(2, SOUND),
    ]


def test_a_bus_is_as_it_was_left_without_its_fade() -> None:
    commands = replayed(
        SetBus("beds", gain_db=-6, fade=2.0), SetBus("beds", mute=True), SetBus("beds", gain_db=-3)
    )
    assert commands == [SetBus("beds", -3, True)]


def test_what_a_bus_will_be_told_waits_for_its_time() -> None:
    later = SetBus("beds", mute=True, at=1000)
    assert replayed(SetBus("beds", gain_db=-6), later, position=999) == [SetBus("beds", -6), later]
    assert replayed(SetBus("beds", gain_db=-6), later, position=1000) == [SetBus("beds", -6, True)]


def test_buses_that_refer_to_each_other_can_be_declared_again() -> None:
    mixer = Mixer()
    commands = replayed(
        DeclareBus("music"),
        DeclareBus("voice", "music"),
        DeclareBus("music", ducks=[Duck("voice", -10)]),
    )
    for command in commands:
        mixer.apply(command)
    assert mixer.refused == 0
    assert commands[-1] == DeclareBus("music", ducks=[Duck("voice", -10)])


def test_voices_that_have_not_begun_will() -> None:
    later, past, now, begun = (StartVoice(n, 1, at) for n, at in enumerate((500, 100, -1, 499)))
    commands = replayed(later, past, now, begun, now=0.9, position=101, begun=frozenset({3}))
    assert commands == [later, now]


def test_a_sound_that_nobody_played_for_a_second_is_left_out() -> None:
    assert replayed(StartVoice(1, 1), now=1.1) == []


def test_a_voice_still_to_come_is_moved_and_stopped() -> None:
    assert replayed(
        StartVoice(1, 1, 500),
        StartVoice(2, 1, 500),
        MoveVoice(1, (1, 0, 0), 0.5),
        MoveVoice(7, (1, 0, 0)),
        StopVoice(2),
        StopVoice(7),
    ) == [StartVoice(1, 1, 500, position=(1, 0, 0), occlusion=0.5)]


def test_voices_long_gone_are_forgotten() -> None:
    state = MixState()
    for voice in range(10_000):
        state.note(StartVoice(voice, 1), now=voice * 0.001, position=0)
    assert 900 < len(state.replay(9.999, 0, set())) < 1100
    for voice in range(10_000):
        state.note(StartVoice(voice, 1, at=10**6), now=20.0, position=0)
    assert len(state.replay(20.0, 0, set())) == 4096
