"""The files of a run and of its stages: what writes each beside what reads it, with one type for both."""
