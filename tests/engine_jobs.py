"""Jobs that other processes can import."""

import os


def square(number: int) -> int:
    """The square; 3 kills its process, and what is negative is an error."""
    if number == 3:
        os._exit(1)
    if number < 0:
        raise ValueError("negative")
    return number * number
