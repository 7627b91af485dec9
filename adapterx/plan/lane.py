"""Which lane trains a cell, and what the reference lane does not do.

The fused lane trains many cells side by side. The reference lane trains each alone, through the models of Hugging
Face, `peft` and `adapters`: any method of theirs, or a fused one as a check on the other lane.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.precisions import precision
from adapterx.methods.base import MethodSpec
from adapterx.plan.cells import Cell
from adapterx.plan.facts import Refusal
from adapterx.recipe import Lane, Recipe
from adapterx.recipe.schema import Rounding
from adapterx.transfers.base import Names


@dataclass(frozen=True)
class LibraryAdapter:
    """What a plan knows of an adapter that a library makes."""

    parameters: int
    """Those that are trained."""
    alone: str = ""
    """Why no frozen one can lie below it; empty where one can."""


Measure = Callable[[MethodSpec, BackboneInfo], LibraryAdapter]
"""Builds an adapter without weights and looks at it. Raises ValueError, worded for the user, where it cannot be."""


def unmeasured(method: MethodSpec, info: BackboneInfo) -> LibraryAdapter:
    """For plans that nobody gave a way to look at libraries."""
    raise ValueError(f"needs the library `{method.kind}`, which this plan was not given")


def lane_of(recipe: Recipe, method: MethodSpec) -> Lane:
    """Where trainings of a method run: what a library makes, nothing else can train."""
    return "reference" if method.made_by_library else recipe.lane


def check(cell: Cell, recipe: Recipe, info: BackboneInfo, rounding: Rounding) -> None:
    """Refuse what the reference lane cannot train.

    Args:
        rounding: how hidden states below the adapters are kept.
    """
    name, method = cell.method, recipe.methods[cell.method]
    learnt = recipe.intermediates[cell.intermediate]
    for named, one in ((f"'{name}'", method), (f"of '{cell.intermediate}'", learnt.method if learnt else None)):
        if one is not None and one.not_by_library:
            raise Refusal(f"the method {named} {one.not_by_library}")
    if rounding != "exact":
        raise Refusal(
            "the reference lane computes every hidden state anew, so it cannot round those below the adapters to"
            f" {rounding}; set prefix_cache.precision: exact, or use the fused lane"
        )
    library = method.library
    if library == "adapters" and info.architecture != "xlm-roberta":
        raise Refusal(
            f"the method '{name}' needs `adapters` in the reference lane, whose version 1.3.0 has no"
            f" {info.architecture} models; the backbone '{cell.backbone}' is one"
        )
    load = recipe.backbones[cell.backbone].load
    if library and not precision(load).library:
        raise Refusal(
            f"the backbone '{cell.backbone}' is loaded in {load}, whose layers `{library}` does not know; the"
            " reference lane has int8 and nf4"
        )
    if library == "adapters" and not precision(load).exact:
        raise Refusal(
            f"the method '{name}' needs `adapters` in the reference lane, which trains in float32, and the backbone"
            f" '{cell.backbone}' is loaded in {load}"
        )
    if library and library not in sys.modules and find_spec(library) is None:
        extra = "adapterhub" if library == "adapters" else library
        raise Refusal(
            f"the method '{name}' needs the library `{library}` in the reference lane, which is not installed:"
            f" pip install 'adapterx[{extra}]'"
        )


def check_transfer(cell: Cell, recipe: Recipe, found: LibraryAdapter | None) -> None:
    """Refuse ways to a target that the libraries do not have.

    Args:
        found: what the library makes of the method, where it is one of a library.
    """
    method = recipe.methods[cell.method]
    below = recipe.intermediates[cell.intermediate]
    lower = below.method if below is not None and below.method is not None else method
    alone = found.alone if found is not None else ""
    names = Names(cell.transfer, cell.method, cell.intermediate)
    if why := recipe.transfers[cell.transfer].library_refusal(method, lower, alone, names):
        raise Refusal(why)
