"""How long counted work takes: by a rule of thumb, or by what was measured on this machine. Needs no torch."""
