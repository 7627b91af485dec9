"""YAML → a validated Recipe."""

from adapterx.recipe.comparison import Budget, Compare, ComparedArms
from adapterx.recipe.prune import Prune
from adapterx.recipe.reader import locate, read
from adapterx.recipe.retrieval import RetrievalSettings, default_layer
from adapterx.recipe.schema import (
    Axis,
    Evaluate,
    Intermediate,
    Lane,
    PrefixCacheSettings,
    Recipe,
    Sampling,
    Skip,
    Target,
)
from adapterx.recipe.training import Train

__all__ = [
    "Axis",
    "Budget",
    "Compare",
    "ComparedArms",
    "Evaluate",
    "Intermediate",
    "Lane",
    "PrefixCacheSettings",
    "Prune",
    "Recipe",
    "RetrievalSettings",
    "Sampling",
    "Skip",
    "Target",
    "Train",
    "default_layer",
    "locate",
    "read",
]
