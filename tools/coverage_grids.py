"""Made-up grids of trained models whose true scores are known, for `tools/coverage.py`.

A grid has two sizes and two arms (or what a `World` says) on one target. An item is answered rightly if a normal
variable (its difficulty in all languages, in one, and for one model) stays below a threshold that gives the model its
true accuracy in that language. That accuracy moves with every training, in all languages together and, half as much,
in each alone. It moves on the scale of the normal quantile, where p = Φ(√(1 + s²) Φ⁻¹(q) + s Z) has the mean q: the
truth over all trainings is exact, and no accuracy has to be cut off at 0 or 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from adapterx.plan.cells import Cell
from adapterx.report.collect import CellResult, Results, TargetFacts
from adapterx.report.predictions import LanguageItems, Predictions
from adapterx.results.run_file import BackboneSize, PlannedCell, Run, StageRef
from adapterx.store import JSON
from adapterx.tasks.metrics import Accuracy

Floats = NDArray[np.float64]
GAP = 0.02
"""What the arm gains in every language, whatever the size: its change is 0."""
SHARES = {"item": 0.4, "language": 0.2, "model": 0.4}
"""Of an item's difficulty: its own in all languages, in one language, and for one model."""
ALONE = 0.5
"""How much a training moves the accuracy in each language alone, of what it moves it in all together."""
LANGUAGES = 0.2
"""How far the easiest language lies above the accuracy of the world, and the hardest below, in normal quantiles."""
NORMAL = NormalDist()


@dataclass(frozen=True)
class World:
    """What is true of the made-up grids."""

    items: int
    seeds: int
    spread: float
    """Standard deviation of a training's accuracy, in points."""
    kind: str = ""
    """What is unlike the plain grid, in words."""
    shared: float = 1.0
    """How many of the items every language has; each other item is one language's own."""
    uneven: float = 0.0
    """Standard deviation of the logarithm of the settings' spreads."""
    correlation: float = 0.0
    """Of two arms' trainings with one seed."""
    sizes: int = 2
    targets: int = 1
    languages: int = 15
    accuracy: float = 0.6
    """Of the baseline, in the language of middling difficulty."""

    @property
    def names(self) -> tuple[str, ...]:
        """Codes of the languages."""
        return tuple(f"l{number:02}" for number in range(self.languages))

    @property
    def sources(self) -> tuple[str, ...]:
        """The first language was trained in; where there is but one, another was."""
        return self.names[:1] if self.languages > 1 else ()

    def truth(self, intermediate: str) -> Floats:
        """The true accuracies of an arm, (languages,), over all items and trainings there might be."""
        places = np.linspace(LANGUAGES, -LANGUAGES, self.languages) if self.languages > 1 else np.zeros(1)
        middle = NORMAL.inv_cdf(self.accuracy)
        return np.array([NORMAL.cdf(middle + at) for at in places]) + GAP * (intermediate == "multi")


def plain() -> Iterator[World]:
    """Every number of items and seeds with little and with much chance of training."""
    for items, seeds, spread in product((60, 300, 2000), (2, 3, 5), (0.5, 2.0)):
        yield World(items, seeds, spread, languages=15 if seeds == 2 else 5)


def worlds() -> Iterator[World]:
    """The rows of the table: the plain ones, then one thing changed at a time, with few items and with many."""
    yield from plain()
    for items, seeds in ((60, 2), (60, 5), (300, 4), (2000, 2), (5000, 3)):
        yield _few(items, seeds, 0.0, "trainings that do not scatter")
    for items, seeds, spread in ((60, 4, 1.0), (300, 4, 2.0), (5000, 2, 1.0), (5000, 3, 0.5), (5000, 5, 2.0)):
        yield _few(items, seeds, spread, "four seeds, 5,000 items")
    for accuracy, (items, seeds, spread) in product((0.33, 0.95), ((60, 2, 0.5), (60, 5, 1.0), (300, 3, 0.5))):
        yield _few(items, seeds, spread, f"accuracy {accuracy:g}", accuracy=accuracy)
        yield _few(10 * items, seeds, spread, f"accuracy {accuracy:g}", accuracy=accuracy)
    for accuracy, (items, seeds) in product((0.33, 0.6, 0.95), ((60, 2), (60, 4), (300, 3), (5000, 2))):
        yield World(items, seeds, 1.0, "one language", accuracy=accuracy, languages=1)
    for shared, (items, seeds, spread) in product((1.0, 0.0), ((60, 2, 1.0), (300, 3, 0.5), (1000, 2, 0.5))):
        kind = "40 languages" + ("" if shared else ", no item parallel")
        yield World(items, seeds, spread, kind, shared, languages=40)
    variants: tuple[Mapping[str, object], ...] = (
        {"kind": "19 of 20 items parallel", "shared": 0.95},
        {"kind": "no item parallel", "shared": 0.0},
        {"kind": "uneven spreads (log sd 0.7)", "uneven": 0.7},
        {"kind": "arms correlated 0.5", "correlation": 0.5},
        {"kind": "arms that share the chance of training", "correlation": 1.0},
        {"kind": "three sizes", "sizes": 3},
        {"kind": "four sizes", "sizes": 4},
        {"kind": "two targets", "targets": 2},
    )
    for variant, (items, seeds) in product(variants, ((60, 2), (300, 3), (2000, 2))):
        yield replace(_few(items, seeds, 1.0), **variant)  # type: ignore[arg-type]
    for items, spread in ((60, 0.0), (300, 1.0), (300, 2.0), (2000, 1.0), (2000, 2.0), (5000, 0.0)):
        yield _few(items, 1, spread, "one seed")
    yield _few(60, 1, 1.0, "one seed", accuracy=0.95)
    yield World(60, 1, 1.0, "one seed", languages=1)


