"""LoRA (Hu et al. 2022, arXiv 2106.09685)."""
