"""A user's own captioning model: asked about each clip, checked, remembered, never trusted.

Its answers lie in root/build/captioned.jsonl, a row a clip: a model that takes seconds a clip is
asked about each of them once.
"""

import importlib
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from diegetic.config import RATE
from diegetic.errors import DiegeticError, MediaError
from diegetic.snapshot import FloatArray

log = logging.getLogger(__name__)

MOST_SENTENCES = 32
LONGEST = 200  # characters of a sentence


@dataclass(frozen=True)
class Fields:
    """What is known of a clip without hearing it.

    Attributes:
        subject: in a word or two: "footstep on wood".
        kind: "bed", "oneshot" or "music".
        noun: one of it and many of it, empty if it cannot be counted.
        tags: (sound class, score) pairs, best first.
        captions: what the rules say, most general first.
        seconds: length in the catalogue.
    """

    package: str
    path: str
    subject: str
    kind: str
    category: str
    noun: tuple[str, str]
    tags: tuple[tuple[str, float], ...]
    captions: tuple[str, ...]
    seconds: float


# Called with sound (n, 2) float32 in -1..1, its rate in Hz, and what is known; returns sentences.
Captioner = Callable[[FloatArray, int, Fields], Iterable[str]]


@dataclass(frozen=True)
class Answer:
    """What `captioner` said of a clip, or the `problem` with it."""

    captioner: str
    package: str
    path: str
    captions: tuple[str, ...] = ()
    problem: str = ""


def load_captioner(name: str) -> Captioner:
    """Import "module:function".

    Raises:
        DiegeticError: the name has another form, or there is no such module or function.
    """
    module, colon, function = name.partition(":")
    if not (module and colon and function):
        raise DiegeticError(f"captioner must be module:function, got {name!r}")
    try:
        found = getattr(importlib.import_module(module), function, None)
    except ImportError as error:
        raise DiegeticError(f"captioner {name!r} cannot be imported: {error}") from error
    if not callable(found):
        raise DiegeticError(f"captioner {name!r}: {module} has no function {function!r}")
    return cast(Captioner, found)


def checked(answer: object) -> tuple[str, ...]:
    """Return `answer` as sentences.

    Raises:
        MediaError: it is not a list of one to 32 texts of one to 200 characters.
    """
    if not isinstance(answer, Iterable) or isinstance(answer, str | bytes):
        raise MediaError(f"expected sentences, got {type(answer).__name__}")
    sentences = list(answer)
    if not 1 <= len(sentences) <= MOST_SENTENCES:
        raise MediaError(f"expected 1 to {MOST_SENTENCES} sentences, got {len(sentences)}")
    for sentence in sentences:
        if not isinstance(sentence, str):
            raise MediaError(f"a sentence must be a text, got {type(sentence).__name__}")
        if not 1 <= len(sentence.strip()) <= LONGEST:
            raise MediaError(
                f"a sentence must have 1 to {LONGEST} characters, got {len(sentence.strip())}"
            )
    return tuple(dict.fromkeys(" ".join(sentence.split()) for sentence in sentences))


class Captions:
    """The answers of one captioner, those of earlier runs included."""

    def __init__(self, folder: Path, name: str) -> None:
        """Load captioner `name` and what it said before.

        Raises:
            DiegeticError: as `load_captioner`.
        """
        self._ask = load_captioner(name)
        self._name = name
        self._path = folder / "captioned.jsonl"
        self._known = {
            (answer.package, answer.path): answer
            for answer in read_answers(folder)
            if answer.captioner == name and not answer.problem
        }
        self.failed: list[Answer] = []

    def of(self, fields: Fields, sound: Callable[[], FloatArray]) -> tuple[str, ...]:
        """The captions of a clip: the captioner's, or the rules' own where it fails.

        The rules' first, most general one stays in front: sounds are balanced by it.

        Raises:
            DiegeticError: an answer could not be written; those before are kept.
        """
        answer = self._known.get((fields.package, fields.path))
        if answer is None:
            answer = self._asked(fields, sound())
            self._keep(answer)
        if answer.problem:
            self.failed.append(answer)
            return fields.captions
        return tuple(dict.fromkeys((*fields.captions[:1], *answer.captions)))

    def _asked(self, fields: Fields, sound: FloatArray) -> Answer:
        try:
            said = checked(self._ask(sound, RATE, fields))
        except Exception as error:  # a stranger's code: whatever it is, it costs one clip
            reason = str(error) if isinstance(error, MediaError) else repr(error)
            log.warning("%s %s keeps its captions: %s", fields.package, fields.path, reason)
            return Answer(self._name, fields.package, fields.path, problem=reason)
        return Answer(self._name, fields.package, fields.path, said)

    def _keep(self, answer: Answer) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                # The line's end comes first: a row torn by an earlier kill stays alone.
                file.write("\n" + json.dumps(asdict(answer), ensure_ascii=False))
        except OSError as error:
            raise DiegeticError(
                f"cannot write {self._path}: {error.strerror}; the answers before are kept"
            ) from error


def read_answers(folder: Path) -> list[Answer]:
    """All rows of captioned.jsonl; torn ones, of a run that was killed, are left out."""
    path = folder / "captioned.jsonl"
    answers = []
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for line in lines:
        try:
            row = json.loads(line)
            answers.append(Answer(**row | {"captions": tuple(row["captions"])}))
        except (ValueError, TypeError, KeyError):
            continue
    return answers
