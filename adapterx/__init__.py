"""adapterx: one recipe, one command, a whole grid of adapters over frozen multilingual encoders."""

__version__ = "0.1.0"
