"""Where a sound is, as gains: equal-power pan, inverse-distance attenuation, occlusion.

A voice has four signals: left and right as recorded (dry), and both behind a low-pass (muffled).
Its *transfer* is the (2, 4) matrix from these to the two ears. All that position and occlusion do
is in that one matrix, so all of it ramps alike.

Occlusion crossfades dry to muffled. Through a one-pole low-pass this is a first-order high shelf at
every point of the way, with no coefficient that changes and no phase to cancel.
"""

import math
from dataclasses import dataclass

import numpy as np

from diegetic.mixer.commands import SetListener, Vector
from diegetic.snapshot import FloatArray

REFERENCE = 1.0  # m: unattenuated up to here
FARTHEST = 100.0  # m: no further attenuation
NEAR = 0.5  # m: closer than this a sound widens to the centre, so that none jumps through the head
MUFFLED_HZ = 400.0  # corner of the low-pass of full occlusion
OCCLUSION_DB = -6.0  # what full occlusion takes from the low end

DRY = slice(0, 2)
MUFFLED = slice(2, 4)


@dataclass(frozen=True)
class Listener:
    """The ears: `position` in metres, `right` a unit vector out of the right ear."""

    position: Vector = (0.0, 0.0, 0.0)
    right: Vector = (1.0, 0.0, 0.0)


def listener(command: SetListener) -> Listener:
    """Return the listener that `command` describes."""
    x, y, z = command.right
    length = math.hypot(x, y, z)
    return Listener(command.position, (x / length, y / length, z / length))


def transfer(gain: float, position: Vector | None, occlusion: float, ears: Listener) -> FloatArray:
    """Return the (2, 4) transfer of a voice of factor `gain`.

    A positioned clip is folded to mono. The power of the two ears together is the same at every
    angle, and straight ahead at the reference distance a mono clip sounds as it does unplaced.
    """
    gain *= 10.0 ** (OCCLUSION_DB * occlusion / 20.0)
    dry, muffled = gain * (1.0 - occlusion), gain * occlusion
    if position is None:
        return np.array([[dry, 0, muffled, 0], [0, dry, 0, muffled]], np.float32)
    left, right = ear_gains(position, ears)
    return np.array(
        [
            [left * dry, left * dry, left * muffled, left * muffled],
            [right * dry, right * dry, right * muffled, right * muffled],
        ],
        np.float32,
    )


def ear_gains(position: Vector, ears: Listener) -> tuple[float, float]:
    """Return the factors of the left and right channel of a clip at `position`, for either ear."""
    x, y, z = (a - b for a, b in zip(position, ears.position, strict=True))
    distance = math.hypot(x, y, z)
    sideways = x * ears.right[0] + y * ears.right[1] + z * ears.right[2]
    pan = min(max(sideways / max(distance, NEAR), -1.0), 1.0)  # sine of the azimuth
    angle = (pan + 1.0) * (math.pi / 4)
    # Half of each channel is the fold to mono; sqrt(2) makes both ears 1 straight ahead.
    level = math.sqrt(0.5) * REFERENCE / min(max(distance, REFERENCE), FARTHEST)
    return level * math.cos(angle), level * math.sin(angle)
