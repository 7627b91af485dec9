"""Kinds of task, a module each."""
