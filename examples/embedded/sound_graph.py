"""The decoder's graph and all that `diegetic.codec` computes around it: noise, latents to sound.

    white --spectra--> decoder --overlap-add--> measure, scale bands, overlap-add --> samples
                                                |----- as often as LEVELLINGS -----|

A frame's Fourier transform is a convolution with cosines and sines under a window, overlap-add is
the transposed one: both share one matrix, `fourier`.
"""

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper, parser

from diegetic.codec import (
    BANDS,
    BINS,
    FLOOR,
    FRAME_HOP,
    LAG,
    LEVELLINGS,
    MAKE_UP,
    MID_BANDS,
    MOST_GAIN,
    SIDE_BANDS,
    WINDOW,
    band_matrix,
    interpolation_matrix,
)
from diegetic.config import SAMPLES_PER_LATENT
from diegetic.networks import FloatArray

LATE = LAG // FRAME_HOP  # frames
STAGES = 1 + LEVELLINGS


def _each(name: str, first: int = 0) -> str:
    """The names of one thing in all stages from `first` on."""
    return ", ".join(f"{name}_{stage}" for stage in range(first, STAGES))


# The noise of one latent more than there are latents: mid and side alternate, as in `generator`.
_NOISE = f"""
noise (float[rows, {2 * SAMPLES_PER_LATENT}] white) => (float[2, 1, 2, frames, {BINS}] noise) {{
    rows_of_two = Reshape (white, two_columns)
    mid_and_side = Transpose <perm = [1, 0]> (rows_of_two)
    from_first_frame = Slice (mid_and_side, unused, end, last_axis)
    white_signal = Unsqueeze (from_first_frame, axis_1)
    white_spectra = Conv <strides = [{FRAME_HOP}]> (white_signal, fourier)
    even_spectra = Mul (white_spectra, noise_scale)
    even_parts = Reshape (even_spectra, parts)
    even_planes = Transpose <perm = [1, 0, 3, 2]> (even_parts)
    noise = Unsqueeze (even_planes, axis_1)
}}
"""

_BEGIN = f"""
synthesis (
    float[2, 1, 2, frames, {BINS}] spectra, float[1, frames, {BANDS}] levels,
    float[{2 * STAGES}, 1, {LAG}] tails, float[{2 * LEVELLINGS}, 1, {LAG}] pasts,
    float[{LEVELLINGS * LATE}, {BANDS}] wanted
) => (
    float[samples, 2] samples, float[{2 * STAGES}, 1, {LAG}] tails_out,
    float[{2 * LEVELLINGS}, 1, {LAG}] pasts_out, float[{LEVELLINGS * LATE}, {BANDS}] wanted_out
) {{
    {_each("tail")} = Split <axis = 0, num_outputs = {STAGES}> (tails)
    {_each("past", 1)} = Split <axis = 0, num_outputs = {LEVELLINGS}> (pasts)
    {_each("wanted", 1)} = Split <axis = 0, num_outputs = {LEVELLINGS}> (wanted)
    levels_0 = Squeeze (levels, axis_0)
    parts_first = Transpose <perm = [1, 2, 0, 4, 3]> (spectra)
    values_0 = Reshape (parts_first, channels)
"""

_LEVEL = f"""
    seen_N = Concat <axis = 2> (past_N, sound_M)
    past_out_N = Slice (seen_N, minus_lag, end, last_axis)
    due_N = Concat <axis = 0> (wanted_N, levels_M)
    wanted_out_N = Slice (due_N, minus_late, end, axis_0)
    levels_N = Slice (due_N, zero, minus_late, axis_0)
    found_N = Conv <strides = [{FRAME_HOP}]> (seen_N, fourier)
    squares_N = Mul (found_N, found_N)
    square_parts_N = Reshape (squares_N, parts)
    power_N = ReduceSum <keepdims = 0> (square_parts_N, axis_1)
    bins_first_N = Sqrt (power_N)
    magnitude_N = Transpose <perm = [0, 2, 1]> (bins_first_N)
    magnitude_mid_N, magnitude_side_N = Split <axis = 0, num_outputs = 2> (magnitude_N)
    amplitude_mid_N = MatMul (magnitude_mid_N, mid_bands)
    amplitude_side_N = MatMul (magnitude_side_N, side_bands)
    amplitudes_N = Concat <axis = 2> (amplitude_mid_N, amplitude_side_N)
    heard_N = Max (amplitudes_N, floor)
    heard_levels_N = Log (heard_N)
    lacking_N = Sub (levels_N, heard_levels_N)
    made_up_N = Add (lacking_N, make_up)
    gain_N = Clip (made_up_N, least_gain, most_gain)
    gain_mid_N, gain_side_N = Split <axis = 2> (gain_N, widths)
    bins_mid_N = MatMul (gain_mid_N, mid_bins)
    bins_side_N = MatMul (gain_side_N, side_bins)
    bins_N = Concat <axis = 0> (bins_mid_N, bins_side_N)
    factor_N = Exp (bins_N)
    bin_factors_N = Transpose <perm = [0, 2, 1]> (factor_N)
    factors_N = Concat <axis = 1> (bin_factors_N, bin_factors_N)
    values_N = Mul (found_N, factors_N)
"""

