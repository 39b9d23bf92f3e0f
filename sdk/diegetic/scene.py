"""When to forget: another scene does not go on from what was heard before it.

A chunk continues the sound in the prefix. That holds a stream together, and holds on to the old
scene when a prompt says another one. Measured on 18 switches between scenes: the listener of
`diegetic eval` hears the new one a median of .7 s after it was said, and of .25 s when the prefix
is then forgotten.
"""

import numpy as np

from diegetic.snapshot import BLEND_TOKENS, Conditioning, FloatArray

ALIKE = 0.5  # cosine of two prompts' embeddings from which on they are of one scene


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
