"""YAML → a validated Recipe."""

from adapterx.recipe.fields import ALL_LANGUAGES
from adapterx.recipe.methods import Bottleneck, Lora
from adapterx.recipe.schema import Axis, Backbone, Compare, Evaluate, Intermediate, Recipe, Sampling, Skip, Target
from adapterx.recipe.training import EarlyStopping, Train, TrainSettings

__all__ = [
    "ALL_LANGUAGES",
    "Axis",
    "Backbone",
    "Bottleneck",
    "Compare",
    "EarlyStopping",
    "Evaluate",
    "Intermediate",
    "Lora",
    "Recipe",
    "Sampling",
    "Skip",
    "Target",
    "Train",
    "TrainSettings",
]
