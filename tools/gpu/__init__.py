"""What `gpu_check.py` looks at on a GPU: a module for each group of phases."""
