"""What mood a track is in, from the words of its title and from what a tagger heard in it."""

from diegetic.training.catalog import Clip

CALM_MOODS = frozenset({"ambient", "calm"})

_TITLE_WORDS: dict[str, tuple[str, ...]] = {
    "ambient": ("nebula", "space", "drift", "ambient", "orbital", "gravity",
                "deep", "lava", "galac", "star"),
    "calm": ("nocturne", "calm", "dream", "morning", "peace", "garden", "valley", "sleep", "rest",
             "lullaby", "coast", "snow", "winter", "night", "harvest", "pasture", "season",
             "forest"),
    "tense": ("threat", "tension", "dark", "dungeon", "inevitable", "march", "hunt", "raid", "doom",
              "evil", "cave", "demon", "scary", "danger", "mission", "alert"),
    "battle": ("battle", "fight", "attack", "war", "combat", "boss", "victory", "conquer", "siege"),
    "folk": ("celt", "gaul", "nile", "indus", "egypt", "medieval", "tavern", "hellen", "town",
             "village", "irish", "sitar", "persia", "iber"),
    "sad": ("sad", "tears", "lose", "farewell", "defeat", "loose"),
}  # fmt: skip
_TAG_MOODS: dict[str, tuple[str, ...]] = {
    "ambient": ("Ambient music", "New-age music", "Singing bowl", "Drone music", "Sonar"),
    "calm": ("Tender music", "Harp", "Lullaby", "Flute", "Piano", "Glockenspiel",
             "Mallet percussion",
             "Acoustic guitar", "Background music", "Zither", "Electric piano"),
    "tense": ("Scary music", "Throbbing", "Cello", "Double bass", "Rumble", "Timpani",
              "Angry music"),
    "battle": ("Brass instrument", "Orchestra", "Drum", "Percussion", "Soundtrack music"),
    "folk": ("Harpsichord", "Mandolin", "Sitar", "Plucked string instrument", "Guitar", "Flamenco",
             "Ukulele", "Accordion", "Chant", "Mantra"),
    "sad": ("Sad music", "Violin, fiddle", "Bowed string instrument"),
    "electronic": ("Electronic music", "Synthesizer", "Electronica", "Video game music", "Sampler",
                   "Keyboard (musical)", "Techno", "Trance music", "Drum and bass", "Drum machine",
                   "Dubstep"),
    "rock": ("Rock music", "Heavy metal", "Punk rock", "Drum kit", "Electric guitar"),
}  # fmt: skip
_ENERGETIC = ("Techno", "Trance music", "Drum and bass", "Drum machine", "Dubstep", "Drum kit",
              "Rock music", "Heavy metal", "Percussion", "Drum")  # fmt: skip


def mood(clip: Clip) -> str:
    """Return one of ambient, calm, tense, battle, folk, sad, electronic, rock, or "game"."""
    scores: dict[str, float] = {}
    title = clip.caption.lower()
    for name, words in _TITLE_WORDS.items():
        scores[name] = 0.2 * any(word in title for word in words)
    for name, tags in _TAG_MOODS.items():
        heard = sum(score for tag, score in clip.tags if tag in tags)
        scores[name] = scores.get(name, 0.0) + heard
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] >= 0.03 else "game"


def calmness(clip: Clip) -> float:
    """Return how calm a track is: about -1 (driving drums) to 1 (still)."""
    calm = sum(
        score for tag, score in clip.tags if tag in _TAG_MOODS["ambient"] + _TAG_MOODS["calm"]
    )
    driving = sum(score for tag, score in clip.tags if tag in _ENERGETIC)
    title = clip.caption.lower()
    named = any(word in title for name in CALM_MOODS for word in _TITLE_WORDS[name])
    return calm - driving + 0.2 * named
