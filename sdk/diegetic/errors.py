"""Errors that a user can act on: one clear line, exit code 2 from the command line."""


class DiegeticError(Exception):
    """What was expected, what came, and where; the command line prints it without a traceback."""


class WeightsError(DiegeticError):
    """Weights are missing, damaged, or made for another version."""


class DeviceError(DiegeticError):
    """An audio device, or PortAudio itself, is missing or refused what was asked."""


class MediaError(DiegeticError):
    """A video, sound or picture could not be read or written."""