_OVERLAP_ADD = f"""
    inverse_N = Mul (values_N, inverse_scale)
    frames_N = ConvTranspose <strides = [{FRAME_HOP}]> (inverse_N, fourier)
    first_N = Slice (frames_N, zero, lag, last_axis)
    rest_N = Slice (frames_N, lag, end, last_axis)
    begun_N = Add (first_N, tail_N)
    sums_N = Concat <axis = 2> (begun_N, rest_N)
    sound_N = Slice (sums_N, zero, minus_lag, last_axis)
    tail_out_N = Slice (sums_N, minus_lag, end, last_axis)
"""

_END = f"""
    tails_out = Concat <axis = 0> ({_each("tail_out")})
    pasts_out = Concat <axis = 0> ({_each("past_out", 1)})
    wanted_out = Concat <axis = 0> ({_each("wanted_out", 1)})
    channels_first = Squeeze (sound_{LEVELLINGS}, axis_1)
    channels_last = Transpose <perm = [1, 0]> (channels_first)
    samples = MatMul (channels_last, left_and_right)
}}
"""


# What is decoded is kept, all of it: the next state follows the last latent.
_KEPT = helper.make_node("Shape", ["latents"], ["kept"], start=1, end=2)


def sound_graph(decoder: ModelProto) -> ModelProto:
    """Put the noise's spectra before `decoder`, the synthesis behind it; `decoder` is not modified.

    Inputs: latents (1, T, LATENT_DIM); white (1 + T, 2 * SAMPLES_PER_LATENT), normal, the first row
    that of the latent before; state, the decoder's; tails (2 * STAGES, 1, LAG), pasts
    (2 * LEVELLINGS, 1, LAG) and wanted (LEVELLINGS * LATE, BANDS), those of a
    `codec.SynthesisState` with their first axes as one. Outputs: samples (T * SAMPLES_PER_LATENT,
    2), left and right, and the four states after them.
    """
    noise, after = parser.parse_graph(_NOISE), parser.parse_graph(_synthesis())
    theirs = {value.name: value for value in (*decoder.graph.input, *decoder.graph.output)}
    graph = helper.make_graph(
        [*noise.node, _KEPT, *decoder.graph.node, *after.node],
        "sound",
        [theirs["latents"], *noise.input, theirs["state"], *after.input[2:]],
        [*after.output, theirs["state_out"]],
        [*decoder.graph.initializer, *_numbers()],
    )
    model = ModelProto()
    model.CopyFrom(decoder)
    model.graph.CopyFrom(graph)
    return model


def _synthesis() -> str:
    text = _BEGIN + _OVERLAP_ADD.replace("_N", "_0")
    for stage in range(1, STAGES):
        level = _LEVEL + _OVERLAP_ADD
        text += level.replace("_N", f"_{stage}").replace("_M", f"_{stage - 1}")
    return text + _END


def _numbers() -> list[TensorProto]:
    """The constants of both texts."""
    turn = np.outer(np.arange(BINS), np.arange(WINDOW)) % WINDOW * (2 * np.pi / WINDOW)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    fourier = np.concatenate((np.cos(turn), -np.sin(turn))) * hann * 4 / WINDOW
    # The way back: a real signal has every bin but the first and last twice, and Hann windows,
    # squared and a quarter apart, sum to 1.5.
    twice = np.where(np.isin(np.arange(BINS), (0, BINS - 1)), 1.0, 2.0) / WINDOW
    inverse = np.tile(twice * (WINDOW / 4) ** 2 / 1.5, 2)
    floats: dict[str, NDArray[np.float64] | FloatArray | float] = {
        "fourier": fourier[:, None],
        "inverse_scale": inverse[:, None],
        "noise_scale": WINDOW / 4 / np.sqrt(np.square(hann).sum()),
        "mid_bands": band_matrix(MID_BANDS).T,
        "side_bands": band_matrix(SIDE_BANDS).T,
        "mid_bins": interpolation_matrix(MID_BANDS).T,
        "side_bins": interpolation_matrix(SIDE_BANDS).T,
        "left_and_right": np.array([[1, 1], [1, -1]]),
        "floor": FLOOR,
        "make_up": MAKE_UP,
        "least_gain": -MOST_GAIN,
        "most_gain": MOST_GAIN,
    }
    whole: dict[str, list[int]] = {
        "zero": [0],
        "end": [np.iinfo(np.int64).max],
        "axis_0": [0],
        "axis_1": [1],
        "last_axis": [-1],
        "unused": [SAMPLES_PER_LATENT - LAG],
        "lag": [LAG],
        "minus_lag": [-LAG],
        "minus_late": [-LATE],
        "two_columns": [-1, 2],
        "parts": [2, 2, BINS, -1],
        "channels": [2, 2 * BINS, -1],
        "widths": [MID_BANDS, SIDE_BANDS],
    }
    arrays = {name: np.asarray(value, np.float32) for name, value in floats.items()}
    arrays |= {name: np.array(value, np.int64) for name, value in whole.items()}
    return [numpy_helper.from_array(np.ascontiguousarray(a), name) for name, a in arrays.items()]
