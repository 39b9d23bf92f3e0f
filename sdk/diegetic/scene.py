"""When to forget: a new scene is not to go on from the old one, and no scene from itself for ever.

    what is said   | rain ...           | crowd ...
    age            ... 11 12 13 14 15 16  0  1  2  3  4  5  6  7  8  9 ... 32 33 ... 40 41 ...
    hears before   all it can             all  its last hop only  . all of it . last hop . all
                                                                      unless it is held ^

A chunk continues the sound in the prefix. That holds a stream together, and holds on to the old
scene when a prompt says another one. So the first chunk of a scene, which is joined to the old one,
hears it all, and those after it hear the last hop, which changes quickly. Measured on 27 switches
that the model can make: until the listener of `diegetic eval` hears the new scene it takes .20 s,
not .30 (median), .5 s, not 1.0 (mean); the seam is told from others no more surely. With nothing
kept at all it is told at once (AUC .98).

What goes on from itself for minutes drifts, and may end where nothing leads back: calm music was
noise after two of them, for good. With a short memory every five seconds it stays music. Better is
to come back to how the scene began (`diegetic.hold`), where that can be.
"""

import numpy as np

from diegetic.snapshot import BLEND_TOKENS, Conditioning, FloatArray

ALIKE = 0.5  # cosine of two prompts' embeddings from which on they are of one scene
SETTLING = 8  # chunks in a row that hear the last hop alone,
PERIOD = 32  # from the second chunk of a scene on, and once in so many
SETTLED = SETTLING + 1


def age_of(now: Conditioning, before: Conditioning | None, age: int) -> int:
    """The age in chunks of the scene that `now` is of; that of `before` was `age`, if any."""
    return 0 if before is not None and another_scene(before, now) else age + 1


def recalled(age: int, hop: int, ring: int, *, held: bool) -> int:
    """How many of the newest latents of the prefix, of `ring`, a chunk at `age` hears.

    A scene that is `held` comes back to its beginning instead of forgetting once in a while.
    """
    return hop if 0 < (age if held else age % PERIOD) < SETTLED else ring


def another_scene(before: Conditioning, now: Conditioning) -> bool:
    """Whether `now` says in words something else than `before`, which the chunk before it said.

    Prompts that are blended count by their shares, so one that morphs into another within more than
    a few chunks is never another scene; nor are switches, parameters, events and frames.
    """
    old, new = _gist(before), _gist(now)
    if not (old.any() and new.any()):
        return bool(old.any() or new.any())
    return bool(old @ new < ALIKE * np.linalg.norm(old) * np.linalg.norm(new))


def _gist(said: Conditioning) -> FloatArray:
    """The sentences' embeddings by their shares, (TEXT_DIM,); zero where there are no words."""
    slots = np.array([0, *range(BLEND_TOKENS.start, BLEND_TOKENS.stop)])
    shares = said.values[slots] * said.present[slots]
    gist: FloatArray = shares @ said.words[slots]
    return gist
