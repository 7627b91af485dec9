"""(IA)³ (Liu et al. 2022, arXiv 2205.05638)."""
