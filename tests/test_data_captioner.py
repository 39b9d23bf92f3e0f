"""A user's captioning model: asked once, checked, and never able to break a build."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from diegetic import cli
from diegetic.errors import DiegeticError, MediaError
from diegetic.snapshot import FloatArray
from diegetic.training import build, captions, catalog, fetch
from diegetic.training.captioner import Captions, Fields, checked, load_captioner

CLIP = catalog.Clip("pack", "1", "bookworm", "rain_1.wav", 1.0, "CC0-1.0", "A-CC0/PD",
                    "nature", "", (), "", "sfx")  # fmt: skip


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three decoded clips."""
    clips = [replace(CLIP, path=path) for path in ("rain_1.wav", "door_open.wav", "shot.wav")]
    monkeypatch.setattr(catalog, "clips", lambda: tuple(clips))
    monkeypatch.setattr(catalog, "packages", lambda: ("pack",))
    monkeypatch.setattr(catalog, "textures", tuple)
    folder = fetch.package_folder(tmp_path, "pack")
    folder.mkdir(parents=True)
    for k, clip in enumerate(clips):
        wave = 0.1 * (k + 1) * np.sin(np.arange(24_000) / 9)
        soundfile.write(folder / clip.path, wave, 48_000, subtype="FLOAT")
    text = '{"package": "pack", "version": "1", "catalogued": "1", "found": 3, "missing": [], '
    (folder / "fetched.json").write_text(text + '"mismatched": [], "problem": ""}')
    build.build(tmp_path, workers=1)
    return tmp_path


@pytest.fixture
def mine() -> Iterator[ModuleType]:
    """A module that can be imported, to put captioners into."""
    module = ModuleType("my_captions")
    sys.modules["my_captions"] = module
    yield module
    del sys.modules["my_captions"]


def said(root: Path) -> dict[str, list[str]]:
    return {row["path"]: row["captions"] for row in build.read_segments(root)}


def test_its_sentences_stand_beside_the_most_general_of_the_rules(
    root: Path, mine: ModuleType
) -> None:
    heard: dict[str, tuple[FloatArray, int, Fields]] = {}

    def speak(sound: FloatArray, rate: int, fields: Fields) -> list[str]:
        heard[fields.path] = sound, rate, fields
        return ["  it pours\n down ", "it pours down", f"{fields.subject}, heavy"]

    mine.speak = speak  # type: ignore[attr-defined]
    summary = build.write_segments(root, Captions(root / "build", "my_captions:speak"))
    assert summary.captions_failed == ()
    sound, rate, fields = heard["door_open.wav"]
    assert (sound.dtype, rate) == (np.float32, 48_000)
    assert sound.shape[1] == 2
    assert np.abs(sound).max() == pytest.approx(0.2, abs=0.01)  # its own, not a neighbour's
    assert (fields.subject, fields.kind, fields.category) == ("door opening", "oneshot", "nature")
    rules = captions.sentences(replace(CLIP, path="door_open.wav"))
    assert said(root)["door_open.wav"] == [rules[0], "it pours down", "door opening, heavy"]
    build.write_segments(root)
    assert said(root)["door_open.wav"] == list(rules)  # without it, as before


def test_a_clip_is_asked_about_once(root: Path, mine: ModuleType) -> None:
    asked: list[str] = []

    def speak(sound: FloatArray, rate: int, fields: Fields) -> list[str]:
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(fields.path)
        return [f"this is {fields.path}"]

    mine.speak = speak  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        build.write_segments(root, Captions(root / "build", "my_captions:speak"))
    with (root / "build/captioned.jsonl").open("a") as file:
        file.write('\n{"captioner": "torn')
    first = list(asked)
    asked.clear()
    build.write_segments(root, Captions(root / "build", "my_captions:speak"))
    assert sorted(first + asked) == ["door_open.wav", "rain_1.wav", "shot.wav"]
    asked.clear()
    build.write_segments(root, Captions(root / "build", "my_captions:speak"))
    assert asked == []
    assert "this is shot.wav" in said(root)["shot.wav"]


def test_what_fails_is_said_once_counted_and_keeps_the_rules(
    root: Path, mine: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    def speak(sound: FloatArray, rate: int, fields: Fields) -> object:
        if fields.path == "shot.wav":
            return 1 / 0
        return "one sentence, not a list" if fields.path == "door_open.wav" else ["it rains"]

    mine.speak = speak  # type: ignore[attr-defined]
    summary = build.write_segments(root, Captions(root / "build", "my_captions:speak"))
    why = {item.path: item.why for item in summary.captions_failed}
    assert why == {
        "door_open.wav": "expected sentences, got str",
        "shot.wav": "ZeroDivisionError('division by zero')",
    }
    assert "2 captions of the captioner" in summary.holes()
    for path in why:
        assert said(root)[path] == list(captions.sentences(replace(CLIP, path=path)))
        assert caplog.text.count(path) == 1
    mine.speak = lambda sound, rate, fields: ["better"]  # type: ignore[attr-defined]
    summary = build.write_segments(root, Captions(root / "build", "my_captions:speak"))
    assert summary.captions_failed == ()  # what failed is asked again
    assert "better" in said(root)["shot.wav"]
    assert "it rains" in said(root)["rain_1.wav"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "expected sentences, got NoneType"),
        (b"rain", "expected sentences, got bytes"),
        ([], "expected 1 to 32 sentences, got 0"),
        (["x"] * 33, "expected 1 to 32 sentences, got 33"),
        (["rain", 7], "a sentence must be a text, got int"),
        (["rain", "  "], "a sentence must have 1 to 200 characters, got 0"),
        (["x" * 201], "a sentence must have 1 to 200 characters, got 201"),
    ],
)
def test_a_bad_answer_is_refused(answer: object, why: str) -> None:
    with pytest.raises(MediaError, match=why):
        checked(answer)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("my_captions", "must be module:function, got 'my_captions'"),
        (":speak", "must be module:function"),
        ("no_such_module:speak", "cannot be imported: No module named 'no_such_module'"),
        ("my_captions:speak", "my_captions has no function 'speak'"),
    ],
)
def test_a_captioner_that_is_not_there_is_refused(mine: ModuleType, name: str, why: str) -> None:
    with pytest.raises(DiegeticError, match=why):
        load_captioner(name)


def test_a_module_beside_the_user_is_found(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "beside_me.py").write_text("def speak(sound, rate, fields):\n    return ['hush']\n")
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "path", list(sys.path))
    words = ["data", "captions", "--root", str(root), "--captioner", "beside_me:speak"]
    assert cli.main(words) == 0
    assert all("hush" in sentences for sentences in said(root).values())
    assert "recordings of the game; see" in capsys.readouterr().err
    assert cli.main([*words[:-1], "beside_me:shout"]) == cli.USAGE_ERROR
    assert "has no function 'shout'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["data", "build", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "function(sound, rate, fields)" in shown
