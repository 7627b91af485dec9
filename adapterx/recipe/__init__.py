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
    PrefixCacheSettings,
    Recipe,
    Sampling,
    Skip,
    Target,
)
from adapterx.recipe.training import EarlyStopping, Train, TrainSettings

__all__ = [
    "Axis",
    "Compare",
    "EarlyStopping",
    "Evaluate",
    "Intermediate",
    "Lane",
    "PrefixCacheSettings",
    "Prune",
    "PruneSettings",
    "Recipe",
    "Retrieval",
    "Sampling",
    "Skip",
    "Target",
    "Train",
    "TrainSettings",
    "default_layer",
    "locate",
    "read",
]
