"""A soundfont of one instrument, a looped sine at A4, and a MIDI file of one note."""

import struct

import numpy as np

RATE = 48_000
_PERIODS, _SAMPLES = 11, 1200  # 440 Hz exactly


def soundfont() -> bytes:
    """SoundFont 2.01, as small as it may be."""
    wave = np.sin(2 * np.pi * _PERIODS * np.arange(_SAMPLES) / _SAMPLES)
    pcm = np.concatenate([np.tile(wave, 2) * 16_000, np.zeros(46)]).astype("<i2").tobytes()
    end = 2 * _SAMPLES
    info = _chunk("ifil", struct.pack("<HH", 2, 1)) + _chunk("isng", b"EMU8000\0")
    info += _chunk("INAM", b"sine\0\0")
    sample = struct.pack("<20sIIIIIBbHH", b"sine", 0, end, _SAMPLES, end - 1, RATE, 69, 0, 0, 1)
    presets = struct.pack("<20sHHHIII", b"sine", 0, 0, 0, 0, 0, 0)
    presets += struct.pack("<20sHHHIII", b"EOP", 0, 0, 1, 0, 0, 0)
    tables = {
        "phdr": presets,
        "pbag": struct.pack("<HHHH", 0, 0, 1, 0),
        "pmod": bytes(10),
        "pgen": struct.pack("<HHHH", 41, 0, 0, 0),  # instrument 0
        "inst": struct.pack("<20sH20sH", b"sine", 0, b"EOI", 1),
        "ibag": struct.pack("<HHHH", 0, 0, 2, 0),
        "imod": bytes(10),
        "igen": struct.pack("<HHHHHH", 54, 1, 53, 0, 0, 0),  # looped; sample 0
        "shdr": sample + struct.pack("<20s26x", b"EOS"),
    }
    body = b"sfbk" + _chunk("LIST", b"INFO" + info)
    body += _chunk("LIST", b"sdta" + _chunk("smpl", pcm))
    body += _chunk(
        "LIST", b"pdta" + b"".join(_chunk(name, table) for name, table in tables.items())
    )
    return _chunk("RIFF", body)


def midi(note: int = 69, beats: int = 2) -> bytes:
    """One note at 120 beats a minute."""
    track = bytes([0, 0xC0, 0, 0, 0x90, note, 100]) + _length(96 * beats)
    track += bytes([0x80, note, 0, 0, 0xFF, 0x2F, 0])
    header = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, 96)
    return header + struct.pack(">4sI", b"MTrk", len(track)) + track


def _chunk(name: str, data: bytes) -> bytes:
    return name.encode() + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def _length(ticks: int) -> bytes:
    return bytes([0x80 | ticks >> 7, ticks & 0x7F])
