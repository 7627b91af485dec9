"""Files that may come from anyone: JSON, safetensors and patterns of names, read within bounds."""
