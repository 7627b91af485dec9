"""Kernels of the engine's own for GPUs, in Triton: a module each, chosen by `choice`, the library's code beside it."""
