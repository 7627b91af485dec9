"""A task's data in other languages, by a translation engine: rows, spans of answers, files and the task's YAML.

The middle condition of Phang et al. 2020 (arXiv 2005.13013): an intermediate trained on translated data.
"""
