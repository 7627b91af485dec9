"""YAML → a validated Recipe."""

from adapterx.recipe.prune import Prune, PruneSettings
from adapterx.recipe.reader import locate, read
from adapterx.recipe.retrieval import Retrieval, default_layer
from adapterx.recipe.schema import (
    Axis,
    Compare,
    Evaluate,
    Intermediate,
    Lane,
    PrefixCache,
    Recipe,
    Sampling,
    Skip,
    Target,
)
from adapterx.recipe.training import EarlyStopping, Train, TrainSettings
from adapterx.recipe.transfers import Continue, Fuse, Merge, Stack, Transfer

__all__ = [
    "Axis",
    "Compare",
    "Continue",
    "EarlyStopping",
    "Evaluate",
    "Fuse",
    "Intermediate",
    "Lane",
    "Merge",
    "PrefixCache",
    "Prune",
    "PruneSettings",
    "Recipe",
    "Retrieval",
    "Sampling",
    "Skip",
    "Stack",
    "Target",
    "Train",
    "TrainSettings",
    "Transfer",
    "default_layer",
    "locate",
    "read",
]
