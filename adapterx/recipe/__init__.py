"""YAML → a validated Recipe."""

from adapterx.recipe.fields import ALL_LANGUAGES
from adapterx.recipe.libraries import Adapters, Peft
from adapterx.recipe.methods import Bottleneck, Full, Head, Lora, Method, adapted_layers, lowest_layer
from adapterx.recipe.problems import Finding, Problem, RecipeError, SettingError, did_you_mean
from adapterx.recipe.prune import Prune, PruneSettings
from adapterx.recipe.reader import locate, read
from adapterx.recipe.retrieval import Retrieval, default_layer
from adapterx.recipe.schema import (
    Axis,
    Backbone,
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
    "ALL_LANGUAGES",
    "Adapters",
    "Axis",
    "Backbone",
    "Bottleneck",
    "Compare",
    "Continue",
    "EarlyStopping",
    "Evaluate",
    "Finding",
    "Full",
    "Fuse",
    "Head",
    "Intermediate",
    "Lane",
    "Lora",
    "Merge",
    "Method",
    "Peft",
    "PrefixCache",
    "Problem",
    "Prune",
    "PruneSettings",
    "Recipe",
    "RecipeError",
    "Retrieval",
    "Sampling",
    "SettingError",
    "Skip",
    "Stack",
    "Target",
    "Train",
    "TrainSettings",
    "Transfer",
    "adapted_layers",
    "default_layer",
    "did_you_mean",
    "locate",
    "lowest_layer",
    "read",
]
