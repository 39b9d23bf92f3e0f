"""Captions of the catalogue's clips: subject, kind, varied sentences, from path, title and tags.

Paths and titles are the packagers' ("fs_wood1", "dsbdopn"); people say "footsteps on wood", "a door
opening". The same clip always gets the same captions.
"""

import re
from functools import cache
from pathlib import PurePosixPath

from diegetic.training import phrasebook
from diegetic.training.catalog import Clip
from diegetic.training.moods import CALM_MOODS, calmness, mood
from diegetic.training.phrasebook import Section

__all__ = ["CALM_MOODS", "calmness", "clean", "kind", "mood", "noun", "sentences", "subject"]

_WORD_MAP = {
    "fs": "footstep", "sel": "selection", "con": "construction", "amb": "ambience",
    "jav": "javelin", "explo": "explosion", "explode": "explosion", "fleshimp": "flesh impact",
    "fleshstab": "flesh stab", "arrowfly": "arrow flying", "maledeath": "male death",
    "femaledeath": "female death", "breakglass": "glass breaking", "breakwood": "wood breaking",
    "breakmetal": "metal breaking", "metalbang": "metal bang", "stonebang": "stone bang",
    "carhorn": "car horn", "footsteps": "footstep", "steps": "footstep", "atk": "attack",
    "warship": "war ship", "stonegate": "stone gate", "swordhit": "sword hit",
    "alienmachinery": "alien machinery", "bodyimpact": "body impact", "thunderbird": "thunder bird",
    "cannonball": "cannon ball", "lumber": "wood cutting",
}  # fmt: skip
_JUNK = frozenset({
    "ocg", "ocd", "misc", "apoc", "samples", "sample", "chunks", "skin", "wuzzy", "actor",
    "singlesteps", "techdemo", "gungame", "pak", "toyland", "sprites", "tilesets", "teefault",
    "snd", "audioaugust", "sounds", "sound", "data", "dat", "dev", "examples", "all", "default",
    "commondata", "mods", "soundfx", "cdogscpn", "wp", "sg", "fantasycore", "resources", "stereo",
    "usr", "share", "games", "game", "effects", "effect", "music", "musics", "sfx", "audio",
    "public", "zip",
})  # fmt: skip
_GENERIC_TAGS = frozenset({
    "Music", "Silence", "Sound effect", "Animal", "Wild animals", "Domestic animals, pets",
    "Vehicle", "Outside, rural or natural", "Inside, small room", "Inside, large room or hall",
    "Musical instrument", "Cacophony", "Synthesizer", "Livestock, farm animals, working animals",
    "Environmental noise", "Heart sounds, heartbeat",
})  # fmt: skip
_SURE = 0.3  # a tag below this says little
_SURE_SPEECH = 0.6  # the tagger hears speech in every grunt
_STEADY_SECONDS = 4.0
_NOT_MUSIC = re.compile(r"steam locomotive|static radio|airport")

_ARCHIVE = re.compile(r"\.(cat|wad|zip|pk3|pak|ocf)$")

_STYLES = {"scifi": "sci-fi", "zen": "calm zen", "arcade": "retro arcade", "dreamy": "dreamy",
           "glass": "glassy", "mechanical": "mechanical", "organic": "organic", "rubber": "rubbery",
           "minimal": "minimal", "studio": "clean", "cinematic": "cinematic",
           "soft": "soft"}  # fmt: skip


def subject(clip: Clip) -> str:
    """Return what is heard, in a word or two: "rain", "door opening", "footstep on grass"."""
    return _section(clip).name


def kind(clip: Clip) -> str:
    """Return "music", "bed" (a steady sound of 4 s or more) or "oneshot"."""
    if clip.sheet == "music" and not _NOT_MUSIC.search(_path_words(clip)):
        return "music"
    steady = _section(clip).bed and clip.seconds >= _STEADY_SECONDS
    return "bed" if steady or clip.sheet == "music" else "oneshot"


def noun(clip: Clip) -> tuple[str, str]:
    """Return one of it and many of it ("gunshot", "gunshots"); empty if uncountable."""
    section = _section(clip)
    return section.noun, section.plural


