"""The Triton kernels. Only this folder imports triton, and only when a kernel is asked for."""
