"""Operations of the generator, each with its eager reference beside it."""

from diegetic_kernels.attention import attention

__all__ = ["attention"]