def sentences(clip: Clip) -> tuple[str, ...]:
    """Return varied captions of `clip`, most general first, without doubles."""
    section = _section(clip)
    said = [*section.phrases]
    if clip.package == "npm-uisfx":
        said = _interface_sentences(clip)
    elif kind(clip) == "music":
        said.extend(f"{section.name} with {name}" for name in _instruments(clip))
    else:
        said.extend([section.name, clean(clip)])
    return tuple(dict.fromkeys(text for text in said if text))


def clean(clip: Clip) -> str:
    """Return the clip's own caption in known words; "" if too few of them mean something."""
    words = [_WORD_MAP.get(word, word) for word in _split(clip.caption) if word not in _JUNK]
    words = " ".join(words).split()
    known = [word for word in words if word in phrasebook.vocabulary()]
    return " ".join(dict.fromkeys(known)) if known and 2 * len(known) >= len(words) else ""


@cache
def _section(clip: Clip) -> Section:
    if clip.sheet == "music" and not _NOT_MUSIC.search(_path_words(clip)):
        return next(s for s in phrasebook.sections() if s.mood == mood(clip))
    if clip.package == "npm-uisfx":
        return next(s for s in phrasebook.sections() if s.name == "interface sound")
    return _by_words(clip) or _by_tags(clip) or _by_category(clip)


def _by_words(clip: Clip) -> Section | None:
    texts = (_path_words(clip), " ".join(_split(clip.caption)))
    for section in phrasebook.sections():
        for text in texts:
            if section.match is not None and section.match.search(text):
                filled = section.filled(" ".join(texts))
                if filled is not None:
                    return filled
    return None


def _by_tags(clip: Clip) -> Section | None:
    for tag, score in clip.tags:
        if tag in _GENERIC_TAGS or score < (_SURE_SPEECH if tag == "Speech" else _SURE):
            continue
        for section in phrasebook.sections():
            if tag in section.tags:
                return section
    return None


def _by_category(clip: Clip) -> Section:
    book = phrasebook.sections()
    known = [section for section in book if section.category == clip.category]
    return known[0] if known else next(s for s in book if s.category == "other")


def _path_words(clip: Clip) -> str:
    """Return the last three parts of the path in words: "ambient water river fast"."""
    path = PurePosixPath(clip.path)
    own = set(re.split(r"[^a-z0-9]+", clip.package))  # folders named after the game say nothing
    folders = [
        part
        for part in path.parts[-3:-1]
        if not _ARCHIVE.search(part) and not own.issuperset(re.split(r"[^a-z0-9]+", part.lower()))
    ]
    return " ".join(_split(" ".join((*folders, path.stem))))


def _split(text: str) -> list[str]:
    """Split "fs_wood1", "CarPassing" and "door-open" into lower-case words without digits."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    words = re.findall(r"[A-Za-z]+", spaced)
    return [word.lower() for word in words]


def _interface_sentences(clip: Clip) -> list[str]:
    style, stem = PurePosixPath(clip.path).parts[-2:]
    action = stem.rsplit(".", 1)[0].replace("-", " ")
    style = _STYLES.get(style, style)
    return [
        "an interface sound",
        f"a {style} interface sound",
        f"a {style} user interface sound for {action}",
        f"{action}, {style} menu sound",
        f"interface sound: {action}",
        f"{style} {action} sound",
        f"game menu {action}",
        f"a short {style} notification",
    ]


def _instruments(clip: Clip) -> list[str]:
    names = {
        "Harp": "harp", "Guitar": "guitar", "Acoustic guitar": "acoustic guitar", "Flute": "flute",
        "Piano": "piano", "Cello": "cello", "Drum": "drums", "Percussion": "percussion",
        "Bowed string instrument": "strings", "Brass instrument": "brass", "Orchestra": "orchestra",
        "Synthesizer": "synthesizer", "Glockenspiel": "glockenspiel", "Timpani": "timpani",
        "Plucked string instrument": "plucked strings", "Harpsichord": "harpsichord",
        "Mallet percussion": "mallets", "Pizzicato": "pizzicato strings", "Chant": "chanting",
        "Electric guitar": "electric guitar", "Heavy metal": "distorted guitars", "Sitar": "sitar",
        "Keyboard (musical)": "keyboards", "Mandolin": "mandolin", "Drum kit": "drums",
    }  # fmt: skip
    return [names[tag] for tag, score in clip.tags if tag in names and score >= 0.04]
