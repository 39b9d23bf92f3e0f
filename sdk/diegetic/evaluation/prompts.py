"""What the evaluation asks for in words, and the AudioSet classes that would be a fitting answer.

The lists were written before any sound was made from them and are not tuned to what is heard.
"""

from collections.abc import Mapping

Prompts = Mapping[str, tuple[str, ...]]

BIRDS = ("Bird", "Bird vocalization, bird call, bird song", "Chirp, tweet")
GUNS = ("Gunshot, gunfire", "Machine gun", "Fusillade", "Artillery fire")
MUSIC = ("Music", "Musical instrument")

# Sounds and scenes of games: weather, water, places, animals, steps, fights, machines, music.
SCENES: Prompts = {
    "heavy rain on a metal roof": ("Rain", "Raindrop", "Rain on surface"),
    "distant thunder rolling over the hills": ("Thunder", "Thunderstorm"),
    "wind howling through a ruined castle": ("Wind", "Wind noise (microphone)"),
    "waves breaking on a rocky shore": ("Ocean", "Waves, surf"),
    "a waterfall in a cave": ("Waterfall", "Stream"),
    "underwater bubbles": ("Gurgling", "Boiling", "Slosh", "Plop"),
    "a campfire crackling": ("Fire", "Crackle"),
    "jungle full of birds and insects": (*BIRDS, "Insect", "Cricket"),
    "frogs croaking in a swamp": ("Frog", "Croak"),
    "wolves howling in the distance": ("Howl", "Canidae, dogs, wolves", "Dog"),
    "a zombie groaning": ("Groan", "Growling", "Grunt", "Wail, moan", "Roar"),
    "a horse galloping": ("Horse", "Clip-clop"),
    "footsteps on gravel": ("Walk, footsteps", "Run", "Crunch"),
    "a heavy wooden door creaks open": ("Door", "Creak", "Squeak"),
    "machine gun fire": GUNS,
    "a huge explosion": ("Explosion", "Boom", "Eruption"),
    "swords clashing": ("Clang", "Chink, clink", "Cutlery, silverware"),
    "a car engine revving": (
        "Accelerating, revving, vroom",
        "Engine",
        "Engine starting",
        "Medium engine (mid frequency)",
        "Car",
        "Race car, auto racing",
        "Motor vehicle (road)",
    ),
    "a helicopter over the battlefield": ("Helicopter", "Aircraft"),
    "an alarm in a space station": ("Alarm", "Siren", "Buzzer", "Smoke detector, smoke alarm"),
    "a clock ticking": ("Clock", "Tick-tock", "Tick"),
    "a crowd cheering in an arena": ("Cheering", "Crowd", "Applause"),
    "church bells": ("Church bell", "Bell", "Change ringing (campanology)"),
    "epic orchestral battle music": (*MUSIC, "Orchestra", "Exciting music", "Soundtrack music"),
}

# The twelve of the first version, to see how it moves.
TWELVE: Prompts = {
    "rain falling": ("Rain", "Raindrop", "Rain on surface"),
    "thunderstorm": ("Thunderstorm", "Thunder"),
    "birds in a forest": BIRDS,
    "crickets at night": ("Cricket", "Insect"),
    "a stream": ("Stream", "Waterfall", "Water"),
    "ocean waves": ("Ocean", "Waves, surf"),
    "strong wind": ("Wind", "Wind noise (microphone)"),
    "a crackling fire": ("Fire", "Crackle"),
    "a train passing": ("Train", "Rail transport", "Railroad car, train wagon"),
    "heavy machinery": (
        "Heavy engine (low frequency)",
        "Engine",
        "Mechanisms",
        "Medium engine (mid frequency)",
    ),
    "laser gun": (
        "Gunshot, gunfire",
        "Machine gun",
        "Fusillade",
        "Artillery fire",
        "Cap gun",
        "Zing",
    ),
    "calm ambient music": ("Ambient music", "Music", "New-age music", "Background music"),
}
