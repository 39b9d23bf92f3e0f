"""Beds and one-shots into one safe stereo stream, exact to the sample.

    clips -> voices --\
                       buses (gain, mute, ducks, snapshots) -> loudness -> limiter -> out
    bed --------------/

`commands` is what it can be told; `mixer` does it. numpy and msgspec only: the player imports it.
"""
