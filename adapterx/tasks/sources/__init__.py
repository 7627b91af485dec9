"""Where examples come from: a module or a folder per kind of source, and what they share."""
