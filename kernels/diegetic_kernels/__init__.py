"""Operations of the generator, each with its eager reference beside it."""

from diegetic_kernels.attention import attention
from diegetic_kernels.chunk_attention import Ring, Sink, chunk_attention
from diegetic_kernels.cross_attention import Gate, cross_attention
from diegetic_kernels.modulate import gated_modulate, gated_residual, modulate
from diegetic_kernels.ring import append_to_ring
from diegetic_kernels.rows import RowNorm, rotary_turn

__all__ = [
    "Gate",
    "Ring",
    "RowNorm",
    "Sink",
    "append_to_ring",
    "attention",
    "chunk_attention",
    "cross_attention",
    "gated_modulate",
    "gated_residual",
    "modulate",
    "rotary_turn",
]
