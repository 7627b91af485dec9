"""What `tools/size_probe.py` is made of."""
