"""The networks in a process of their own."""

from diegetic.inference.process import InferenceProcess

__all__ = ["InferenceProcess"]
