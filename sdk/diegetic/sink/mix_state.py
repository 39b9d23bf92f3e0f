"""What a new player must be told so that it mixes as the one that died did."""

from collections import OrderedDict

import msgspec

from diegetic.mixer.commands import (
    NOW,
    Command,
    DeclareBus,
    DeclareSnapshot,
    DropClip,
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

STALE = 1.0  # s after which a sound that nobody played is better left out
_PENDING = 4096  # voices remembered


class MixState:
    """Notes commands; `replay` makes a short list with the same effect. The caller locks it."""

    def __init__(self) -> None:
        self._clips: dict[int, LoadClip] = {}
        self._declared: dict[str, DeclareBus] = {}
        self._declared_again: dict[str, DeclareBus] = {}
        self._buses: dict[str, SetBus] = {}
        self._later: list[SetBus] = []
        self._snapshots: dict[str, DeclareSnapshot] = {}
        self._pushed: list[str] = []
        self._listener: SetListener | None = None
        self._master: SetMaster | None = None
        # With the time sent, in order. A dict is slow to tell its first when many before it went
        self._voices: OrderedDict[int, tuple[float, StartVoice]] = OrderedDict()

    def note(self, command: Command, now: float, position: int) -> None:
        """Take `command` into account, sent at monotonic `now` (s), output sample `position`."""
        match command:
            case LoadClip():
                self._clips[command.id] = command
            case DropClip():
                self._clips.pop(command.id, None)
            case StartVoice():
                self._add_voice(command, now, position)
            case MoveVoice():
                self._move_voice(command)
            case StopVoice():
                self._voices.pop(command.voice, None)
            case DeclareBus():
                known = command.name in self._declared
                (self._declared_again if known else self._declared)[command.name] = command
            case SetBus():
                self._later.append(command)
                self._settle(position)
            case DeclareSnapshot():
                self._snapshots[command.name] = command
            case PushSnapshot():
                self._pushed.append(command.name)
            case PopSnapshot():
                self._pop(command.name)
            case SetListener():
                self._listener = command
            case SetMaster():
                self._master = command

    def replay(self, now: float, position: int, begun: set[int]) -> list[Command]:
        """Return what a player that goes on at output sample `position` must be told.

        Voices still to come are among it, those in `begun` are not: what sounded when a player died
        is over.
        """
        self._settle(position)
        commands: list[Command] = []
        commands += [*self._declared.values(), *self._declared_again.values()]
        commands += [*self._buses.values(), *self._later]
        commands += self._snapshots.values()
        commands += [PushSnapshot(name) for name in self._pushed]
        commands += [command for command in (self._listener, self._master) if command is not None]
        commands += self._clips.values()
        commands += [
            voice
            for sent, voice in self._voices.values()
            if voice.voice not in begun and not _stale(sent, voice, now, position)
        ]
        return commands

    def _add_voice(self, command: StartVoice, now: float, position: int) -> None:
        self._voices.pop(command.voice, None)
        self._voices[command.voice] = (now, command)
        while self._voices:
            oldest = next(iter(self._voices))
            if len(self._voices) <= _PENDING and not _stale(*self._voices[oldest], now, position):
                return
            del self._voices[oldest]

    def _move_voice(self, command: MoveVoice) -> None:
        """Let a voice that is still to come begin where it will be by then."""
        if command.voice in self._voices:
            sent, voice = self._voices[command.voice]
            self._voices[command.voice] = (
                sent,
                msgspec.structs.replace(
                    voice, position=command.position, occlusion=command.occlusion
                ),
            )

    def _settle(self, position: int) -> None:
        """Merge what has happened by `position` into what each bus is set to."""
        for command in self._later:
            if command.at <= position:
                old = self._buses.get(command.name, SetBus(command.name))
                self._buses[command.name] = SetBus(
                    command.name,
                    old.gain_db if command.gain_db is None else command.gain_db,
                    old.mute if command.mute is None else command.mute,
                )
        self._later = [command for command in self._later if command.at > position]

    def _pop(self, name: str) -> None:
        for index in reversed(range(len(self._pushed))):
            if self._pushed[index] == name:
                del self._pushed[index]
                return


def _stale(sent: float, voice: StartVoice, now: float, position: int) -> bool:
    if voice.at == NOW:
        return now - sent > STALE
    return voice.at < position
