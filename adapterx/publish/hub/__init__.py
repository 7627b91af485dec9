"""Repositories for the Hub: the files of an adapter, its card, a check by the library itself, and the upload."""