def _few(items: int, seeds: int, spread: float, kind: str = "", accuracy: float = 0.6) -> World:
    """A world of five languages, in which much can be counted in little time."""
    return World(items, seeds, spread, kind, accuracy=accuracy, languages=5)


@dataclass(frozen=True)
class Made:
    """A made-up grid."""

    results: Results
    chances: Mapping[Cell, Floats]
    """The true accuracy of each trained model in every language, (languages,)."""


def grid(world: World, random: np.random.Generator) -> Made:
    """One made-up grid."""
    names = [f"size{number}" for number in range(world.sizes)]
    truths = {name: world.truth(name) for name in ("en", "multi")}
    cells, targets, chances = [], {}, {}
    for target in (f"target{number}" for number in range(world.targets)):
        ids = _ids(world, random)
        difficulty = _difficulty(ids, random)
        targets[target] = TargetFacts(target, ("accuracy",), world.names, world.sources, ids, {"accuracy": {}})
        for name in names:
            luck = _moves(world, random)
            for intermediate, truth in truths.items():
                spread = world.spread / 100 * math.exp(world.uneven * random.normal() - world.uneven**2)
                own = _moves(world, random)
                moves = math.sqrt(world.correlation) * luck + math.sqrt(1 - world.correlation) * own
                for seed in range(world.seeds):
                    chance, bars = _moved(truth, spread, moves[seed])
                    cell = Cell(name, "lora", intermediate, "continue", target, seed)
                    chances[cell] = chance
                    cells.append(CellResult(cell, "done", "", _answers(ids, difficulty, bars, random)))
    backbones = {
        name: BackboneSize(name, name, None, name, "", 6, 384 << at, 4 * 384 << at) for at, name in enumerate(names)
    }
    planned = [
        PlannedCell(one.cell, evaluation=StageRef("evaluation", one.cell.label, one.cell.label)) for one in cells
    ]
    recipe: dict[str, JSON] = {"name": "made up", "compare": {"arm": "multi", "baseline": "en", "by": "backbones"}}
    run = Run("made up", "", recipe, (), tuple(planned), backbones)
    return Made(Results(run, tuple(cells), targets, {}, {}), chances)


def _moves(world: World, random: np.random.Generator) -> Floats:
    """How trainings turn out, (seeds, languages): in all languages together, and in each alone."""
    return random.normal(size=(world.seeds, 1)) + ALONE * random.normal(size=(world.seeds, world.languages))


def _moved(truth: Floats, spread: float, move: Floats) -> tuple[Floats, Floats]:
    """A trained model's accuracy in every language, and the normal quantile of that; both (languages,)."""
    middle = np.array([NORMAL.inv_cdf(one) for one in truth])
    scale = spread / np.array([NORMAL.pdf(one) for one in middle])
    bars = np.sqrt(1 + scale**2 * (1 + ALONE**2)) * middle + scale * move
    return np.array([NORMAL.cdf(one) for one in bars]), bars


def _ids(world: World, random: np.random.Generator) -> dict[str, tuple[str, ...]]:
    common = random.random(world.items) < world.shared
    if common.all():
        return dict.fromkeys(world.names, tuple(f"{at:05}" for at in range(world.items)))
    return {
        language: tuple(sorted(f"{'' if common[at] else language}{at:05}" for at in range(world.items)))
        for language in world.names
    }


def _difficulty(ids: Mapping[str, tuple[str, ...]], random: np.random.Generator) -> NDArray[np.float32]:
    """Of every language's items, what all models share of it: (languages, items)."""
    place: dict[str, int] = {}
    of = {one: [place.setdefault(id, len(place)) for id in one] for one in dict.fromkeys(ids.values())}
    drawn = random.standard_normal(len(place), np.float32)
    shared = math.sqrt(SHARES["item"]) * np.stack([drawn[of[one]] for one in ids.values()])
    return shared + math.sqrt(SHARES["language"]) * random.standard_normal(shared.shape, np.float32)


def _answers(
    ids: Mapping[str, tuple[str, ...]], difficulty: NDArray[np.float32], bars: Floats, random: np.random.Generator
) -> Predictions:
    own = math.sqrt(SHARES["model"]) * random.standard_normal(difficulty.shape, np.float32)
    statistics = np.ones((*difficulty.shape, 2), np.float32)
    statistics[..., 0] = difficulty + own < bars.astype(np.float32)[:, None]
    languages = {name: LanguageItems(of, {"accuracy": statistics[at]}) for at, (name, of) in enumerate(ids.items())}
    return Predictions((Accuracy(),), languages, "made up")
