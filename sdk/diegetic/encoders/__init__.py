"""What the game says and shows, as vectors: small networks that ship with the package."""

from diegetic.encoders.image import ImageEncoder
from diegetic.encoders.text import TextEncoder

__all__ = ["ImageEncoder", "TextEncoder"]
