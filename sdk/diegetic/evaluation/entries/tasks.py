"""One line for everything that can be asked for: text, pictures, sound, in any mix."""

from collections.abc import Callable

import numpy as np

from diegetic.config import RATE
from diegetic.evaluation.bench import Bench, say
from diegetic.evaluation.entries import gap
from diegetic.evaluation.entries.onsets import watched
from diegetic.evaluation.measures import frechet, level
from diegetic.evaluation.prompts import MUSIC
from diegetic.evaluation.rows import Detail, Row
from diegetic.evaluation.watch import watch_game, watch_picture
from diegetic.session import Session
from diegetic.snapshot import Conditioning, FloatArray, null_conditioning

NAME = "tasks"
SECONDS = 10.0
PIECE = 4.0  # s, where sets are compared
SILENT = -60.0  # dBFS
GIVEN, GOES_ON = 3.0, 4.0  # s
GIVEN_SOUNDS = 6
WATER = ("Water", "Stream", "Waterfall", "Ocean", "Waves, surf", "Trickle, dribble", "Gurgling")
RAIN = ("Rain", "Raindrop", "Rain on surface")


def run(bench: Bench) -> tuple[Row, ...]:
    """The nine tasks of AudioX (arXiv 2503.10522), each with what is heard."""
    tasks: tuple[Callable[[Bench], Row], ...] = (
        _text_to_audio,
        _text_to_music,
        _frames_to_audio,
        _frames_to_music,
        _text_and_frames,
        _image_to_audio,
        lambda bench: gap.run_inpainting(bench, NAME, "inpainting of a gap"),
        _continuation,
        _music_completion,
    )
    return tuple(task(bench) for task in bench.progress(NAME, tasks))


def _text_to_audio(bench: Bench) -> Row:
    prompt = "a small stream in a forest"
    samples = bench.render(f"{NAME}/text-to-audio", say(prompt, SECONDS), seed=bench.stream_seed(0))
    return _ranked(bench, f"text → audio: “{prompt}”", samples, {"rank": WATER})


def _text_to_music(bench: Bench) -> Row:
    prompt = "slow sad music with strings"
    samples = bench.render(f"{NAME}/text-to-music", say(prompt, SECONDS), seed=bench.stream_seed(0))
    return _ranked(bench, f"text → music: “{prompt}”", samples, {"rank": MUSIC})


def _frames_to_audio(bench: Bench) -> Row:
    """FAD of held-out games' sound against ours from their frames, in pieces that sound there."""
    pairs: list[tuple[FloatArray, FloatArray]] = []
    for game in bench.corpus.games():
        samples = watched(bench, game)
        pairs += zip(_pieces(samples), _pieces(game.audio[: len(samples)]), strict=True)
    made, true = zip(*[pair for pair in pairs if level(pair[1]) > SILENT], strict=True)
    ours, theirs = bench.embeddings(made), bench.embeddings(true)
    codec = bench.embeddings(
        bench.codec.reconstruct(sound, bench.stream_seed(k)) for k, sound in enumerate(true)
    )
    return Row(
        "frames → audio: held-out games",
        {"FAD": frechet(theirs, ours), "codec": frechet(theirs, codec), "sounds": len(made)},
    )


def _frames_to_music(bench: Bench) -> Row:
    game = bench.corpus.games()[0]
    watch = watch_game(game, SECONDS)

    def play(session: Session) -> FloatArray:
        session.set_layers(("music",))
        return watch(session)

    samples = bench.render(f"{NAME}/frames-to-music", play, seed=bench.stream_seed(0))
    return _ranked(bench, f"frames → music: {game.name}", samples, {"rank": MUSIC})


def _text_and_frames(bench: Bench) -> Row:
    prompt, game = "rain and calm ambient music", bench.corpus.games()[0]
    samples = bench.render(
        f"{NAME}/text-and-frames",
        watch_game(game, SECONDS, prompt=prompt),
        seed=bench.stream_seed(0),
    )
    title = f"text + frames → both: “{prompt}”, {game.name}"
    return _ranked(bench, title, samples, {"rain": RAIN, "music": MUSIC})


def _image_to_audio(bench: Bench) -> Row:
    """One of the surfaces, which were all seen in training: there are no others."""
    picture = bench.corpus.surface("water")
    samples = bench.render(
        f"{NAME}/image-to-audio", watch_picture(picture, SECONDS), seed=bench.stream_seed(0)
    )
    return _ranked(bench, "image → audio: a picture of water", samples, {"rank": WATER})


def _continuation(bench: Bench) -> Row:
    return _goes_on(bench, "continuation of a held-out sound", "bed", null_conditioning())


def _music_completion(bench: Bench) -> Row:
    said = null_conditioning(["music"])
    return _goes_on(bench, "completion of held-out music", "music", said)


def _goes_on(bench: Bench, title: str, kind: str, said: Conditioning) -> Row:
    """Where what is heard first in a sound stands in what goes on from it, with nothing said."""
    size = round(GIVEN * RATE)
    clips = bench.corpus.clips(
        "heldout", GIVEN_SOUNDS, bench.seed, GIVEN + GOES_ON, GIVEN + GOES_ON, frozenset((kind,))
    )

    details = []
    true_ranks = []
    for number, clip in enumerate(clips):
        given, follows = clip.audio[:size], clip.audio[size:]
        seed = bench.stream_seed(number)

        def make(given: FloatArray = given, seed: int = seed) -> FloatArray:
            return bench.editor.go_on(given, said, GOES_ON, seed)

        made = bench.renders.get(f"{NAME}/{kind}-goes-on-{number}", make)
        before, after, true = (bench.listener.hear(s, RATE)[0] for s in (given, made, follows))
        first = int(np.argmax(before))
        details.append(Detail(clip.caption, _place(after, first), bench.listener.top(after)))
        true_ranks.append(_place(true, first))
    return Row(
        title,
        {
            "median rank of its first class": float(np.median([d.value for d in details])),
            "as it really goes on": float(np.median(true_ranks)),
            "sounds": len(clips),
        },
        details=tuple(details),
    )


def _place(probabilities: FloatArray, index: int) -> int:
    """The rank of class `index`, from 1."""
    return int((probabilities > probabilities[index]).sum()) + 1


def _ranked(
    bench: Bench, title: str, samples: FloatArray, labels: dict[str, tuple[str, ...]]
) -> Row:
    """The rank of a fitting class, for each name in `labels`."""
    probabilities, _ = bench.listener.hear(samples, RATE)
    figures = {
        name: float(bench.listener.rank(probabilities, fitting)[0])
        for name, fitting in labels.items()
    }
    return Row(title, figures, note=bench.listener.top(probabilities))


def _pieces(samples: FloatArray) -> list[FloatArray]:
    size = round(PIECE * RATE)
    return [samples[k : k + size] for k in range(0, len(samples) - size + 1, size)]
