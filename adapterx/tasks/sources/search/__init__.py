"""Queries and candidates, each in files of their own."""
