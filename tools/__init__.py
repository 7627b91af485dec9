"""Benchmarks and maintenance scripts."""
