"""Executors: run a plan's stages somewhere."""
