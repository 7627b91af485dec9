"""The ways in which what an intermediate learnt reaches a target; needs no torch where nothing is computed."""
